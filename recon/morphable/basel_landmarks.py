"""Where landmarks lie on the Basel Face Models, and which vertices of the 2009 model are kept.

The 2009 model has a table of vertex numbers; the 2017 and 2019 files name points in space. Crops
of the 2009 model come from the index files of the Deep3D family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.text import parse_json
from .mat5 import read_mat

WHOLE_2009, FRONT_2009 = 53490, 35709
"""Vertices of BFM 2009, and of its widely used crop to the face's front."""

_OF_WHOLE = """
22148 22424 21928 21311 43511 45193 46441 47410 48189 48970 49942 51199 52888 33953 33280 32744
32984 38970 39667 40057 40262 40429 41168 41334 41542 41936 42642 8290 8306 8316 8321 6525 7300
8333 9364 10137 2215 3886 4920 5828 4801 3640 10730 11628 12658 14341 12928 11767 5522 6025 7570
8344 9118 10669 11070 9792 9019 8374 7729 6954 5909 7450 8352 9256 10812 9012 8367 7722
"""
_OF_FRONT = """
16644 16888 16467 16264 32244 32939 33375 33654 33838 34022 34312 34766 35472 27816 27608 27208
27440 28111 28787 29177 29382 29549 30288 30454 30662 31056 31716 8161 8177 8187 8192 6515 7243
8204 9163 9883 2215 3886 4920 5828 4801 3640 10455 11353 12383 14066 12653 11492 5522 6025 7495
8215 8935 10395 10795 9555 8836 8236 7636 6915 5909 7384 8223 9064 10537 8829 8229 7629
"""
_VERTICES: Mapping[int, str] = {WHOLE_2009: _OF_WHOLE, FRONT_2009: _OF_FRONT}

IBUG_OF_NAME: Mapping[str, int] = {
    "center.chin.tip": 8,
    "center.nose.tip": 30,
    "right.eye.corner_outer": 36,
    "right.eye.corner_inner": 39,
    "left.eye.corner_inner": 42,
    "left.eye.corner_outer": 45,
    "right.lips.corner": 48,
    "center.lips.upper.outer": 51,
    "left.lips.corner": 54,
    "center.lips.lower.outer": 57,
    "center.lips.upper.inner": 62,
    "center.lips.lower.inner": 66,
}
"""iBUG landmark, counted from 0, of the points named in the 2017 and 2019 files.

Only names that mean an iBUG point; those files name no jaw line, brow ends or nostrils.
"""

Points = NDArray[np.float64]

NAMED_POINTS = "metadata/landmarks/json"
"""The data set that holds them: a JSON list of `id` and `coordinates`."""

_FARTHEST_SHARE = 0.05
_ADVICE = "give a table of landmarks with --landmarks"

TRIM, FRONT, TOPOLOGY = "BFM_exp_idx.mat", "BFM_front_idx.mat", "facemodel_info.mat"

CROPS: Mapping[str, str] = {
    "front": "the face without ears and neck (35,709 vertices), with expressions",
    "trimmed": "all but the inner mouth (53,215 vertices), with expressions",
    "whole": "every vertex (53,490), without expressions",
}
"""Name and content; expressions exist for the trimmed vertices and those among them only."""

FETCH = f"{TRIM}, {FRONT} and {TOPOLOGY} are in the BFM folder of Deep3DFaceRecon_pytorch"


def landmarks_2009(n_vertices: int, where: str) -> NDArray[np.int64]:
    """Vertices (68,), counted from 0, in BFM 2009 or its front crop.

    Raises:
        FacebenchError: the model has another number of vertices, so that no table fits.
    """
    if n_vertices not in _VERTICES:
        raise FacebenchError(
            f"{where}: {n_vertices} vertices, and no landmarks are known for that many",
            f"BFM 2009 has {WHOLE_2009}, its front crop {FRONT_2009}; is it another model's file?",
        )
    return np.array(_VERTICES[n_vertices].split(), np.int64)


