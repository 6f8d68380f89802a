"""A face given for measuring: a mesh or its file, with its landmarks, brought to mm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ..errors import FacebenchError
from ..recon.mesh import Mesh
from .landmark_files import read_landmark_file
from .landmarks import Landmarks
from .mesh_files import load_mesh
from .meshes import UNITS, check_unit, clean_mesh

ANY_UNIT = "any"
"""Stands for a prediction without a unit: the landmarks of both sides tell its size."""
LANDMARKS_APART = 0.1
"""Landmarks further from their mesh than this share of its size are not of this mesh."""


@dataclass(frozen=True, eq=False)
class Face:
    """One side of a pair.

    Attributes:
        mesh: clean, in mm.
        landmarks: in the mesh's space, mm; None for the mesh's own or none.
        name: of the file, or what a mesh is called that came without one.
        factor: millimetres in one unit of what was given.
        note: what was left out of the mesh; empty for nothing.
    """

    mesh: Mesh
    landmarks: Landmarks | None
    name: str
    factor: float = 1.0
    note: str = ""

    @property
    def all_landmarks(self) -> Landmarks | None:
        """Those that were given, else those of the mesh, else None."""
        return self.landmarks or Landmarks.of_mesh(self.mesh)

    def scaled(self, factor: float) -> Face:
        """The same in units of which one was `1 / factor`."""
        mesh = replace(self.mesh, vertices=np.asarray(self.mesh.vertices, np.float64) * factor)
        landmarks = self.landmarks and Landmarks(self.landmarks.points * factor)
        return replace(self, mesh=mesh, landmarks=landmarks, factor=self.factor * factor)


def given_face(
    mesh: Mesh | Path | str,
    landmarks: Landmarks | Path | str | None,
    unit: str,
    side: str,
) -> Face:
    """Read and check one side of a pair.

    Args:
        mesh: or its file.
        landmarks: or their file; None for the mesh's own.
        unit: of both: `mm`, `cm`, `m`, or `any`, which leaves the numbers as they are.
        side: `prediction` or `scan`, for messages.

    Raises:
        FacebenchError: a file cannot be used, the mesh is not as large as a face in its unit, or
            the landmarks are not on it.
    """
    name = f"the {side}" if isinstance(mesh, Mesh) else str(mesh)
    cleaned, removed = clean_mesh(mesh if isinstance(mesh, Mesh) else load_mesh(Path(mesh)))
    if removed.invalid_vertices and side == "prediction":
        raise FacebenchError(
            f"{name}: {removed.invalid_vertices:,} vertices are NaN or infinite",
            "what made it has failed; predict it again",
        )
    if not len(cleaned.triangles):
        raise FacebenchError(f"{name}: no triangles with finite corners", "is this a face?")
    if unit != ANY_UNIT:
        check_unit(cleaned, name, unit, f"--{side}-unit")
    known = read_landmark_file(Path(landmarks)) if isinstance(landmarks, Path | str) else landmarks
    face = Face(cleaned, known, name, note=f"{removed} left out" if str(removed) else "")
    _check_landmarks(face, landmarks)
    return face.scaled(UNITS.get(unit, 1.0))


def without_unit(prediction: Face, scan: Face) -> Face:
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
    return prediction.scaled(theirs.spread / own.spread)


def _check_landmarks(face: Face, source: object) -> None:
    if face.landmarks is None:
        return
    vertices = np.asarray(face.mesh.vertices)
    size = float(np.ptp(np.percentile(vertices, [0.5, 99.5], axis=0), axis=0).max())
    apart = float(cKDTree(vertices).query(face.landmarks.points)[0].max())
    if apart > LANDMARKS_APART * size:
        where = source if isinstance(source, Path | str) else f"the landmarks of {face.name}"
        raise FacebenchError(
            f"{where}: a landmark is {apart:.4g} from a mesh that is {size:.4g} long",
            "they are of another mesh, pose or unit",
        )
