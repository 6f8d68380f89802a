"""A face given for measuring: a mesh or its file, with its landmarks, brought to mm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh.record import Mesh
from ..landmarks.files import read_landmark_file
from ..landmarks.points import Landmarks
from ..meshes.clean import UNITS, check_unit, clean_mesh, counted, guess_unit
from ..meshes.files import load_mesh

ANY_UNIT = "any"
"""Stands for a prediction without a unit: the landmarks of both sides tell its size."""


@dataclass(frozen=True, eq=False)
class Given:
    """One side of a pair.

    Attributes:
        mesh: clean, in mm.
        landmarks: in the mesh's space, mm; None for the mesh's own or none.
        name: of the file, or what a mesh is called that came without one.
        note: what was left out of the mesh; empty for nothing.
        resized: the factor it was given because its unit is not known.
    """

    mesh: Mesh
    landmarks: Landmarks | None
    name: str
    note: str = ""
    resized: float = 1.0

    @property
    def all_landmarks(self) -> Landmarks | None:
        """Those that were given, else those of the mesh, else None."""
        return self.landmarks or Landmarks.of_mesh(self.mesh)

    def scaled(self, factor: float) -> Given:
        """The same, so many times as large."""
        mesh = replace(self.mesh, vertices=np.asarray(self.mesh.vertices, np.float64) * factor)
        landmarks = self.landmarks and Landmarks(self.landmarks.points * factor)
        return replace(self, mesh=mesh, landmarks=landmarks)


def read_given(
    mesh: Mesh | Path | str,
    landmarks: Landmarks | Path | str | None,
    unit: str,
    side: str,
) -> Given:
    """Read and check one side of a pair.

    Args:
        mesh: or its file.
        landmarks: or their file; None for the mesh's own.
        unit: of both: `mm`, `cm`, `m`, or `any`, which leaves the numbers as they are.
        side: `prediction` or `scan`, for messages.

    Raises:
        FacebenchError: a file cannot be used or the mesh is not as large as a face in its unit.
    """
    name = f"the {side}" if isinstance(mesh, Mesh) else str(mesh)
    cleaned, removed = clean_mesh(mesh if isinstance(mesh, Mesh) else load_mesh(Path(mesh)))
    if removed.invalid_vertices and side == "prediction":
        invalid = counted(removed.invalid_vertices, "vertex is", "vertices are")
        raise FacebenchError(
            f"{name}: {invalid} NaN or infinite", "what made it has failed; predict it again"
        )
    if not len(cleaned.triangles):
        raise FacebenchError(f"{name}: no triangles with finite corners", "is this a face?")
    if unit != ANY_UNIT:
        _check_unit(cleaned, name, unit, side)
    known = read_landmark_file(Path(landmarks)) if isinstance(landmarks, Path | str) else landmarks
    given = Given(cleaned, known, name, note=f"{removed} left out" if str(removed) else "")
    return given.scaled(UNITS.get(unit, 1.0))


def _check_unit(mesh: Mesh, name: str, unit: str, side: str) -> None:
    if side == "prediction" and unit in UNITS and guess_unit(mesh) is None:
        raise FacebenchError(
            f"{name}: is not as large as a face in mm, cm or m",
            "pass --prediction-unit any and the landmarks of both sides",
        )
    check_unit(mesh, name, unit, f"--{side}-unit")


def without_unit(prediction: Given, scan: Given) -> Given:
    """A prediction of any unit as large as the scan, by the spread of the landmarks of both.

    Raises:
        FacebenchError: when one side has no landmarks.
    """
    own, theirs = prediction.all_landmarks, scan.all_landmarks
    if own is None or theirs is None:
        raise FacebenchError(
            f"{prediction.name}: a prediction of any unit needs landmarks of both sides",
            "give --prediction-landmarks and --scan-landmarks, or its unit: mm, cm or m",
        )
    factor = theirs.spread / own.spread
    return replace(prediction.scaled(factor), resized=factor)
