"""Arrays out of pickles, and pickles that would do something: none of them does."""

from __future__ import annotations

import pickle
import pickletools
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.errors import FacebenchError
from facebench.recon.files.pickle_machine import _CONSTANTS, _LITERALS, _SILENT, Machine
from facebench.recon.files.pickled_arrays import read_pickled_arrays

ARRAYS = {
    "by_row": np.arange(12.0).reshape(3, 4),
    "by_column": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "other_order": np.arange(3, dtype=">f4"),
    "unsigned": np.arange(5, dtype=np.uint32),
    "truth": np.array([True, False]),
    "empty": np.zeros((0, 3)),
    "csc": sparse.csc_matrix(np.diag([1.0, 0.0, 3.0])),
    "csr": sparse.csr_matrix(np.arange(6.0).reshape(2, 3)),
    "coo": sparse.coo_matrix(np.eye(2)),
}
OTHERS = {"text": "a name", "nothing": None, "objects": np.array([{}], dtype=object)}


def _plain(value: object) -> np.ndarray:
    return value.toarray() if sparse.issparse(value) else np.asarray(value)


def _check(found: dict[str, np.ndarray]) -> None:
    assert sorted(found) == sorted(ARRAYS)
    for name, array in found.items():
        np.testing.assert_array_equal(array, _plain(ARRAYS[name]))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_gives_the_arrays_and_nothing_else(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps(ARRAYS | OTHERS, protocol))
    _check(read_pickled_arrays(path, [*ARRAYS, *OTHERS, "absent"]))


