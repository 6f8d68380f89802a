"""Files of a prediction and a scan, singly, in folders, and in NoW's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facebench.bench.landmarks import SEVEN
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.mesh import Mesh


def points_of(face: Mesh) -> NDArray[np.float64]:
    """The 68 landmarks (68, 3) of a face that knows their vertices."""
    return np.asarray(face.vertices, np.float64)[face.landmarks]


def write_side(face: Mesh, path: Path, points: NDArray[np.float64] | None = None) -> Path:
    """A mesh file without landmarks, and beside it NAME.txt when points are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mesh(Mesh(face.vertices, face.triangles), path)
    if points is not None:
        np.savetxt(path.with_suffix(".txt"), points)
    return path


def write_picked_points(points: NDArray[np.float64], path: Path) -> Path:
    """A file of MeshLab's picked points (.pp)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f'  <point x="{x!r}" y="{y!r}" z="{z!r}" active="1" name="{number}"/>'
        for number, (x, y, z) in enumerate(points.tolist())
    ]
    head = "<!DOCTYPE PickedPoints>\n<PickedPoints>\n <DocumentData/>"
    path.write_text("\n".join([head, *lines, "</PickedPoints>"]))
    return path


def write_now_scan(root: Path, subject: str, scan: Mesh, points: NDArray[np.float64]) -> None:
    """A scan and its seven landmarks as NoW keeps them."""
    name = "natural_head_rotation.000001"
    write_side(scan, root / "scans" / subject / f"{name}.obj")
    place = root / "scans_lmks_onlypp" / subject
    write_picked_points(points[SEVEN], place / f"{name}_picked_points.pp")


def write_now_prediction(root: Path, image: str, face: Mesh, points: NDArray[np.float64]) -> None:
    """A prediction of `SUBJECT/CHALLENGE/IMAGE` with its seven landmarks as an array."""
    path = write_side(face, root / f"{image}.obj")
    np.save(path.with_suffix(".npy"), points[SEVEN])
