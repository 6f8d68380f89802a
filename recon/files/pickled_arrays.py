"""Arrays out of a pickle, without unpickling: its opcodes are read, nothing it names is called.

A pickle is a program. Python's own unpickler runs it, and a list of allowed names still leaves
NumPy's constructors, attribute setting and the memo to whoever wrote the file. Here the opcodes
(`pickletools`) move plain values on a stack; what a class or a call would make stays an inert note
of its name, arguments and state. Only notes with the form of an array, a SciPy sparse matrix or a
chumpy holder of one are turned into arrays, with every size held against the bytes that are there.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from .text import read_bytes

MOST_FILE_BYTES = 2**28
"""The largest model stored so, FLAME's, takes 0.06 GB."""

_MOST_ARRAY_BYTES = 2**28
_MOST_OPCODES = 200_000
_DEEPEST_HOLDER = 4
_DAMAGED = "truncated or damaged: copy it again, or export its arrays to an .npz"

# What files of arrays name, by module and name; Python 2 and 3 and old and new SciPy differ.
_ARRAY = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}
_CLASSES = {
    ("numpy", "ndarray"): "array",
    ("numpy", "dtype"): "dtype",
    ("chumpy.ch", "Ch"): "holder",
    ("__builtin__", "object"): "object",
    ("builtins", "object"): "object",
    ("__builtin__", "set"): "set",
    ("builtins", "set"): "set",
    ("collections", "OrderedDict"): "mapping",
    **{
        (f"scipy.sparse.{prefix}{kind}", f"{kind}_{form}"): f"sparse {kind}"
        for kind in ("csc", "csr", "coo")
        for prefix in ("", "_")
        for form in ("matrix", "array")
    },
}
_CALLS = {
    **dict.fromkeys(_ARRAY, "array"),
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("copy_reg", "_reconstructor"): "instance",
    ("copyreg", "_reconstructor"): "instance",
    ("numpy.core.numeric", "_frombuffer"): "buffer",
    ("numpy._core.numeric", "_frombuffer"): "buffer",
    # Python 3 writes bytes so for Python 2: as text to be encoded, or nothing at all.
    ("_codecs", "encode"): "bytes",
    ("__builtin__", "bytes"): "bytes",
    ("builtins", "bytes"): "bytes",
}
# Tensors may stand beside the arrays that are wanted (DECA's embedding): noted, and never read.
_UNREAD = "torch"


class PickledArraysError(Exception):
    """The pickle is damaged or asks for something else than arrays; the text is for a user."""


@dataclass(eq=False)
class _Note:
    """What a pickle asks to be made: the kind, what it is made from, and the state set on it."""

    kind: str
    arguments: Any = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Global:
    """A name that a pickle imports; it is never imported."""

    module: str
    name: str

    @property
    def key(self) -> tuple[str, str]:
        return self.module, self.name

    @property
    def is_unread(self) -> bool:
        return self.module.split(".")[0] == _UNREAD


_MARK = object()


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
        found = _object_in_npy(content) if content.startswith(b"\x93NUMPY") else _parse(content)
        items = found.items if isinstance(found, _Note) else found
        if not isinstance(items, dict):
            raise PickledArraysError("it holds no table of names and arrays")
        named = {_text(name): value for name, value in items.items()}
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
    note = _parse(content[(10 if content[6] == 1 else 12) + length :])
    values = note.state[4] if isinstance(note, _Note) and note.kind == "array" else None
    if not isinstance(values, list) or len(values) != 1:
        raise PickledArraysError("its array is no single object")
    return values[0]


def _parse(content: bytes) -> Any:
    """The value of a pickle, classes and calls being notes."""
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(content))):
        if count > _MOST_OPCODES:
            raise PickledArraysError(f"more than {_MOST_OPCODES:,} steps, which no arrays take")
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return machine.pop()


