"""The Surrey Face Model as eos distributes it: shape, expressions and a table of landmarks.

eos' archives are plain little-endian numbers without a header, so every length is checked against
what is left of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from .checks import MILLIMETRES
from .complete import complete_model, deviations_of, modes, points
from .landmarks import read_landmark_table
from .load import FileKind, expect_kind
from .model import Float32Array, MorphableModel

EXPRESSIONS, LANDMARKS = "expression_blendshapes_3448.bin", "ibug_to_sfm.txt"

FETCH = f"sfm_shape_3448.bin, {EXPRESSIONS} and {LANDMARKS} are in the share folder of eos"
_LICENCE = "Surrey Face Model: the University of Surrey's own licence, see eos"
_VERSION = 1
_MOST_EXPRESSIONS = 1000

Number = TypeVar("Number", bound=np.generic)

_LONGEST_NAME = 200

Linear = tuple[NDArray[np.float32], Float32Array, NDArray[np.int32]]
"""A mean (3V, 1), modes (V, 3, K) that carry their deviation, and the triangles (F, 3)."""


def read_surrey(
    path: Path, expressions: Path | None = None, landmarks: Path | None = None, unit: str = "mm"
) -> MorphableModel:
    """Read eos' archives of version 1.

    Args:
        path: `sfm_shape_3448.bin`, or another archive of that version.
        expressions: eos' blend shapes; by default those beside it, if there: without them the
            model has no expressions.
        landmarks: which vertices the iBUG landmarks are; by default eos' table beside it.
        unit: what the lengths are in, a key of `MILLIMETRES`; mm as distributed.

    Raises:
        FacebenchError: a file is missing, truncated, of another version or of another model.
    """
    (mean, identity, triangles), (colour, colour_modes, _) = _read_model(path)
    to_mm = np.float32(MILLIMETRES[unit])
    mean_shape = points(mean, f"{path}: shape mean") * MILLIMETRES[unit]
    if expressions is None and (path.parent / EXPRESSIONS).is_file():
        expressions = path.parent / EXPRESSIONS
    names, blend_shapes = _read_expressions(expressions, len(mean_shape))
    arrays: dict[str, NDArray[Any]] = {
        "mean_shape": mean_shape,
        "identity_basis": to_mm * identity,
        "expression_basis": to_mm * blend_shapes,
        "expression_names": np.array(names, np.str_),
        "triangles": triangles,
        "landmarks": _read_landmarks(landmarks or path.parent / LANDMARKS, len(mean_shape)),
        "name": np.array("surrey"),
        "licence": np.array(_LICENCE),
    }
    # The free version is without colours, which then are made up from the regions.
    if colour.size:
        arrays["mean_albedo"] = points(colour, f"{path}: colour mean")
        arrays["albedo_basis"] = colour_modes
    return complete_model(arrays, str(path), unit, outward=True)


def _read_model(path: Path) -> tuple[Linear, Linear]:
    """Shape and colour models."""
    expect_kind(path, FileKind.OTHER, FETCH)
    archive = EosArchive(path, FETCH)
    version = archive.u32()
    if version != _VERSION:
        raise FacebenchError(
            f"{path}: begins with {version}; a shape model of eos begins with its version, 1",
            f"another file, or an archive of a newer version; {FETCH}",
        )
    shape, colours = (_read_linear(archive, f"{path}: {kind}") for kind in ("shape", "colour"))
    # Texture coordinates are not used, but without reading them the end could not be checked.
    archive.pairs()
    archive.end()
    return shape, colours


def _read_linear(archive: EosArchive, where: str) -> Linear:
    mean, basis, variances = archive.matrix(), archive.matrix(), archive.matrix()
    scaled = modes(basis, deviations_of(variances, where), where) if mean.size else basis
    return mean, scaled, archive.triples()


def _read_expressions(path: Path | None, n_vertices: int) -> tuple[list[str], Float32Array]:
    """Names and displacements (V, 3, K) of the blend shapes."""
    if path is None:
        return [], np.zeros((n_vertices, 3, 0), np.float32)
    expect_kind(path, FileKind.OTHER, FETCH)
    archive = EosArchive(path, FETCH)
    count = archive.u64()
    # The first eight bytes of any other file are a number too, and a huge one.
    if not 1 <= count <= _MOST_EXPRESSIONS:
        raise FacebenchError(f"{path}: begins with {count}, no number of blend shapes", FETCH)
    pairs = [(archive.name(), archive.matrix()) for _ in range(count)]
    archive.end()
    if any(matrix.size != 3 * n_vertices for _, matrix in pairs):
        raise FacebenchError(
            f"{path}: blend shapes of another number of vertices than {n_vertices}", FETCH
        )
    # Displacements already: they are not relative to a mean of their own.
    shapes = [matrix.reshape(n_vertices, 3) for _, matrix in pairs]
    return [name for name, _ in pairs], np.stack(shapes, axis=2)


def _read_landmarks(path: Path, n_vertices: int) -> NDArray[np.int64]:
    if not path.is_file():
        raise FacebenchError(f"{path}: no such file", f"--landmarks names it; {FETCH}")
    return read_landmark_table(path, n_vertices)


class EosArchive:
    """Reads one value after the other.

    Args:
        path: the file.
        fetch: where the right file comes from, for errors.

    Raises:
        FacebenchError: the file cannot be read; so does every method at a truncated file.
    """

    def __init__(self, path: Path, fetch: str) -> None:
        self._path, self._fetch, self._offset = path, fetch, 0
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise FacebenchError(f"{path}: unreadable ({error.strerror})", fetch) from error

    def u32(self) -> int:
        """An unsigned 32-bit number."""
        return int(self._take(np.uint32, 1)[0])

    def u64(self) -> int:
        """An unsigned 64-bit number, a list's length."""
        return int(self._take(np.uint64, 1)[0])

    def matrix(self) -> NDArray[np.float32]:
        """A float32 matrix: rows, columns, entries column by column."""
        rows, columns = (int(n) for n in self._take(np.int32, 2))
        if rows < 0 or columns < 0:
            raise self._damage_error(f"a matrix of {rows} × {columns}")
        # Eigen writes column by column, NumPy reads row by row: hence the transpose.
        return self._take(np.float32, rows * columns).reshape(columns, rows).T

    def triples(self) -> NDArray[np.int32]:
        """A list of three int32 each, (N, 3)."""
        return self._take(np.int32, 3 * self.u64()).reshape(-1, 3)

    def pairs(self) -> NDArray[np.float64]:
        """A list of two float64 each, (N, 2)."""
        return self._take(np.float64, 2 * self.u64()).reshape(-1, 2)

    def name(self) -> str:
        """A text with its length."""
        length = self.u64()
        if length > _LONGEST_NAME:
            raise self._damage_error(f"a name of {length} letters")
        return self._take(np.uint8, length).tobytes().decode(errors="replace")

    def end(self) -> None:
        """Refuse an archive with bytes after its end."""
        # Bytes left over mean that an earlier length was misread, even if all numbers looked sound.
        rest = len(self._content) - self._offset
        if rest:
            raise self._damage_error(f"{rest} bytes after its end")

    def _take(self, kind: type[Number], count: int) -> NDArray[Number]:
        stored = np.dtype(kind).newbyteorder("<")
        # Checked before anything is reserved: a damaged length may ask for all memory there is.
        if stored.itemsize * count > len(self._content) - self._offset:
            raise self._damage_error(f"{count} numbers do not fit after byte {self._offset}")
        values = np.frombuffer(self._content, stored, count, self._offset)
        self._offset += values.nbytes
        return values.astype(kind)

    def _damage_error(self, what: str) -> FacebenchError:
        return FacebenchError(
            f"{self._path}: truncated or no eos archive ({what})", f"copy it again; {self._fetch}"
        )
