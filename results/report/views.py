"""Faces to turn in the browser: which of them a page shows, and their bytes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...bench.surface.thinning import Thinned, thinned
from ..tables.subject_errors import ERROR
from .frontal import frontal_rotation
from .heat_maps import SCALE_MM, error_colours, frontal_face, read_errors
from .series import Series

MAX_SCENES = 3
"""Scenes that get a view of their own; a view is about 0.2 MB."""
STEPS, UNKNOWN = 254, 255
"""The error byte at the end of the colour scale, and the one of what was not measured."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PackedMesh:
    """A mesh as text: `int16` positions (V, 3), `uint16` triangles (F, 3), `uint8` errors (V,), one
    after another, little-endian, in base64.

    Attributes:
        n_vertices, n_triangles: V and F.
        data: the text.
    """

    n_vertices: int
    n_triangles: int
    data: str


@dataclass(frozen=True)
class View:
    """One subject in one scene.

    Attributes:
        subject, scene: whose.
        rank: `worst`, `median` or `best` of the scene.
        error_mm: the subject's error.
        step_mm: length of one unit of the positions.
        prediction: facing +z, y up, the measured part around the origin.
        scan: in the same space, or None where the run keeps none.
    """

    subject: str
    scene: str
    rank: str
    error_mm: float
    step_mm: float
    prediction: PackedMesh
    scan: PackedMesh | None


def views(series: Series) -> Iterator[View]:
    """The worst, the median and the best subject of each scene; without those that keep no mesh."""
    reference = frontal_face(series)
    for scene in series.record.scenes[:MAX_SCENES]:
        for rank, subject, error_mm in ranked(series.subjects, scene):
            path = series.run.mesh_path(subject, scene)
            if path.is_file():
                pair = _frontal_pair(path, series.run.scan_path(subject, scene), reference)
                yield View(subject, scene, rank, error_mm, *packed(*pair))


def ranked(subjects: pd.DataFrame, scene: str) -> list[tuple[str, str, float]]:
    """Rank, subject and error of the worst, median and best of a scene; fewer of a small one."""
    if ERROR not in subjects:
        return []
    rows = subjects[(subjects["scene"] == scene) & subjects[ERROR].notna()]
    order = rows.sort_values([ERROR, "subject"], ascending=[False, True])
    names = _ranks(len(order))
    found = order.iloc[list(names)].itertuples()
    errors = ((str(row.subject), float(getattr(row, ERROR))) for row in found)
    return [(rank, *item) for rank, item in zip(names.values(), errors, strict=True)]


def _ranks(count: int) -> dict[int, str]:
    """Which places of so many, the worst first, are shown as what."""
    if count < 2:
        return dict.fromkeys(range(count), "only")
    ranks = {count // 2: "median", 0: "worst", count - 1: "best"}
    return dict(sorted(ranks.items()))


def packed(
    prediction: Thinned, scan: Thinned | None
) -> tuple[float, PackedMesh, PackedMesh | None]:
    """The length of a step in mm that both sides share, and the sides."""
    sides = [side for side in (prediction, scan) if side is not None]
    step = max(float(np.abs(side.mesh.vertices).max()) for side in sides) / np.iinfo(np.int16).max
    return step, _packed(prediction, step), None if scan is None else _packed(scan, step)


def error_bytes(errors: Array) -> NDArray[np.uint8]:
    """Errors (V,) in mm as bytes (V,): `STEPS` for the end of the scale and all above."""
    steps = np.rint(np.clip(np.nan_to_num(errors) / SCALE_MM, 0, 1) * STEPS)
    return np.where(np.isnan(errors), UNKNOWN, steps).astype(np.uint8)


def colour_table() -> str:
    """RGB of each error byte, (256, 3) uint8 in base64: the colours of the heat maps."""
    errors = np.append(np.linspace(0, SCALE_MM, STEPS + 1), np.nan)
    return _base64(np.rint(255 * error_colours(errors)).astype(np.uint8).tobytes())


def _frontal_pair(
    prediction: Path, scan: Path, reference: Array | None
) -> tuple[Thinned, Thinned | None]:
    mesh, errors = read_errors(prediction)
    turn = frontal_rotation(mesh, reference)
    measured = ~np.isnan(errors)
    seen = mesh.vertices[measured] if measured.any() else mesh.vertices
    centre = (seen.min(axis=0) + seen.max(axis=0)) / 2

    def placed(part: Thinned) -> Thinned:
        vertices = (part.mesh.vertices - centre) @ turn.T
        return replace(part, mesh=replace(part.mesh, vertices=vertices))

    other = placed(thinned(*read_errors(scan))) if scan.is_file() else None
    return placed(thinned(mesh, errors)), other


def _packed(side: Thinned, step: float) -> PackedMesh:
    positions = np.rint(side.mesh.vertices / step).astype("<i2")
    triangles = side.mesh.triangles.astype("<u2")
    parts = (positions, triangles, error_bytes(side.errors))
    data = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    return PackedMesh(len(positions), len(triangles), _base64(data))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
