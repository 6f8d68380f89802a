"""ICT-FaceKit's original folder: a neutral OBJ, one OBJ per mode, and an index of names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.text import read_json
from .complete import complete_model
from .model import MorphableModel

NEUTRAL = "generic_neutral_mesh.obj"
INDEX = "vertex_indices.json"
N_VERTICES = 26719

PARTS = {
    "face": range(9409),
    "head_neck": range(9409, 11248),
    "mouth_socket": range(11248, 13294),
    "eye_sockets": range(13294, 14062),
    "eyeballs": range(21451, 24591),
}
"""Vertices of the named parts; the rest (teeth, lashes, tear film …) is left out."""

_MM_PER_CM = 10.0
_LICENCE = "MIT (USC Institute for Creative Technologies)"


def is_ict_folder(folder: Path) -> bool:
    """Whether the folder, or its `FaceXModel`, holds the neutral mesh."""
    return (_model_folder(folder) / NEUTRAL).is_file()


def read_ict(folder: Path, parts: Iterable[str] = tuple(PARTS)) -> MorphableModel:
    """Read the modes present, centimetres to millimetres; a mode is its OBJ less the neutral.

    Args:
        folder: `FaceXModel`, or the folder that holds it.
        parts: names among `PARTS` to keep; `face` holds every landmark and is needed.

    Raises:
        FacebenchError: a file is missing, unreadable or of another topology.
    """
    folder = _model_folder(folder)
    part = _part_of_vertices(tuple(parts))
    # Teeth, lashes and tear film lie inside or before the skin and would spoil closest points.
    kept = np.flatnonzero(part >= 0)
    neutral = _read_mode(folder / NEUTRAL)
    index = read_index(folder / INDEX)
    identities = sorted(folder.glob("identity[0-9][0-9][0-9].obj"))
    expressions = [folder / f"{n}.obj" for n in index["expressions"]]
    # A folder with some of the modes is a smaller model, not a broken one.
    expressions = [path for path in expressions if path.is_file()]
    arrays = {
        "mean_shape": neutral[kept],
        "identity_basis": _deltas(identities, neutral, kept),
        "expression_basis": _deltas(expressions, neutral, kept),
        "triangles": _keep_triangles(read_faces(folder / NEUTRAL), kept),
        # The index counts the vertices of the whole mesh.
        "landmarks": _new_numbers(kept)[index["idx_to_landmark_verts"]],
        "part": part[kept],
        "part_names": np.array(tuple(PARTS)),
        "identity_names": np.array([path.stem for path in identities]),
        "expression_names": np.array([path.stem for path in expressions]),
        "name": np.array("ict-facekit"),
        "licence": np.array(_LICENCE),
    }
    return complete_model(arrays, str(folder))


def _model_folder(folder: Path) -> Path:
    inner = folder / "FaceXModel"
    return inner if inner.is_dir() else folder


def _part_of_vertices(names: tuple[str, ...]) -> NDArray[np.int64]:
    """Number of the part of every vertex, -1 where it is not kept."""
    unknown = [name for name in names if name not in PARTS]
    if unknown or "face" not in names:
        wrong = f"no part '{unknown[0]}'" if unknown else "the part 'face' is needed"
        raise FacebenchError(f"ICT-FaceKit: {wrong}", f"known parts: {', '.join(PARTS)}")
    part = np.full(N_VERTICES, -1, np.int64)
    for number, (name, vertices) in enumerate(PARTS.items()):
        if name in names:
            part[vertices.start : vertices.stop] = number
    return part


def _read_mode(path: Path) -> NDArray[np.float32]:
    vertices = read_vertices(path)
    if len(vertices) != N_VERTICES:
        raise FacebenchError(
            f"{path}: {len(vertices)} vertices",
            f"ICT-FaceKit's meshes have {N_VERTICES}; the file is truncated or of another model",
        )
    # Scaled in double precision: the OBJ has more digits than float32 keeps.
    return (vertices * _MM_PER_CM).astype(np.float32)


def _deltas(
    paths: list[Path], neutral: NDArray[np.float32], kept: NDArray[np.int64]
) -> NDArray[np.float32]:
    basis = np.zeros((len(kept), 3, len(paths)), np.float32)
    for mode, path in enumerate(paths):
        # One standard deviation each already, so there is nothing to scale.
        basis[:, :, mode] = (_read_mode(path) - neutral)[kept]
    return basis


def _keep_triangles(triangles: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles all of whose vertices are kept, in the new numbers."""
    renumbered = _new_numbers(kept)[triangles]
    inside: NDArray[np.int64] = renumbered[(renumbered >= 0).all(axis=1)]
    return inside


