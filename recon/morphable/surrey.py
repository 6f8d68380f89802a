"""The Surrey Face Model as eos distributes it: shape, expressions and a table of landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .checks import MILLIMETRES, check_outward
from .complete import complete_model
from .eos_archive import EosArchive
from .file_kinds import FileKind, expect_kind
from .interleaved import deviations_of, modes, points
from .landmark_table import read_landmark_table
from .model import Float32Array, MorphableModel

EXPRESSIONS, LANDMARKS = "expression_blendshapes_3448.bin", "ibug_to_sfm.txt"

FETCH = f"sfm_shape_3448.bin, {EXPRESSIONS} and {LANDMARKS} are in the share folder of eos"
_LICENCE = "Surrey Face Model: the University of Surrey's own licence, see eos"
_VERSION = 1
_MOST_EXPRESSIONS = 1000


@dataclass(frozen=True)
class SurreyFiles:
    """The files beside the shape model; by default those of eos' names in its folder.

    Attributes:
        expressions: blend shapes; without them the model has no expressions.
        landmarks: which vertices the iBUG landmarks are.
    """

    expressions: Path | None
    landmarks: Path

    @classmethod
    def beside(cls, path: Path) -> SurreyFiles:
        """What lies in the shape model's folder."""
        expressions = path.parent / EXPRESSIONS
        return cls(expressions if expressions.is_file() else None, path.parent / LANDMARKS)


@dataclass(frozen=True)
class _LinearModel:
    """A mean (3V, 1), its orthonormal modes (3V, K), their variances and the triangles."""

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]
    variances: NDArray[np.float32]
    triangles: NDArray[np.int32]


def read_surrey(path: Path, files: SurreyFiles | None = None, unit: str = "mm") -> MorphableModel:
    """Read eos' archives of version 1.

    Args:
        path: `sfm_shape_3448.bin`, or another archive of that version.
        files: expressions and landmarks; by default those beside it.
        unit: what the lengths are in, a key of `MILLIMETRES`; mm as distributed.

    Raises:
        FacebenchError: a file is missing, truncated, of another version or of another model.
    """
    files = files or SurreyFiles.beside(path)
    shape, colours = _read_model(path)
    to_mm = np.float32(MILLIMETRES[unit])
    mean = points(shape.mean, f"{path}: shape mean") * MILLIMETRES[unit]
    names, expressions = _read_expressions(files.expressions, len(mean))
    arrays: dict[str, NDArray[Any]] = {
        "mean_shape": mean,
        "identity_basis": to_mm * _modes(shape, f"{path}: shape"),
        "expression_basis": to_mm * expressions,
        "expression_names": np.array(names, np.str_),
        "triangles": shape.triangles,
        "landmarks": _read_landmarks(files.landmarks, len(mean)),
        "name": np.array("surrey"),
        "licence": np.array(_LICENCE),
    }
    if colours.mean.size:
        arrays["mean_albedo"] = points(colours.mean, f"{path}: colour mean")
        arrays["albedo_basis"] = _modes(colours, f"{path}: colour")
    model = complete_model(arrays, str(path), unit)
    if model.landmarks[30] >= 0:
        check_outward(model.mean_shape, model.triangles, int(model.landmarks[30]), str(path))
    return model


def _read_model(path: Path) -> tuple[_LinearModel, _LinearModel]:
    """Shape and colour models."""
    expect_kind(path, FileKind.OTHER, FETCH)
    archive = EosArchive(path, FETCH)
    version = archive.u32()
    if version != _VERSION:
        raise FacebenchError(
            f"{path}: begins with {version}; a shape model of eos begins with its version, 1",
            f"another file, or an archive of a newer version; {FETCH}",
        )
    shape, colours = _read_linear(archive), _read_linear(archive)
    archive.pairs()
    archive.end()
    return shape, colours


def _read_linear(archive: EosArchive) -> _LinearModel:
    mean, basis, variances = archive.matrix(), archive.matrix(), archive.matrix()
    return _LinearModel(mean, basis, variances, archive.triples())


def _modes(linear: _LinearModel, where: str) -> Float32Array:
    return modes(linear.basis, deviations_of(linear.variances, where), where)


def _read_expressions(path: Path | None, n_vertices: int) -> tuple[list[str], Float32Array]:
    """Names and displacements (V, 3, K) of the blend shapes."""
    if path is None:
        return [], np.zeros((n_vertices, 3, 0), np.float32)
    expect_kind(path, FileKind.OTHER, FETCH)
    archive = EosArchive(path, FETCH)
    count = archive.u64()
    if not 1 <= count <= _MOST_EXPRESSIONS:
        raise FacebenchError(f"{path}: begins with {count}, no number of blend shapes", FETCH)
    pairs = [(archive.name(), archive.matrix()) for _ in range(count)]
    archive.end()
    if any(matrix.size != 3 * n_vertices for _, matrix in pairs):
        raise FacebenchError(
            f"{path}: blend shapes of another number of vertices than {n_vertices}", FETCH
        )
    shapes = [matrix.reshape(n_vertices, 3) for _, matrix in pairs]
    return [name for name, _ in pairs], np.stack(shapes, axis=2)


def _read_landmarks(path: Path, n_vertices: int) -> NDArray[np.int64]:
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", f"--landmarks names it; {FETCH}")
    return read_landmark_table(path, n_vertices)
