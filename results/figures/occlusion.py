"""Figure `occlusion`: texture mapping beside texture reconstruction, and the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields

import numpy as np

from ...bench.figures.masks import resized
from ...bench.figures.occlusion import AlbedoErrors, AlbedoSummary, TexturedFace
from ...bench.scoring.statistics import Interval
from ...recon.render.likeness import LikenessArtist
from ...recon.training.tasks.palette import coloured
from ..tables.writers import csv_text
from .sheet import Cell, Row, Sheet

SIDE_YAW = 0.9
"""Radians by which the side view is turned."""

_HEADS = ("photograph", "parsing", "front", "side", "front", "side")
_NAMES = ("", "", *["texture mapping"] * 2, *["texture reconstruction"] * 2)


def occlusion_sheet(
    rows: Sequence[TexturedFace], artist: LikenessArtist, notes: Sequence[str] = ()
) -> Sheet:
    """One row a photograph; the side view shows the side that the camera sees less of."""
    drawn = tuple(Row("", _cells(row, artist)) for row in rows)
    return Sheet((_NAMES, _HEADS), drawn, tuple(notes), wide_before=frozenset({2, 4}))


def albedo_note(summary: AlbedoSummary) -> str:
    """What the numbers below the pictures are, and their means over people."""
    difference = summary.difference
    return (
        "Below the pictures: distance from the true albedo (RGB, 0 to 1) on the skin that is "
        f"hidden. Over {difference.n_subjects} people: mapping {summary.mapping:.3f} "
        f"{_span(summary.mapping_ci95)}, reconstruction {summary.reconstruction:.3f} "
        f"{_span(summary.reconstruction_ci95)}; reconstruction − mapping "
        f"{_signed(difference.mean_mm)} {_span(difference.ci95_mm)}; the model's mean albedo "
        f"{summary.mean_albedo:.3f}. On the skin that is seen: {summary.mapping_seen:.3f} and "
        f"{summary.reconstruction_seen:.3f}."
    )


def albedo_csv(faces: Sequence[TexturedFace]) -> str:
    """One line a face whose truth is known."""
    names = [item.name for item in fields(AlbedoErrors)]
    lines = [
        {"photograph": face.photograph.name, **asdict(face.errors)} for face in faces if face.errors
    ]
    return csv_text(lines, ("photograph", *names))


def _cells(row: TexturedFace, artist: LikenessArtist) -> tuple[Cell, ...]:
    assert row.likeness.pose is not None
    yaw = -SIDE_YAW if row.likeness.pose[1] > 0 else SIDE_YAW
    mapped, reconstructed = _captions(row.errors)
    views = [
        (artist.turned(row.likeness, 0.0, row.mapped), mapped),
        (artist.turned(row.likeness, yaw, row.mapped), ""),
        (artist.turned(row.likeness, 0.0), reconstructed),
        (artist.turned(row.likeness, yaw), ""),
    ]
    mask = coloured(resized(row.mask, artist.size))
    first = Cell(artist.photograph(row.photograph.portrait), row.photograph.caption)
    return (first, Cell(mask), *(Cell(*view) for view in views))


def _captions(errors: AlbedoErrors | None) -> tuple[str, str]:
    if errors is None:
        return "", ""
    return _number(errors.mapping), _number(errors.reconstruction)


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "nothing hidden"


def _span(interval: Interval) -> str:
    if not np.isfinite(interval.low):
        return ""
    return f"[{_minus(interval.low)}, {_minus(interval.high)}]"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _minus(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")
