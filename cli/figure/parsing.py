"""`facebench figure parsing`: the face mask beside its photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import _shared

if TYPE_CHECKING:
    from ...bench.figures.occlusion import Mask
    from ...bench.figures.photographs import Photograph


@click.command(name="parsing")
@_shared.photographs
@_shared.out
@click.option(
    "--parser",
    default="embedded",
    show_default=True,
    help="'embedded', a file of 'facebench train --recipe parser', or the public 79999_iter.pth.",
)
@_shared.model
@_shared.detector
@_shared.limit(4)
@_shared.seed
@_shared.device
@_shared.width
@_shared.dpi
def command(
    photographs: tuple[Path, ...],
    out: Path,
    parser: str,
    model: str,
    detector: str,
    limit: int,
    seed: int,
    device: str,
    width: float,
    dpi: int,
) -> None:
    """Face parsing: each photograph with its mask, and the legend of the 19 classes.

    On PHOTOGRAPHS the mask is the parser's. Without any, people are made from the face model and
    the true mask stands beside the parser's, with their agreement; alone where the package holds no
    parser.

    \b
    Examples:
      facebench figure parsing --out figures/parsing
      facebench figure parsing photographs/ --parser 79999_iter.pth --out figures/mine
    """
    from ...recon.render.face_in_photograph import FaceArtist
    from ...results.figures.occlusion import parsing_sheet

    notes: list[str] = []
    if photographs:
        found = _shared.read(photographs, limit, detector)
        masks = {"parsed": _parse(found, parser, device)}
    else:
        found, masks, notes = _made_up(model, limit, seed, parser, device)
    sheet = parsing_sheet(found, masks, FaceArtist(), notes)
    _shared.write(sheet, out, width, dpi)


def _made_up(
    model: str, limit: int, seed: int, parser: str, device: str
) -> tuple[tuple[Photograph, ...], dict[str, list[Mask]], list[str]]:
    from ...bench.figures.occlusion import labelled_faces, photograph_of
    from ...recon.morphable.load import load_model
    from ...recon.network.vision_weights import EMBEDDED, embedded_network
    from ...results.figures.occlusion import agreement_note

    faces = labelled_faces(load_model(model), limit, seed)
    found = tuple(photograph_of(face) for face in faces)
    # The first row of the sheet, what the parser's is judged by.
    masks = {"true mask": [face.mask for face in faces]}
    # True masks are worth a figure without a parser; one that was asked for is not optional.
    if parser == EMBEDDED and not embedded_network("parser").is_file():
        return found, masks, ["The package holds no parser: the true masks are shown."]
    masks["parsed"] = _parse(found, parser, device)
    note = agreement_note(masks["parsed"], masks["true mask"])
    click.echo(note)
    return found, masks, [note]


def _parse(photographs: tuple[Photograph, ...], parser: str, device: str) -> list[Mask]:
    from ...bench.figures.occlusion import parsed_masks

    return parsed_masks(photographs, parser, device)
