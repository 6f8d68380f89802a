"""Which vertices of BFM 2009 are kept, by the index files of the Deep3D family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .basel_landmarks import landmarks_2009
from .mat5 import read_mat

TRIM, FRONT, TOPOLOGY = "BFM_exp_idx.mat", "BFM_front_idx.mat", "facemodel_info.mat"

CROPS: Mapping[str, str] = {
    "front": "the face without ears and neck (35,709 vertices), with expressions",
    "trimmed": "all but the inner mouth (53,215 vertices), with expressions",
    "whole": "every vertex (53,490), without expressions",
}
"""Name and content; expressions exist for the trimmed vertices and those among them only."""

FETCH = f"{TRIM}, {FRONT} and {TOPOLOGY} are in the BFM folder of Deep3DFaceRecon_pytorch"


@dataclass(frozen=True)
class Crop:
    """The vertices kept of a model.

    Attributes:
        vertices: (V,) their numbers in the whole model.
        landmarks: (68,) in the new numbers, -1 where a landmark was dropped.
        expression_rows: (V,) their numbers among the vertices that have expressions, or None.
        n_expression_vertices: how many vertices have expressions.
        triangles: (F, 3) outward, in the new numbers; None where the model's own are to be used.
    """

    vertices: NDArray[np.int64]
    landmarks: NDArray[np.int64]
    expression_rows: NDArray[np.int64] | None = None
    n_expression_vertices: int = 0
    triangles: NDArray[np.int64] | None = None


def read_crop(name: str, folder: Path, n_vertices: int) -> Crop:
    """The crop of one of `CROPS`.

    Args:
        name: a key of `CROPS`.
        folder: where the index files are.
        n_vertices: vertices of the whole model.

    Raises:
        FacebenchError: an index file is missing, damaged or of another model.
    """
    if name == "whole":
        return Crop(np.arange(n_vertices), landmarks_2009(n_vertices, "BFM 2009"))
    trimmed = _indices(folder / TRIM, "trimIndex", n_vertices)
    if name == "trimmed":
        landmarks = _renumbered(landmarks_2009(n_vertices, "BFM 2009"), trimmed, n_vertices)
        return Crop(trimmed, landmarks, np.arange(len(trimmed)), len(trimmed))
    front = _indices(folder / FRONT, "idx", len(trimmed))
    landmarks, triangles = _topology(folder / TOPOLOGY, len(front))
    return Crop(trimmed[front], landmarks, front, len(trimmed), triangles)


def _topology(path: Path, n_vertices: int) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Landmarks and triangles of the front crop; from the model itself without the file."""
    if not path.is_file():
        return landmarks_2009(n_vertices, str(path.parent / FRONT)), None
    landmarks = _indices(path, "keypoints", n_vertices)
    if landmarks.shape != (68,):
        raise FacebenchError(f"{path}: {landmarks.size} keypoints", f"expected 68; {FETCH}")
    return landmarks, _indices(path, "tri", n_vertices).reshape(-1, 3)


def _indices(path: Path, name: str, n_vertices: int) -> NDArray[np.int64]:
    """Vertex numbers counted from 0, flat in row order; the files count from 1."""
    stored = read_mat(path, [name], FETCH)[name]
    whole = np.asarray(stored, np.float64)
    if not whole.size or (whole % 1).any() or whole.min() < 1 or whole.max() > n_vertices:
        raise FacebenchError(
            f"{path}: {name} are no numbers from 1 to {n_vertices}",
            f"the file belongs to another model; {FETCH}",
        )
    return stored.astype(np.int64).ravel() - 1


def _renumbered(
    landmarks: NDArray[np.int64], kept: NDArray[np.int64], n_vertices: int
) -> NDArray[np.int64]:
    number = np.full(n_vertices, -1, np.int64)
    number[kept] = np.arange(len(kept))
    return number[landmarks]
