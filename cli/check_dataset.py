"""`facebench check-dataset`: whether a dataset keeps to what the benchmark asks of it."""

from __future__ import annotations

from pathlib import Path

import click

from ._tables import print_findings


@click.command("check-dataset")
@click.argument("dataset", metavar="NAME")
@click.option("--data", type=click.Path(path_type=Path), help="A folder of it.")
@click.option(
    "--unit",
    type=click.Choice(["mm", "cm", "m"]),
    default="mm",
    show_default=True,
    help="Of the scans.",
)
@click.option("--scans", type=click.IntRange(1), help="Read this many at most.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(dataset: str, data: Path | None, unit: str, scans: int | None, as_json: bool) -> int:
    """Look at the dataset NAME as a run would use it, and say what is wrong with it.

    Without --data only its module and card are looked at. With it: ids are unique, files are there,
    scans can be read, what is lacking has a reason, nothing is dropped in silence, the digest stays
    and does not depend on the order of files. ✓ is right, ⚠ is allowed and worth a thought, ✗ makes
    the numbers wrong. The exit code is 1 with any ✗, else 0.

    \b
    Examples:
      facebench check-dataset micc
      facebench check-dataset micc --data MICC --scans 10
      facebench check-dataset mine --data scans --json
    """
    from ..bench.conformance.dataset import check_dataset

    findings = check_dataset(dataset, data, unit, scans or 0)
    return print_findings("dataset", dataset, findings, as_json)