def read_named_points(stored: Any, where: str) -> dict[int, Points]:
    """Position (3,) of every iBUG landmark, counted from 0, that is among the named points.

    Args:
        stored: the data set's content: text, bytes, or an array of bytes.
        where: what errors call the source.

    Raises:
        FacebenchError: it is no such list, or names none of `IBUG_OF_NAME`.
    """
    try:
        # Foreign JSON may be anything: all that can go wrong in it ends as one line.
        named = {
            IBUG_OF_NAME[item["id"]]: np.array(item["coordinates"], np.float64).reshape(3)
            for item in parse_json(_text(stored))
            if item["id"] in IBUG_OF_NAME
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise FacebenchError(f"{where}: {NAMED_POINTS} is damaged", _ADVICE) from error
    if not named:
        raise FacebenchError(f"{where}: {NAMED_POINTS} names no iBUG landmark", _ADVICE)
    return named


def _text(stored: Any) -> str:
    if isinstance(stored, str):
        return stored
    # A text comes as str, bytes or an array of bytes, depending on how it was stored.
    content: bytes = stored if isinstance(stored, bytes) else stored.tobytes()
    return content.decode()


def nearest_vertices(
    named: Mapping[int, Points], surfaces: Sequence[Points], where: str
) -> NDArray[np.int64]:
    """Vertex (68,) of each landmark, -1 where it is not named.

    Args:
        named: position (3,) by landmark.
        surfaces: vertices (V, 3) of the meshes that the points may have been marked on; the one
            they lie closest to counts.
        where: what errors call the source.

    Raises:
        FacebenchError: a point lies off every surface.
    """
    from scipy.spatial import cKDTree

    marked = np.stack(list(named.values()))
    found = [cKDTree(surface).query(marked) for surface in surfaces]
    # The surface that was marked is the one on which the points lie.
    away, vertices = min(found, key=lambda pair: float(np.mean(pair[0])))
    # A share of the face and not mm: the unit is checked later.
    if np.max(away) > _FARTHEST_SHARE * np.ptp(marked, axis=0).max():
        raise FacebenchError(f"{where}: a named landmark lies off the surface", _ADVICE)
    landmarks = np.full(68, -1, np.int64)
    landmarks[list(named)] = vertices
    return landmarks


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
        landmarks = _renumber(landmarks_2009(n_vertices, "BFM 2009"), trimmed, n_vertices)
        return Crop(trimmed, landmarks, np.arange(len(trimmed)), len(trimmed))
    # The front's numbers count the trimmed vertices, not those of the whole model.
    front = _indices(folder / FRONT, "idx", len(trimmed))
    landmarks, triangles = _topology(folder / TOPOLOGY, len(front))
    return Crop(trimmed[front], landmarks, front, len(trimmed), triangles)


def _topology(path: Path, n_vertices: int) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Landmarks and triangles of the front crop; from the model itself without the file."""
    if not path.is_file():
        # The published vertex numbers hold for the same crop; triangles come from the model itself.
        return landmarks_2009(n_vertices, str(path.parent / FRONT)), None
    landmarks = _indices(path, "keypoints", n_vertices)
    if landmarks.shape != (68,):
        raise FacebenchError(f"{path}: {landmarks.size} keypoints", f"expected 68; {FETCH}")
    return landmarks, _indices(path, "tri", n_vertices).reshape(-1, 3)


def _indices(path: Path, name: str, n_vertices: int) -> NDArray[np.int64]:
    """Vertex numbers counted from 0, flat in row order; the files count from 1."""
    stored = read_mat(path, [name], FETCH)[name]
    # MATLAB stores whole numbers as doubles.
    whole = np.asarray(stored, np.float64)
    if not whole.size or (whole % 1).any() or whole.min() < 1 or whole.max() > n_vertices:
        raise FacebenchError(
            f"{path}: {name} are no numbers from 1 to {n_vertices}",
            f"the file belongs to another model; {FETCH}",
        )
    return stored.astype(np.int64).ravel() - 1


def _renumber(
    landmarks: NDArray[np.int64], kept: NDArray[np.int64], n_vertices: int
) -> NDArray[np.int64]:
    number = np.full(n_vertices, -1, np.int64)
    number[kept] = np.arange(len(kept))
    # A landmark on a dropped vertex becomes -1, "none".
    return number[landmarks]
