"""`facebench check-photographs`: detection, landmarks and reconstruction on real photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import visible
from . import _options
from ._tables import print_json

if TYPE_CHECKING:
    from ..bench.photographs.check import Networks
    from ..recon.portraits.reconstructor import ReconstructionMethod


@click.command(name="check-photographs")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--reference",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="JSON with the landmarks of every face, see docs/photographs.md.",
)
@_options.detector
@_options.landmarks
@_options.recogniser
@_options.photograph_method
@click.option("--limit", type=click.IntRange(1), help="At most this many photographs.")
@click.option("--device", default="cpu", show_default=True, help="As PyTorch names it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "csv", "latex", "html"]),
    default="terminal",
    show_default=True,
    help="Of the tables.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write them here.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@_options.options_file
def command(
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
    """Hold what is found in the photographs of FOLDER to reference landmarks.

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
    from ..bench.photographs.check import check_photographs
    from ..bench.photographs.reference import read_reference
    from ..recon.portraits.reconstructor import choose_method
    from ..recon.weights.catalogue import NONE, choice_identity, resolve_choice
    from ..results.files import write_text
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
    check = check_photographs(steps, networks)
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
    return 0 if check.checked else _options.NOTHING_SCORED


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
