"""Figure `parsing`: the face mask beside its photograph, with the legend of its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...bench.figures.masks import Mask, agreement, resized
from ...bench.figures.photographs import Photograph
from ...recon.render.likeness import LikenessArtist, Picture
from ...recon.synthetic.masks import CLASS_NAMES
from ...recon.training.tasks.palette import coloured
from .sheet import Cell, Row, Sheet

SIDES = "l_ and r_: the subject's left and right; but u_lip and l_lip: upper and lower lip."

_PHOTOGRAPH_SHARE = 0.5


def parsing_sheet(
    photographs: Sequence[Photograph],
    masks: Mapping[str, Sequence[Mask]],
    artist: LikenessArtist,
    notes: Sequence[str] = (),
) -> Sheet:
    """One row a photograph: as it is, then each kind of mask alone and over it.

    Args:
        photographs: what was parsed.
        masks: by what a column is called, one a photograph; classes in BiSeNet order.
        artist: of the pictures' size.
        notes: shown below.
    """
    rows = [
        Row("", _parsing_cells(photograph, [kind[number] for kind in masks.values()], artist))
        for number, photograph in enumerate(photographs)
    ]
    names = ("photograph", *(name for name in masks for _ in range(2)))
    starts = frozenset(1 + 2 * number for number in range(len(masks)))
    return Sheet((names,), tuple(rows), (*notes, SIDES), legend(), starts)


def agreement_note(found: Sequence[Mask], true: Sequence[Mask]) -> str:
    """How well masks agree with the true ones of the same sizes, in words."""
    overlap = agreement(found, true, len(CLASS_NAMES))
    right = np.mean([(f == t).mean() for f, t in zip(found, true, strict=True)])
    return (
        f"The parser's mask agrees with the true one at {right:.1%} of the pixels shown; "
        f"intersection over union, mean of the {np.isfinite(overlap).sum()} classes there: "
        f"{np.nanmean(overlap):.2f}."
    )


def legend() -> tuple[tuple[tuple[int, int, int], str], ...]:
    """Colour and name of all 19 classes."""
    colours = coloured(np.arange(len(CLASS_NAMES))).tolist()
    return tuple(((r, g, b), name) for (r, g, b), name in zip(colours, CLASS_NAMES, strict=True))


def _parsing_cells(
    photograph: Photograph, masks: Sequence[Mask], artist: LikenessArtist
) -> tuple[Cell, ...]:
    picture = artist.photograph(photograph.portrait)
    cells = [Cell(picture, photograph.caption)]
    for mask in masks:
        colours = coloured(resized(mask, artist.size))
        cells += [Cell(colours), Cell(_over(picture, colours))]
    return tuple(cells)


def _over(picture: Picture, colours: Picture) -> Picture:
    mixed = _PHOTOGRAPH_SHARE * picture + (1.0 - _PHOTOGRAPH_SHARE) * colours
    return (mixed + 0.5).astype(np.uint8)