class _Machine:
    """The pickle machine's stack and memo, without its calls."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        # A dict and not a list: a memo index of two billion must not make room for two billion.
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """One opcode by its name in `pickletools`."""
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self._stack.append(argument)
        elif name in _SILENT:
            return
        elif (action := getattr(self, f"_{name.lower()}", None)) is not None:
            action(argument)
        else:
            raise PickledArraysError(f"it uses {name}, which no arrays need")

    def pop(self) -> Any:
        """The topmost value."""
        if not self._stack or self._stack[-1] is _MARK:
            raise PickledArraysError("a value is missing")
        return self._stack.pop()

    def _to_mark(self) -> list[Any]:
        for position in range(len(self._stack) - 1, -1, -1):
            if self._stack[position] is _MARK:
                values = self._stack[position + 1 :]
                del self._stack[position:]
                return values
        raise PickledArraysError("a mark is missing")

    def _top(self, kind: type[Any]) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise PickledArraysError(f"no {kind.__name__} to fill")
        return self._stack[-1]

    def _mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._to_mark()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._top(object))

    def _put(self, index: int) -> None:
        self._memo[int(index)] = self._top(object)

    _binput = _long_binput = _put

    def _memoize(self, _: Any) -> None:
        self._put(len(self._memo))

    def _get(self, index: int) -> None:
        if int(index) not in self._memo:
            raise PickledArraysError("a value is used before it is there")
        self._stack.append(self._memo[int(index)])

    _binget = _long_binget = _get

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._to_mark()))

    def _tuple1(self, _: Any) -> None:
        self._last(1)

    def _tuple2(self, _: Any) -> None:
        self._last(2)

    def _tuple3(self, _: Any) -> None:
        self._last(3)

    def _last(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self._stack.append(tuple(reversed(values)))

    def _list(self, _: Any) -> None:
        self._stack.append(self._to_mark())

    def _append(self, _: Any) -> None:
        value = self.pop()
        self._top(list).append(value)

    def _appends(self, _: Any) -> None:
        values = self._to_mark()
        self._top(list).extend(values)

    _additems = _appends

    def _dict(self, _: Any) -> None:
        values = self._to_mark()
        self._stack.append(_pairs(values))

    def _setitem(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._fill([key, value])

    def _setitems(self, _: Any) -> None:
        self._fill(self._to_mark())

    def _fill(self, values: list[Any]) -> None:
        target = self._top(object)
        target = target.items if isinstance(target, _Note) and target.kind == "mapping" else target
        if not isinstance(target, dict):
            raise PickledArraysError("no table to fill")
        target.update(_pairs(values))

    def _frozenset(self, _: Any) -> None:
        self._stack.append(self._to_mark())

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(_known(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self._stack.append(_known(_text(module), _text(name)))

    def _reduce(self, _: Any) -> None:
        arguments, called = self.pop(), self.pop()
        self._stack.append(_called(called, arguments))

    def _newobj(self, _: Any) -> None:
        self._reduce(None)

    def _build(self, _: Any) -> None:
        state = self.pop()
        self._top(_Note).state = state


_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    # Members of a set need not be hashable here, because they are only notes.
    "EMPTY_SET": list,
}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
}
_SILENT = frozenset(("PROTO", "FRAME"))


def _pairs(values: list[Any]) -> dict[Any, Any]:
    if len(values) % 2:
        raise PickledArraysError("a name without a value")
    return {_hashable(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def _hashable(key: Any) -> Any:
    if not isinstance(key, (str, bytes, int, float, bool, type(None))):
        raise PickledArraysError("a table is named by something else than texts and numbers")
    return key


def _known(module: str, name: str) -> _Global:
    """A name that files of arrays use; every other ends the reading."""
    found = _Global(module, name)
    if found.key in _CLASSES or found.key in _CALLS or found.is_unread:
        return found
    raise PickledArraysError(f"it asks for {module}.{name}, which is not run")


def _called(called: Any, arguments: Any) -> Any:
    """The note of a call; texts that Python 2's codec would make bytes become them here."""
    if not isinstance(called, _Global) or not isinstance(arguments, tuple):
        raise PickledArraysError("it calls something that is no class of arrays")
    if called.is_unread:
        return _Note("unread")
    kind = _CALLS.get(called.key) or _CLASSES[called.key]
    if kind == "instance":
        made = arguments[0] if arguments else None
        if not isinstance(made, _Global) or made.key not in _CLASSES:
            raise PickledArraysError("it makes something that is no array")
        kind = _CLASSES[made.key]
    if kind == "bytes":
        return _bytes(arguments[0] if arguments else b"")
    if kind == "set":
        return list(arguments[0]) if arguments and isinstance(arguments[0], list) else []
    return _Note(kind, arguments)


def _bytes(value: Any) -> bytes:
    """Bytes, which Python 2 wrote as text of one character a byte."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if not isinstance(value, (bytes, bytearray)):
        raise PickledArraysError("an array's numbers are not there")
    return bytes(value)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, (str, int)):
        raise PickledArraysError("a name is no text")
    return str(value)


def _array_of(value: Any) -> NDArray[Any] | None:
    """The array that a value is or holds; None where it holds none of numbers."""
    for _ in range(_DEEPEST_HOLDER):
        if not isinstance(value, _Note) or value.kind != "holder":
            break
        # chumpy keeps the array of a free variable under `x`; expressions of variables have none.
        state = value.state if isinstance(value.state, dict) else {}
        value = state.get("x", state.get(b"x"))
    if isinstance(value, _Note) and value.kind.startswith("sparse"):
        return _dense(value)
    return _plain_array(value)


def _plain_array(value: Any) -> NDArray[Any] | None:
    if isinstance(value, list) and value and all(isinstance(v, (int, float)) for v in value):
        listed = np.array(value)
        return listed if listed.dtype.kind in "fiub" else None
    if not isinstance(value, _Note) or value.kind not in ("array", "buffer"):
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
    content = _bytes(stored)
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise PickledArraysError("an array whose shape is no tuple of numbers")
    # Python's integers do not overflow, so a damaged shape cannot look small.
    if math.prod(shape) * dtype.itemsize != len(content):
        raise PickledArraysError(f"an array of shape {shape} with {len(content)} bytes")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")
    return array.astype(dtype.newbyteorder("="))


def _dtype(note: Any) -> np.dtype[Any] | None:
    """The type of an array's numbers; None for objects and texts."""
    if not isinstance(note, _Note) or note.kind != "dtype" or not note.arguments:
        raise PickledArraysError("an array without a type")
    name = _text(note.arguments[0]).lstrip("<>=|")
    if name[:1] not in "fiub" or name[1:] not in ("1", "2", "4", "8"):
        return None
    order = note.state[1] if isinstance(note.state, tuple) and len(note.state) > 1 else "<"
    return np.dtype(name).newbyteorder(">" if _text(order) == ">" else "<")


def _dense(note: _Note) -> NDArray[Any]:
    """A sparse matrix (rows, columns) as an array."""
    state = note.state if isinstance(note.state, dict) else {}
    parts = {_text(name): value for name, value in state.items()}
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
