"""FLAME from `generic_model.pkl` or an `.npz` of its arrays, in the neutral pose.

Shape and expression are FLAME's own; jaw, neck and eyes stay where the template has them, because
their rotations are not linear modes. The pickle is read, never run (`recon/files/pickled_arrays`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.pickled_arrays import read_pickled_arrays
from ..files.tables import read_npz_arrays
from .checks import MILLIMETRES
from .complete import complete_model
from .landmarks import read_landmark_table
from .load import FileKind, kind_of
from .model import MorphableModel

FETCH = "generic_model.pkl comes with FLAME under its own licence (flame.is.tue.mpg.de)"
LICENCE = "FLAME: the Max Planck Society's own licence (flame.is.tue.mpg.de)"

SHAPE_MODES = 300
"""Of `shapedirs`: the first are identity, the rest expression."""

EMBEDDINGS = ("landmark_embedding.npy", "flame_static_embedding.pkl")
"""Files of landmarks that are looked for beside the model, the more complete one first."""

CONTOUR = "flame_dynamic_embedding.npy"
_NAMES = ("v_template", "shapedirs", "f")
_SETS = (
    ("full_lmk_faces_idx", "full_lmk_bary_coords"),
    ("static_lmk_faces_idx", "static_lmk_bary_coords"),
    ("lmk_face_idx", "lmk_b_coords"),
)


def read_flame(
    path: Path, landmarks: Path | None = None, shape_modes: int = SHAPE_MODES, unit: str = "m"
) -> MorphableModel:
    """Read the model; metres become mm, modes carry their deviation already.

    Args:
        path: `generic_model.pkl`, or an `.npz` with `v_template`, `shapedirs` and `f`.
        landmarks: FLAME's embedding (`landmark_embedding.npy`, `flame_static_embedding.pkl`), or a
            table of vertices (`landmarks.py`); by default one of `EMBEDDINGS` beside the model.
        shape_modes: how many of the modes are identity; the rest are expressions.
        unit: what the lengths are in, a key of `MILLIMETRES`; metres as distributed.

    Raises:
        FacebenchError: a file is missing, damaged or of another model, no landmarks are there, or
            the pickle asks for something else than arrays.
    """
    arrays = _read_model(path)
    template, modes, triangles = (arrays[name] for name in _NAMES)
    to_mm = np.float32(MILLIMETRES[unit])
    return complete_model(
        {
            "mean_shape": template * MILLIMETRES[unit],
            "identity_basis": to_mm * modes[:, :, :shape_modes].astype(np.float32),
            "expression_basis": to_mm * modes[:, :, shape_modes:].astype(np.float32),
            "triangles": triangles,
            "landmarks": _read_landmarks(landmarks or _beside(path), template, triangles),
            "part": _parts(triangles, len(template)),
            "part_names": np.array(("head", "eyeballs")),
            "name": np.array("flame"),
            "licence": np.array(LICENCE),
        },
        str(path),
        unit,
        outward=True,
    )


def _read_model(path: Path) -> dict[str, NDArray[Any]]:
    """Template (V, 3), modes (V, 3, K) and triangles (F, 3), whole numbers."""
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", FETCH)
    arrays = _read_arrays(path, _NAMES)
    missing = [name for name in _NAMES if name not in arrays]
    if missing:
        raise FacebenchError(f"{path}: no {', '.join(missing)}, so this is not FLAME", FETCH)
    template, modes = arrays["v_template"], arrays["shapedirs"]
    if template.ndim != 2 or modes.ndim != 3 or modes.shape[:2] != template.shape:
        raise FacebenchError(
            f"{path}: v_template {template.shape} and shapedirs {modes.shape}",
            f"expected (V, 3) and (V, 3, K); {FETCH}",
        )
    # Stored unsigned: a difference of vertex numbers must be able to be negative.
    return arrays | {"f": arrays["f"].astype(np.int64)}


def _read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    if kind_of(path) is FileKind.ZIP:
        return read_npz_arrays(path, names)
    return read_pickled_arrays(path, names)


def _beside(path: Path) -> Path:
    found = [path.parent / name for name in EMBEDDINGS if (path.parent / name).is_file()]
    if not found:
        raise FacebenchError(
            f"{path}: the file names no landmarks",
            f"give --landmarks: FLAME's {' or '.join(EMBEDDINGS)}, or 68 vertex numbers",
        )
    return found[0]


def _read_landmarks(
    path: Path, template: NDArray[Any], triangles: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Vertex (68,) of each iBUG landmark, -1 where the files name none."""
    if path.suffix == ".txt" or path.suffix == ".toml":
        return read_landmark_table(path, len(template))
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", "--landmarks names FLAME's embedding")
    vertices = _embedding(path, triangles)
    if len(vertices) == 68:
        return vertices
    # The static points are iBUG 18 to 68; the jaw line moves with the head's turn and is apart.
    contour = path.parent / CONTOUR
    jaw = _frontal_contour(path, triangles)
    if jaw is None and contour.is_file():
        jaw = _frontal_contour(contour, triangles)
    missing = np.full(17, -1, np.int64)
    return np.concatenate([missing if jaw is None else jaw, vertices])


