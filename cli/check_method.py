"""`facebench check-method`: whether a method keeps to what the benchmark asks of it."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import checkpoint, model
from ._tables import print_findings


@click.command("check-method")
@click.argument("method", metavar="NAME")
@checkpoint
@model
@click.option("--device", default="cpu", show_default=True, help="As PyTorch names it.")
@click.option(
    "--prediction-unit",
    type=click.Choice(["mm", "cm", "m"]),
    default="mm",
    show_default=True,
    help="Of the files of meshes:DIR.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    method: str,
    checkpoint: Path | None,
    model: str,
    device: str,
    prediction_unit: str,
    as_json: bool,
) -> int:
    """Take the method NAME through load, run, save, rerun, and say what is wrong with it.

    Synthetic portraits go in; units, orientation, landmarks, repeatability, batches and averages
    of what comes out are looked at. Of meshes:DIR every file is read. ✓ is right, ⚠ is allowed and
    worth a thought, ✗ makes the numbers wrong. The exit code is 1 with any ✗, else 0.

    \b
    Examples:
      facebench check-method ours
      facebench check-method ours --checkpoint training/weights.pt --model bfm.npz
      facebench check-method meshes:predictions --prediction-unit cm
      facebench check-method mine --json | jq '.findings[] | select(.verdict == "failed")'
    """
    from ..bench.conformance.check import check_method
    from ..bench.method.interface import MethodOptions

    options = MethodOptions(checkpoint, model, device, unit=prediction_unit)
    return print_findings("method", method, check_method(method, options), as_json)
