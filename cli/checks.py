"""`facebench check-method`, `check-dataset`, `check-photographs`: looked at as a run uses them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import visible
from ._options import (
    NOTHING_SCORED,
    checkpoint,
    detector,
    landmarks,
    model,
    options_file,
    photograph_method,
    recogniser,
)
from ._tables import print_findings, print_json

if TYPE_CHECKING:
    from ..bench.photographs.check import Networks
    from ..recon.portraits.reconstructor import ReconstructionMethod


@click.command("check-method")
@click.argument("method", metavar="NAME")
@checkpoint
@model
@click.option("--device", default="cpu", help="As PyTorch names it.")
@click.option(
    "--prediction-unit",
    type=click.Choice(["mm", "cm", "m"]),
    default="mm",
    help="Of the files of meshes:DIR.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def check_method(
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
    from ..bench.conformance.method import check_method as examine
    from ..bench.method.interface import MethodOptions

    options = MethodOptions(checkpoint, model, device, unit=prediction_unit)
    return print_findings("method", method, examine(method, options), as_json)


@click.command("check-dataset")
@click.argument("dataset", metavar="NAME")
@click.option("--data", type=click.Path(path_type=Path), help="A folder of it.")
@click.option("--unit", type=click.Choice(["mm", "cm", "m"]), default="mm", help="Of the scans.")
@click.option("--scans", type=click.IntRange(1), help="Read this many at most.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def check_dataset(
    dataset: str, data: Path | None, unit: str, scans: int | None, as_json: bool
) -> int:
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
    from ..bench.conformance.dataset import check_dataset as examine

    findings = examine(dataset, data, unit, scans or 0)
    return print_findings("dataset", dataset, findings, as_json)


@click.command(name="check-photographs")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--reference",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="JSON with the landmarks of every face, see docs/photographs.md.",
)
@detector
@landmarks
@recogniser
@photograph_method
@click.option("--limit", type=click.IntRange(1), help="At most this many photographs.")
@click.option("--device", default="cpu", help="As PyTorch names it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "csv", "latex", "html"]),
    default="table",
    help="Of the tables.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write them here.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@options_file
def check_photographs(
    folder: Path,
    reference: Path,
    detector: str,
    landmarks: str,
    recogniser: str,
    method: str | None,
    checkpoint: Path | None,
    model: str | None,
    limit: int | None,
    device: str,
    form: str,
    out: Path | None,
    as_json: bool,
) -> int:
    """Compare what is found in the photographs of FOLDER with reference landmarks.

    Counted are the faces found by pose and those found where none is; measured are the errors of
    the landmark network and of the reconstructed face's projected points, by part of the face; how
    mouth, smile, blink, yaw and pitch follow the reference; how far skin differs between people;
    and, where the reference or the files' names say who is who, whether two photographs of one
    person are nearer than two of two people. Photographs that cannot be read are told and left
    out. The exit code is 3 when no face could be measured.

    \b
    Examples:
      facebench check-photographs photographs --reference reference.json
      facebench check-photographs photographs --reference r.json --detector embedded --json
      facebench check-photographs lfw --reference lfw.json --format markdown --out lfw.md
    """
    from ..bench.photographs.check import check_photographs as examine
    from ..bench.photographs.reference import read_reference
    from ..recon.files.text import write_text
    from ..recon.portraits.reconstructor import choose_method
    from ..recon.weights.catalogue import NONE, choice_identity, resolve_choice
    from ..results.tables.photographs import FORMS, check_numbers, check_tables
    from ._progress import count_on_bar

    photographs, missing = read_reference(reference, folder)
    if missing:
        click.echo(
            f"{len(missing)} of {len(photographs) + len(missing)} photographs of {reference} are "
            f"not in {folder}, {visible(missing[0])} for one; they are left out",
            err=True,
        )
    photographs = photographs[:limit]
    choice = choose_method(method, model, checkpoint, landmarks)
    refining = choice.landmarks
    chosen = {
        "detector": resolve_choice("detector", detector),
        # Without any asked for, the embedded network is checked and the face left alone.
        "landmarks": resolve_choice("landmarks", "embedded" if refining == NONE else refining),
        "recogniser": resolve_choice("recogniser", recogniser),
    }
    networks = _networks(chosen, choice, device)
    steps = count_on_bar(photographs, "photographs", len(photographs), as_json)
    check = examine(steps, networks)
    told = {kind: choice_identity(kind, name) for kind, name in chosen.items()}  # type: ignore[arg-type]
    brought = ", brought to the landmarks" if refining != NONE and choice.method == "ours" else ""
    told["reconstruction"] = f"{choice.method} with model {choice.model}{brought}"
    numbers = {"networks": told, **check_numbers(check)}
    for problem in check.problems:
        click.echo(problem, err=True)
    if as_json:
        print_json(numbers)
    else:
        text = FORMS[form](check_tables(numbers, told))
        if out is None:
            click.echo(text, nl=False)
        else:
            write_text(out, text)
    return 0 if check.checked else NOTHING_SCORED


def _networks(chosen: dict[str, str], choice: ReconstructionMethod, device: str) -> Networks:
    from ..recon.morphable.load import load_model
    from ..recon.portraits.reconstructor import make_reconstructor
    from ..recon.vision.detect import make_detector
    from ..recon.vision.landmarks import make_landmark_detector
    from ..recon.vision.recognition import make_identity_features

    return (
        make_detector(chosen["detector"], device, tilted=True),
        make_landmark_detector(chosen["landmarks"], device),
        make_reconstructor(load_model(choice.model), choice, device)[0],
        make_identity_features(chosen["recogniser"]),
    )
