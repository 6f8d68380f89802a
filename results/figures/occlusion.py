"""Figures `occlusion`, `parsing` and `quality`: photographs beside what methods make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

import numpy as np

from ...bench.figures.occlusion import (
    AlbedoErrors,
    Mask,
    TexturedFace,
    intersection_over_union,
    resize_mask,
)
from ...bench.figures.photographs import Photograph, Reconstructions
from ...bench.scoring.statistics import Interval, bootstrap_interval, paired_difference
from ...recon.render.face_in_photograph import FaceArtist, FaceInPhotograph, Picture
from ...recon.synthetic.appearance import CLASS_NAMES
from ...recon.training.tasks.parser import colour_classes
from ..tables.table import Table, interval_text, value_cell
from ..tables.writers import csv_text
from .drawing import Cell, Row, Sheet, minus

SIDE_YAW = 0.9
"""Radians by which the side view is turned."""

_HEADS = ("photograph", "parsing", "front", "side", "front", "side")
_NAMES = ("", "", *["texture mapping"] * 2, *["texture reconstruction"] * 2)

SIDES = "l_ and r_: the subject's left and right; but u_lip and l_lip: upper and lower lip."

_PHOTOGRAPH_SHARE = 0.5
"""Of the colour where a mask lies over its photograph: both must stay readable in print."""

PANELS = ("overlay", "shape", "texture")
MOST_SIDE_BY_SIDE = 3
"""Methods whose panels have room beside each other; of more they stand below each other."""


def occlusion_sheet(
    rows: Sequence[TexturedFace], artist: FaceArtist, notes: Sequence[str] = ()
) -> Sheet:
    """One row a photograph; the side view shows the side that the camera sees less of."""
    drawn = tuple(Row("", _cells(row, artist)) for row in rows)
    return Sheet((_NAMES, _HEADS), drawn, tuple(notes), wide_before=frozenset({2, 4}))


def albedo_note(errors: Sequence[AlbedoErrors]) -> str:
    """What the numbers below the pictures are, and their means over people.

    People without any hidden skin do not count.
    """
    # Both textures of one person stay in one row, so that the difference is paired.
    rows = {name: np.array([getattr(one, name) for one in errors]) for name in vars(errors[0])}
    kept = np.isfinite(rows["mapping"])
    rows = {name: values[kept] for name, values in rows.items()}
    mapping, reconstruction = (
        f"{rows[name].mean():.3f} {_span(bootstrap_interval(rows[name]))}"
        for name in ("mapping", "reconstruction")
    )
    difference = paired_difference(rows["reconstruction"], rows["mapping"])
    return (
        "Below the pictures: distance from the true albedo (RGB, 0 to 1) on the skin that is "
        f"hidden. Over {difference.n_subjects} people: mapping {mapping}, "
        f"reconstruction {reconstruction}; reconstruction − mapping "
        f"{minus(f'{difference.mean_mm:+.3f}')} {_span(difference.ci95_mm)}; the model's mean "
        f"albedo {rows['mean_albedo'].mean():.3f}. On the skin that is seen: "
        f"{np.nanmean(rows['mapping_seen']):.3f} and {np.nanmean(rows['reconstruction_seen']):.3f}."
    )


def albedo_csv(faces: Sequence[TexturedFace]) -> str:
    """One line per face whose truth is known."""
    head = ("photograph", *(item.name for item in fields(AlbedoErrors)))
    rows = tuple(
        tuple(map(value_cell, (face.photograph.name, *asdict(face.errors).values())))
        for face in faces
        if face.errors
    )
    return csv_text(Table("", head, rows))


def _cells(row: TexturedFace, artist: FaceArtist) -> tuple[Cell, ...]:
    assert row.reconstruction.pose is not None
    # Turned away from the camera's side: there texture mapping has nothing true to show.
    yaw = -SIDE_YAW if row.reconstruction.pose[1] > 0 else SIDE_YAW
    numbers = (row.errors.mapping, row.errors.reconstruction) if row.errors else ()
    texts = (f"{one:.3f}" if np.isfinite(one) else "nothing hidden" for one in numbers)
    mapped, reconstructed = tuple(texts) or ("", "")
    views = [
        (artist.turn(row.reconstruction, 0.0, row.mapped), mapped),
        (artist.turn(row.reconstruction, yaw, row.mapped), ""),
        (artist.turn(row.reconstruction, 0.0), reconstructed),
        (artist.turn(row.reconstruction, yaw), ""),
    ]
    mask = colour_classes(resize_mask(row.mask, artist.size))
    first = Cell(artist.photograph(row.photograph.portrait), row.photograph.caption)
    return (first, Cell(mask), *(Cell(*view) for view in views))


def _span(interval: Interval) -> str:
    return minus(interval_text(interval.low, interval.high, 3))


def parsing_sheet(
    photographs: Sequence[Photograph],
    masks: Mapping[str, Sequence[Mask]],
    artist: FaceArtist,
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
    # Equal neighbours make one head over both pictures of a mask.
    names = ("photograph", *(name for name in masks for _ in range(2)))
    starts = frozenset(1 + 2 * number for number in range(len(masks)))
    return Sheet((names,), tuple(rows), (*notes, SIDES), legend(), starts)


def agreement_note(found: Sequence[Mask], true: Sequence[Mask]) -> str:
    """How well masks agree with the true ones of the same sizes, in words."""
    # The mean over classes, so that brows count as much as skin.
    overlap = intersection_over_union(found, true, len(CLASS_NAMES))
    right = np.mean([(f == t).mean() for f, t in zip(found, true, strict=True)])
    return (
        f"The parser's mask agrees with the true one at {right:.1%} of the pixels shown; "
        f"intersection over union, mean of the {np.isfinite(overlap).sum()} classes there: "
        f"{np.nanmean(overlap):.2f}."
    )


def legend() -> tuple[tuple[tuple[int, int, int], str], ...]:
    """Colour and name of all 19 classes."""
    colours = colour_classes(np.arange(len(CLASS_NAMES))).tolist()
    return tuple(((r, g, b), name) for (r, g, b), name in zip(colours, CLASS_NAMES, strict=True))


def _parsing_cells(
    photograph: Photograph, masks: Sequence[Mask], artist: FaceArtist
) -> tuple[Cell, ...]:
    picture = artist.photograph(photograph.portrait)
    cells = [Cell(picture, photograph.caption)]
    for mask in masks:
        colours = colour_classes(resize_mask(mask, artist.size))
        cells += [Cell(colours), Cell(_blend(picture, colours))]
    return tuple(cells)


def _blend(picture: Picture, colours: Picture) -> Picture:
    mixed = _PHOTOGRAPH_SHARE * picture + (1.0 - _PHOTOGRAPH_SHARE) * colours
    return (mixed + 0.5).astype(np.uint8)


def quality_sheet(
    photographs: Sequence[Photograph], found: Reconstructions, artist: FaceArtist
) -> Sheet:
    """Photographs down, methods across: of each method overlay, shape and texture.

    `texture` is the method's albedo, unlit. Of many methods the panels stand below each other.
    """
    if len(found) <= MOST_SIDE_BY_SIDE:
        return _side_by_side(photographs, found, artist)
    return _stack(photographs, found, artist)


def _side_by_side(
    photographs: Sequence[Photograph], found: Reconstructions, artist: FaceArtist
) -> Sheet:
    rows = []
    for number, photograph in enumerate(photographs):
        crop = photograph.portrait
        panels = [
            Cell(_panel(artist, panel, faces[number], crop))
            for faces in found.values()
            for panel in PANELS
        ]
        first = Cell(artist.photograph(crop), photograph.caption)
        rows.append(Row("", (first, *panels)))
    names = ("", *(label for label in found for _ in PANELS))
    heads = ("photograph", *(panel for _ in found for panel in PANELS))
    starts = frozenset(1 + len(PANELS) * number for number in range(len(found)))
    return Sheet((names, heads), tuple(rows), wide_before=starts)


def _stack(photographs: Sequence[Photograph], found: Reconstructions, artist: FaceArtist) -> Sheet:
    rows = []
    for number, photograph in enumerate(photographs):
        crop = photograph.portrait
        # The photograph stands once, beside the first of its three rows.
        firsts = (Cell(artist.photograph(crop)), Cell(text=photograph.caption), Cell())
        for panel, first in zip(PANELS, firsts, strict=True):
            drawn = [_panel(artist, panel, faces[number], crop) for faces in found.values()]
            rows.append(Row(panel, (first, *map(Cell, drawn)), opens=panel == "overlay"))
    heads = ("photograph", *found)
    return Sheet((heads,), tuple(rows), wide_before=frozenset({1}))


def _panel(
    artist: FaceArtist, panel: str, reconstruction: FaceInPhotograph, crop: Picture
) -> Picture:
    if panel == "overlay":
        return artist.overlay(reconstruction, crop)
    return artist.shape(reconstruction) if panel == "shape" else artist.texture(reconstruction)
