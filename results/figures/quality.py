"""Figure `quality`: photographs, and what each method makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from ...bench.figures.photographs import Photograph
from ...bench.figures.quality import Seen
from ...recon.render.likeness import LikenessArtist, Picture
from ...recon.render.pose_and_light import Likeness
from .sheet import Cell, Row, Sheet

PANELS = ("overlay", "shape", "texture")
MOST_SIDE_BY_SIDE = 3
"""Methods whose panels have room beside each other; of more they stand below each other."""


def quality_sheet(
    photographs: Sequence[Photograph], seen: Sequence[Seen], artist: LikenessArtist
) -> Sheet:
    """Photographs down, methods across: of each method overlay, shape and texture.

    `texture` is the method's albedo, unlit. Of many methods the panels stand below each other.
    """
    if len(seen) <= MOST_SIDE_BY_SIDE:
        return _side_by_side(photographs, seen, artist)
    return _stacked(photographs, seen, artist)


def _side_by_side(
    photographs: Sequence[Photograph], seen: Sequence[Seen], artist: LikenessArtist
) -> Sheet:
    rows = []
    for number, photograph in enumerate(photographs):
        crop = photograph.portrait
        panels = [
            Cell(_panel(artist, panel, one.likenesses[number], crop))
            for one in seen
            for panel in PANELS
        ]
        first = Cell(artist.photograph(crop), photograph.caption)
        rows.append(Row("", (first, *panels)))
    names = ("", *(one.label for one in seen for _ in PANELS))
    heads = ("photograph", *(panel for _ in seen for panel in PANELS))
    starts = frozenset(1 + len(PANELS) * number for number in range(len(seen)))
    return Sheet((names, heads), tuple(rows), wide_before=starts)


def _stacked(
    photographs: Sequence[Photograph], seen: Sequence[Seen], artist: LikenessArtist
) -> Sheet:
    rows = []
    for number, photograph in enumerate(photographs):
        crop = photograph.portrait
        firsts = (Cell(artist.photograph(crop)), Cell(text=photograph.caption), Cell())
        for panel, first in zip(PANELS, firsts, strict=True):
            drawn = [_panel(artist, panel, one.likenesses[number], crop) for one in seen]
            rows.append(Row(panel, (first, *map(Cell, drawn)), opens=panel == "overlay"))
    heads = ("photograph", *(one.label for one in seen))
    return Sheet((heads,), tuple(rows), wide_before=frozenset({1}))


def _panel(artist: LikenessArtist, panel: str, likeness: Likeness, crop: Picture) -> Picture:
    if panel == "overlay":
        return artist.overlay(likeness, crop)
    return artist.shape(likeness) if panel == "shape" else artist.texture(likeness)
