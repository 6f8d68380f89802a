"""The pickle machine without its calls: what a pickle would make stays a note of its parts.

A pickle is a program. Python's own unpickler runs it, and a list of allowed names still leaves
NumPy's constructors, attribute setting and the memo to whoever wrote the file. Here the opcodes
(`pickletools`) move plain values on a stack; what a class or a call would make stays an inert note
of its name, arguments and state.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_OPCODES = 200_000
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
_MARK = object()
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


class PickledArraysError(Exception):
    """The pickle is damaged or asks for something else than arrays; the text is for a user."""


@dataclass(eq=False)
class Note:
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


def parse_pickle(content: bytes) -> Any:
    """The value of a pickle, classes and calls being notes."""
    machine = Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(content))):
        if count > _MOST_OPCODES:
            raise PickledArraysError(f"more than {_MOST_OPCODES:,} steps, which no arrays take")
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return machine.pop()


class Machine:
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
        target = target.items if isinstance(target, Note) and target.kind == "mapping" else target
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
        self._stack.append(_known(text_of(module), text_of(name)))

    def _reduce(self, _: Any) -> None:
        arguments, called = self.pop(), self.pop()
        self._stack.append(_called(called, arguments))

    def _newobj(self, _: Any) -> None:
        self._reduce(None)

    def _build(self, _: Any) -> None:
        state = self.pop()
        self._top(Note).state = state


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
        return Note("unread")
    kind = _CALLS.get(called.key) or _CLASSES[called.key]
    if kind == "instance":
        made = arguments[0] if arguments else None
        if not isinstance(made, _Global) or made.key not in _CLASSES:
            raise PickledArraysError("it makes something that is no array")
        kind = _CLASSES[made.key]
    if kind == "bytes":
        return bytes_of(arguments[0] if arguments else b"")
    if kind == "set":
        return list(arguments[0]) if arguments and isinstance(arguments[0], list) else []
    return Note(kind, arguments)


def bytes_of(value: Any) -> bytes:
    """Bytes, which Python 2 wrote as text of one character a byte."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if not isinstance(value, (bytes, bytearray)):
        raise PickledArraysError("an array's numbers are not there")
    return bytes(value)


def text_of(value: Any) -> str:
    """A name, which Python 2 wrote as bytes."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, (str, int)):
        raise PickledArraysError("a name is no text")
    return str(value)