def _new_numbers(kept: NDArray[np.int64]) -> NDArray[np.int64]:
    numbers = np.full(N_VERTICES, -1, np.int64)
    numbers[kept] = np.arange(len(kept))
    return numbers


def read_index(path: Path) -> dict[str, Any]:
    """Names of the expressions, and the vertex (68,) of each landmark.

    Raises:
        FacebenchError: the file is missing or does not hold them.
    """
    try:
        index: dict[str, Any] = read_json(path)
        landmarks = np.array(index["idx_to_landmark_verts"], np.int64)
        names = [str(name) for name in index["expressions"]]
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise FacebenchError(
            f"{path}: no usable index ({type(error).__name__}: {error})",
            "take ICT-FaceKit's own file, with 'expressions' and 'idx_to_landmark_verts'",
        ) from error
    # All 68 lie on the face, the one part that cannot be left out.
    if landmarks.shape != (68,) or landmarks.min() < 0 or landmarks.max() >= N_VERTICES:
        raise FacebenchError(f"{path}: idx_to_landmark_verts are not 68 vertices of the model")
    return {"expressions": names, "idx_to_landmark_verts": landmarks}


def read_vertices(path: Path) -> NDArray[np.float64]:
    """Positions (V, 3) of the `v` lines, in file order and unit.

    Raises:
        FacebenchError: the file is unreadable or a line does not hold three numbers.
    """
    rows = [line[2:] for line in _lines(path) if line.startswith(b"v ")]
    try:
        values = np.array(b" ".join(rows).split(), np.float64)
        vertices: NDArray[np.float64] = values.reshape(len(rows), -1)[:, :3]
    except ValueError as error:
        raise FacebenchError(f"{path}: a damaged vertex line", "copy the file again") from error
    if vertices.shape[1:] != (3,) or not np.isfinite(vertices).all():
        raise FacebenchError(f"{path}: no three finite numbers a vertex", "copy the file again")
    return vertices


def read_faces(path: Path) -> NDArray[np.int64]:
    """Triangles (F, 3), counted from 0, of the `f` lines; a polygon becomes a fan.

    Raises:
        FacebenchError: the file is unreadable or a line does not hold three or more vertices.
    """
    rows = [line[2:].split() for line in _lines(path) if line.startswith(b"f ")]
    fans = []
    try:
        for corners in sorted({len(row) for row in rows}):
            tokens = [token for row in rows if len(row) == corners for token in row]
            numbers = np.array([token.partition(b"/")[0] for token in tokens], np.int64)
            fans.append(_fan(numbers.reshape(-1, corners)))
    except (ValueError, OverflowError) as error:
        raise FacebenchError(f"{path}: a damaged face line", "copy the file again") from error
    return np.concatenate([np.zeros((0, 3), np.int64), *fans]) - 1


def _fan(polygons: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles (N (C - 2), 3) of N polygons with C corners, (N, C)."""
    corners = polygons.shape[1]
    triangles = [polygons[:, [0, i, i + 1]] for i in range(1, corners - 1)]
    return np.stack(triangles, axis=1).reshape(-1, 3)


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError as error:
        raise FacebenchError(f"{path}: unreadable ({error.strerror})") from error
