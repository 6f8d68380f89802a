"""MATLAB files: the same numbers as SciPy's reader gives, and none of its crashes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hostile_input.crafted import CRAFTED
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from facebench.errors import FacebenchError
from facebench.recon.morphable.mat5 import read_mat, variables_of

KINDS = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


@pytest.mark.parametrize("packed", [False, True])
def test_every_class_of_numbers_is_read_as_scipy_reads_it(tmp_path: Path, packed: bool) -> None:
    random = np.random.default_rng(0)
    arrays = {
        f"of_{kind}": (100 * random.normal(size=(2, 3, n + 1))).astype(kind)
        for n, kind in enumerate(KINDS)
    }
    arrays |= {"x": np.zeros((0, 3)), "a_name_of_more_than_eight_letters": np.arange(4.0)}
    path = tmp_path / "arrays.mat"
    savemat(path, arrays, do_compression=packed, long_field_names=True)
    expected, found = loadmat(path), read_mat(path, tuple(arrays), "")
    assert variables_of(path, "") == tuple(arrays)
    for name in arrays:
        np.testing.assert_array_equal(found[name], expected[name])
        assert found[name].dtype == expected[name].dtype


@pytest.mark.parametrize(
    "value", ["text", np.array([1 + 2j]), np.array([{}], object), {"a": 1.0}], ids=str
)
def test_what_is_no_array_of_numbers_is_refused_by_name(tmp_path: Path, value: object) -> None:
    savemat(tmp_path / "other.mat", {"meanshape": value})
    with pytest.raises(FacebenchError, match="meanshape holds no plain numbers"):
        read_mat(tmp_path / "other.mat", ("meanshape",), "")


@pytest.mark.parametrize("attack", [name for name in CRAFTED[".mat"] if name != "bomb"])
def test_files_made_to_hurt_are_one_line(tmp_path: Path, attack: str) -> None:
    path = tmp_path / "evil.mat"
    path.write_bytes(CRAFTED[".mat"][attack]())
    with pytest.raises(FacebenchError):
        read_mat(path, ("meanshape",), "")


def test_a_variable_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facebench.recon.morphable import mat5 as mat5_elements

    savemat(tmp_path / "bomb.mat", {"meanshape": np.zeros(10**6)}, do_compression=True)
    monkeypatch.setattr(mat5_elements, "MOST_BYTES", 10**6)
    with pytest.raises(FacebenchError, match="meanshape is larger than"):
        read_mat(tmp_path / "bomb.mat", ("meanshape",), "")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mat") / "sound.mat"
    savemat(path, {"meanshape": np.arange(12.0).reshape(3, 4), "idx": np.arange(5)})
    return path


@given(st.integers(0, 10**6), st.integers(0, 7))
@settings(max_examples=300)
def test_a_flipped_bit_anywhere_gives_numbers_or_one_line(
    sound: Path, place: int, bit: int
) -> None:
    content = bytearray(sound.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path = sound.with_name("flipped.mat")
    path.write_bytes(content)
    try:
        found = read_mat(path, ("meanshape", "idx"), "")
    except FacebenchError:
        return
    assert all(array.dtype.kind in "fiu" for array in found.values())