def test_a_dict_in_an_npy(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npy"
    np.save(path, ARRAYS | OTHERS, allow_pickle=True)  # type: ignore[arg-type]
    _check(read_pickled_arrays(path, ARRAYS))


def _text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _call(module: str, name: str, *arguments: str) -> bytes:
    """GLOBAL, arguments, REDUCE: the plain way to run something."""
    return f"c{module}\n{name}\n(".encode() + b"".join(map(_text, arguments)) + b"tR"


def _in_table(program: bytes) -> bytes:
    return b"\x80\x02}" + _text("a") + program + b"s."


class _Reduced:
    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.parts = (call, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.parts


_ARRAY = b"cnumpy\nndarray\n"
_RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n(" + _ARRAY + b"K\x00\x85C\x01bt"


def _state(shape: bytes, dtype: bytes = b"f8", data: bytes = b"C\x08" + bytes(8)) -> bytes:
    kind = b"cnumpy\ndtype\n" + _text(dtype.decode()) + b"\x89\x88\x87R"
    return b"(K\x01" + shape + kind + b"\x89" + data + b"tb"


HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "a shell": lambda c: _in_table(_call("os", "system", f"touch {c}")),
    "posix under its own name": lambda c: _in_table(_call("posix", "system", f"touch {c}")),
    "a file opened": lambda c: pickle.dumps({"a": _Reduced(open, str(c), "w")}, 2),
    "python evaluated": lambda c: _in_table(
        _call("builtins", "eval", f"open({str(c)!r}, 'w').close()")
    ),
    "python 2's name of it": lambda c: _in_table(
        _call("__builtin__", "eval", f"open({str(c)!r}, 'w').close()")
    ),
    "another pickle loaded": lambda c: _in_table(
        b"c_pickle\nloads\n(C"
        + bytes([len(p := pickle.dumps(_Reduced(open, str(c), "w")))])
        + p
        + b"tR"
    ),
    "numpy's own loader": lambda c: _in_table(_call("numpy", "load", str(c))),
    "an old instance": lambda c: _in_table(f"(V{c}\nVw\nibuiltins\nopen\n".encode()),
    "an old object": lambda c: _in_table(b"(cbuiltins\nopen\n" + _text(str(c)) + _text("w") + b"o"),
    "a name through attributes": lambda c: (
        b"\x80\x04}"
        + _text("a")
        + _text("numpy")
        + _text("ndarray.__init__.__globals__")
        + b"\x93s."
    ),
    "a keyword call": lambda c: b"\x80\x04}" + _text("a") + b"cbuiltins\nopen\n)}\x92s.",
    "a persistent name": lambda c: _in_table(f"P{c}\n".encode()),
    "a registered extension": lambda c: _in_table(b"\x82\x01"),
    "a class changed": lambda c: _in_table(_ARRAY + b"}" + _text("shape") + b"K\x00sb"),
    "a call of what was called": lambda c: _in_table(
        _RECONSTRUCT + b"R" + b"(" + _text(str(c)) + b"tR"
    ),
    "something in an array": lambda c: _in_table(
        _RECONSTRUCT
        + b"R(K\x01K\x01\x85cnumpy\ndtype\n"
        + _text("O8")
        + b"\x89\x88\x87R\x89]"
        + _call("os", "system", f"touch {c}")
        + b"atb"
    ),
    "a module imported": lambda c: _in_table(b"cthis_is_imported\nnothing\n"),
    "a subclass of an array": lambda c: _in_table(
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nmemmap\nK\x00\x85C\x01btR"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_a_pickle_asks_for_is_done(tmp_path: Path, name: str) -> None:
    canary, path = tmp_path / "canary", tmp_path / "hostile.pkl"
    path.write_bytes(HOSTILE[name](canary))
    before = set(sys.modules)
    with pytest.raises(FacebenchError) as told:
        read_pickled_arrays(path, ["a"])
    assert not canary.exists() and "\n" not in str(told.value)
    assert not {module for module in set(sys.modules) - before if "this_is" in module}


BOMBS = {
    "a memo of two billion": _in_table(b"N" + b"r" + struct.pack("<I", 2**31 - 1)),
    "a shape without numbers": _in_table(_RECONSTRUCT + b"R" + _state(b"J\xff\xff\xff\x7f\x85")),
    "a negative shape": _in_table(_RECONSTRUCT + b"R" + _state(b"J\xff\xff\xff\xff\x85")),
    "a text longer than the file": b"\x80\x02}X\xff\xff\xff\x7fabc",
    "a number of a million digits": b"I" + b"9" * 10**6 + b"\n.",
    "a table that holds itself": b"\x80\x02}q\x00" + _text("a") + b"h\x00s.",
    "no end": b"\x80\x02}",
    "nothing": b"",
    "a value from nowhere": b"\x80\x02h\x07.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_sizes_are_not_believed(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb.pkl"
    path.write_bytes(BOMBS[name])
    try:
        assert not read_pickled_arrays(path, ["a"])
    except FacebenchError as told:
        assert len(str(told)) < 400


def test_one_array_under_many_names_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "many.pkl"
    one = np.zeros(2**20)
    path.write_bytes(pickle.dumps({str(k): one for k in range(64)}, 2))
    with pytest.raises(FacebenchError, match="more than 256 MiB"):
        read_pickled_arrays(path, map(str, range(64)))


def test_a_sparse_matrix_must_fit_itself(tmp_path: Path) -> None:
    path = tmp_path / "sparse.pkl"
    for change in ({"indptr": np.array([0, 1, 99, 3])}, {"indices": np.array([0, -1, 7])}):
        matrix = sparse.csc_matrix(np.eye(3))
        for name, value in change.items():
            setattr(matrix, name, value)
        path.write_bytes(pickle.dumps({"a": matrix}, 2))
        with pytest.raises(FacebenchError, match="a sparse matrix"):
            read_pickled_arrays(path, ["a"])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_answered_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(pickle.dumps({"a": np.arange(4.0), "s": sparse.csc_matrix(np.eye(2))}, 2))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    path.write_bytes(content)
    try:
        read_pickled_arrays(path, ["a", "s"])
    except FacebenchError as told:
        assert "\n" not in str(told)


def test_opcodes_that_make_objects_are_not_there() -> None:
    """The reader dispatches by name, so an opcode is refused by having no method."""
    refused = {
        opcode.name
        for opcode in pickletools.opcodes
        if opcode.name not in {*_CONSTANTS, *_LITERALS, *_SILENT}
        if not hasattr(Machine, f"_{opcode.name.lower()}")
    }
    buffers, extensions = {"NEXT_BUFFER", "READONLY_BUFFER"}, {"EXT1", "EXT2", "EXT4"}
    instances = {"INST", "OBJ", "NEWOBJ_EX", "PERSID", "BINPERSID"}
    assert refused == buffers | extensions | instances | {"STOP"}
