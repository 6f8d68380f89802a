"""Arrays out of a pickle, without unpickling: nothing that it names is called.

Of the inert notes that `pickle_machine.parse_pickle` makes of a pickle's classes and calls, only
those with the form of an array, a SciPy sparse matrix or a chumpy holder of one become arrays, with
every size held against the bytes that are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from .pickle_machine import Note, PickledArraysError, bytes_of, parse_pickle, text_of
from .text import read_bytes

MOST_FILE_BYTES = 2**28
"""The largest model stored so, FLAME's, takes 0.06 GB."""
_MOST_ARRAY_BYTES = 2**28
_DEEPEST_HOLDER = 4
_DAMAGED = "truncated or damaged: copy it again, or export its arrays to an .npz"


def read_pickled_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Arrays of a pickled dict by name; absent ones, and values that are no numbers, are left out.

    Args:
        path: a pickle, or an `.npy` of one object, as `numpy.save` writes a dict.
        names: which to read.

    Raises:
        FacebenchError: it cannot be read, is damaged, or asks for something else than arrays.
    """
    try:
        content = read_bytes(path, MOST_FILE_BYTES)
        found = (
            _object_in_npy(content) if content.startswith(b"\x93NUMPY") else parse_pickle(content)
        )
        items = found.items if isinstance(found, Note) else found
        if not isinstance(items, dict):
            raise PickledArraysError("it holds no table of names and arrays")
        named = {text_of(name): value for name, value in items.items()}
        return _within_limit({name: named[name] for name in names if name in named})
    except FacebenchError:
        raise
    except PickledArraysError as error:
        raise FacebenchError(f"{path}: {error}", "only arrays are read from a pickle") from error
    except Exception as error:  # whatever a damaged program leads to
        raise FacebenchError(
            f"{path}: no pickle of arrays ({error_line(error)})", _DAMAGED
        ) from error


def _within_limit(values: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays among values, which may not take more than a limit together."""
    arrays: dict[str, NDArray[Any]] = {}
    total = 0
    for name, value in values.items():
        array = _array_of(value)
        if array is None:
            continue
        # Many names may stand for one stored array, and each becomes an array of its own.
        total += array.nbytes
        if total > _MOST_ARRAY_BYTES:
            raise PickledArraysError(f"arrays of more than {_MOST_ARRAY_BYTES / 2**20:g} MiB")
        arrays[name] = array
    return arrays


def _object_in_npy(content: bytes) -> Any:
    """What an `.npy` of one object holds: after the header stands the pickle of an object array."""
    length = int.from_bytes(content[8:10] if content[6] == 1 else content[8:12], "little")
    note = parse_pickle(content[(10 if content[6] == 1 else 12) + length :])
    values = note.state[4] if isinstance(note, Note) and note.kind == "array" else None
    if not isinstance(values, list) or len(values) != 1:
        raise PickledArraysError("its array is no single object")
    return values[0]


def _array_of(value: Any) -> NDArray[Any] | None:
    """The array that a value is or holds; None where it holds none of numbers."""
    for _ in range(_DEEPEST_HOLDER):
        if not isinstance(value, Note) or value.kind != "holder":
            break
        # chumpy keeps the array of a free variable under `x`; expressions of variables have none.
        state = value.state if isinstance(value.state, dict) else {}
        value = state.get("x", state.get(b"x"))
    if isinstance(value, Note) and value.kind.startswith("sparse"):
        return _dense(value)
    return _plain_array(value)


def _plain_array(value: Any) -> NDArray[Any] | None:
    if isinstance(value, list) and value and all(isinstance(v, (int, float)) for v in value):
        listed = np.array(value)
        return listed if listed.dtype.kind in "fiub" else None
    if not isinstance(value, Note) or value.kind not in ("array", "buffer"):
        return None
    if value.kind == "buffer":
        return _from_bytes(*_members(value.arguments, 4))
    _, shape, kind, by_column, stored = _members(value.state, 5)
    return _from_bytes(stored, kind, shape, "F" if by_column else "C")