def _embedding(path: Path, triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Vertices of the 68, or of the 51 without the jaw line."""
    arrays = _read_arrays(path, tuple(name for pair in _SETS for name in pair))
    for faces, weights in _SETS:
        if faces in arrays and weights in arrays:
            vertices = _nearest_corners(arrays[faces], arrays[weights], triangles, path)
            if vertices.size in (51, 68):
                return vertices.ravel()
            raise FacebenchError(
                f"{path}: {vertices.size} landmarks", "expected iBUG's 68, or the 51 inner ones"
            )
    raise FacebenchError(f"{path}: no landmark embedding", f"expected {' or '.join(EMBEDDINGS)}")


def _frontal_contour(path: Path, triangles: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The 17 jaw line vertices of a frontal head, where a file has them by angle."""
    names = ("dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords", "lmk_face_idx", "lmk_b_coords")
    arrays = _read_arrays(path, names)
    for faces, weights in (names[:2], names[2:]):
        if faces in arrays and weights in arrays and arrays[faces].shape[1:] == (17,):
            # One row per degree of yaw, the first for a head that looks ahead.
            return _nearest_corners(arrays[faces][:1], arrays[weights][:1], triangles, path).ravel()
    return None


def _nearest_corners(
    faces: NDArray[Any], weights: NDArray[Any], triangles: NDArray[np.int64], path: Path
) -> NDArray[np.int64]:
    """The corner with the largest barycentric weight: a landmark of ours is a vertex."""
    if faces.dtype.kind not in "iu" or weights.shape != (*faces.shape, 3):
        raise FacebenchError(f"{path}: triangles {faces.shape} with weights {weights.shape}")
    if faces.size == 0 or faces.max() >= len(triangles) or faces.min() < 0:
        raise FacebenchError(
            f"{path}: triangle {faces.max(initial=0)}", f"the model has {len(triangles)}"
        )
    corners = triangles[faces.astype(np.int64)]
    largest = weights.argmax(axis=-1)[..., None]
    return np.take_along_axis(corners, largest, axis=-1)[..., 0]


def _parts(triangles: NDArray[np.int64], n_vertices: int) -> NDArray[np.int64]:
    """1 at the eyeballs, which are surfaces of their own beside the one of the head; (V,)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    part = np.zeros(n_vertices, np.int64)
    if triangles.size and triangles.min() >= 0 and triangles.max() < n_vertices:
        edges = np.concatenate([triangles[:, :2], triangles[:, 1:]]).T
        graph = coo_matrix((np.ones(edges.shape[1]), edges), shape=(n_vertices, n_vertices))
        count, label = connected_components(graph, directed=False)
        sizes = np.bincount(label)
        # Two of one size, as a head has them; anything else keeps the regions that landmarks give.
        if count == 3 and len(set(sizes)) == 2 and np.count_nonzero(sizes == sizes.min()) == 2:
            part[sizes[label] == sizes.min()] = 1
    return part