def _members(values: Any, count: int) -> tuple[Any, ...]:
    if not isinstance(values, tuple) or len(values) != count:
        raise PickledArraysError("an array without numbers")
    return values


def _from_bytes(stored: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any] | None:
    """The array of these bytes; None where they are objects or texts."""
    dtype = _dtype(kind)
    if dtype is None:
        return None
    content = bytes_of(stored)
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise PickledArraysError("an array whose shape is no tuple of numbers")
    # Python's integers do not overflow, so a damaged shape cannot look small.
    if math.prod(shape) * dtype.itemsize != len(content):
        raise PickledArraysError(f"an array of shape {shape} with {len(content)} bytes")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")
    return array.astype(dtype.newbyteorder("="))


def _dtype(note: Any) -> np.dtype[Any] | None:
    """The type of an array's numbers; None for objects and texts."""
    if not isinstance(note, Note) or note.kind != "dtype" or not note.arguments:
        raise PickledArraysError("an array without a type")
    name = text_of(note.arguments[0]).lstrip("<>=|")
    if name[:1] not in "fiub" or name[1:] not in ("1", "2", "4", "8"):
        return None
    order = note.state[1] if isinstance(note.state, tuple) and len(note.state) > 1 else "<"
    return np.dtype(name).newbyteorder(">" if text_of(order) == ">" else "<")


def _dense(note: Note) -> NDArray[Any]:
    """A sparse matrix (rows, columns) as an array."""
    state = note.state if isinstance(note.state, dict) else {}
    parts = {text_of(name): value for name, value in state.items()}
    shape = parts.get("_shape", parts.get("shape"))
    if not isinstance(shape, tuple) or len(shape) != 2 or not all(type(n) is int for n in shape):
        raise PickledArraysError("a sparse matrix without a shape")
    if min(shape) < 0 or math.prod(shape) * 8 > _MOST_ARRAY_BYTES:
        raise PickledArraysError(f"a sparse matrix of {shape[0]:,} × {shape[1]:,}")
    rows, columns, values = _entries(note.kind.split()[1], parts, shape)
    if len(rows) != len(values) or len(columns) != len(values):
        raise PickledArraysError("a sparse matrix whose parts do not fit each other")
    # Checked before NumPy indexes: a negative index would silently count from the end.
    for index, limit in ((rows, shape[0]), (columns, shape[1])):
        if len(index) and (index.min() < 0 or index.max() >= limit):
            raise PickledArraysError("a sparse matrix with entries outside of it")
    dense = np.zeros(shape)
    np.add.at(dense, (rows, columns), values)
    return dense


def _entries(
    kind: str, parts: Mapping[str, Any], shape: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Row, column and value of every entry."""
    if kind == "coo":
        # Newer SciPy keeps both in `coords`.
        places = parts.get("coords", (parts.get("row"), parts.get("col")))
        row, column = _members(places, 2)
        both = {"row": row, "column": column}
        return _part(both, "row"), _part(both, "column"), _part(parts, "data")
    index, ends, values = (_part(parts, name) for name in ("indices", "indptr", "data"))
    counts = np.diff(ends)
    lines = shape[1] if kind == "csc" else shape[0]
    if len(ends) != lines + 1 or ends[0] != 0 or (counts < 0).any() or ends[-1] != len(index):
        raise PickledArraysError("a sparse matrix whose parts do not fit each other")
    line = np.repeat(np.arange(lines), counts)
    return (index, line, values) if kind == "csc" else (line, index, values)


def _part(parts: Mapping[str, Any], name: str) -> NDArray[Any]:
    found = _plain_array(parts.get(name))
    if found is None or found.ndim != 1 or (name != "data" and found.dtype.kind not in "iu"):
        raise PickledArraysError(f"a sparse matrix without {name}")
    return found
