"""The Surrey Face Model: made archives of eos' layout."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from model_files import source_model, write_surrey
from same_faces import assert_same_faces, surface

from facebench.errors import FacebenchError
from facebench.recon.morphable.load import read_npz, save_npz
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.surrey import EXPRESSIONS, LANDMARKS, read_surrey


@pytest.fixture(scope="module")
def source() -> MorphableModel:
    return source_model()


@pytest.fixture
def path(source: MorphableModel, tmp_path: Path) -> Path:
    return write_surrey(tmp_path, source)


def test_decodes_the_source_s_shapes(path: Path, source: MorphableModel, tmp_path: Path) -> None:
    model = read_surrey(path)
    random = np.random.default_rng(0)
    identity, expression = (random.normal(size=n) for n in (12, 9))
    np.testing.assert_allclose(
        model.mesh(identity, expression).vertices,
        source.mesh(identity, expression).vertices,
        atol=2e-4,
    )
    assert model.expression_names == source.expression_names
    assert surface(model.triangles) == surface(source.triangles)
    save_npz(model, tmp_path / "sfm.npz")
    assert read_npz(tmp_path / "sfm.npz").digest == model.digest


def test_fifty_landmarks_are_known(path: Path, source: MorphableModel) -> None:
    landmarks = read_surrey(path).landmarks
    known = landmarks >= 0
    assert known.sum() == 50 and not known[[*range(8), *range(9, 17), 60, 64]].any()
    np.testing.assert_array_equal(landmarks[known], source.landmarks[known])


def test_regions_agree_with_those_of_all_landmarks(
    path: Path, source: MorphableModel, tmp_path: Path
) -> None:
    whole = tmp_path / "all.txt"
    whole.write_text(" ".join(map(str, source.landmarks)))
    complete = read_surrey(path, landmarks=whole)
    same = read_surrey(path).region == complete.region
    assert same.mean() > 0.97


def test_expressions_are_optional(path: Path) -> None:
    (path.parent / EXPRESSIONS).unlink()
    model = read_surrey(path)
    assert model.expression_basis.shape[2] == 0 and model.identity_basis.shape[2] == 12


def test_colours_are_read_where_there_are_some(path: Path, source: MorphableModel) -> None:
    empty = 3 * struct.pack("<ii", 0, 0) + struct.pack("<Q", 0)
    content = path.read_bytes()
    at = content.rindex(empty)
    mean = struct.pack("<ii", 3 * source.n_vertices, 1) + source.mean_albedo.tobytes()
    columns = source.albedo_basis.reshape(-1, 8)
    basis = struct.pack("<ii", *columns.shape) + columns.tobytes(order="F")
    variances = struct.pack("<ii", 8, 1) + np.ones(8, "<f4").tobytes()
    coloured = content[:at] + mean + basis + variances + struct.pack("<Q", 0)
    path.write_bytes(coloured + content[at + len(empty) :])
    assert_same_faces(read_surrey(path), source)


def _edit(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(edit((folder / name).read_bytes()))

    return change


def _cut_everywhere(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


SHAPE = "sfm_shape_3448.bin"
FAULTS = [
    (_edit(SHAPE, _cut_everywhere), "truncated or no eos archive"),
    (_edit(SHAPE, lambda c: c[:2]), "truncated or no eos archive"),
    (_edit(SHAPE, lambda c: b"\x03" + c[1:]), "begins with 3.*newer version"),
    (_edit(SHAPE, lambda c: c + b"\0"), "1 bytes after its end"),
    (_edit(SHAPE, lambda c: c[:4] + struct.pack("<i", -3) + c[8:]), "a matrix of -3"),
    (_edit(SHAPE, lambda c: c[:12] + b"\0\0\xc0\x7f" + c[16:]), "mean_shape has NaN"),
    (_edit(SHAPE, lambda _: b"PK\x03\x04"), "a zip archive.*import npz"),
    (lambda folder: (folder / SHAPE).unlink(), "no such file.*share folder of eos"),
    (_edit(EXPRESSIONS, _cut_everywhere), EXPRESSIONS),
    (_edit(EXPRESSIONS, lambda c: struct.pack("<Q", 0) + c[8:]), "begins with 0"),
    (_edit(EXPRESSIONS, lambda c: c[:8] + struct.pack("<Q", 999) + c[16:]), "name of 999"),
    (
        _edit(
            EXPRESSIONS, lambda _: struct.pack("<QQ", 1, 1) + b"a" + struct.pack("<iif", 1, 1, 0)
        ),
        "another number of vertices",
    ),
    (lambda folder: (folder / LANDMARKS).unlink(), "ibug_to_sfm.txt: no such file.*--landmarks"),
    (_edit(LANDMARKS, lambda _: b"[landmark_mappings]\n 9 = 99999"), "another model's table"),
]


@pytest.mark.parametrize(("spoil", "line"), FAULTS)
def test_a_fault_has_its_line(path: Path, spoil: Callable[[Path], None], line: str) -> None:
    spoil(path.parent)
    with pytest.raises(FacebenchError, match=line) as caught:
        read_surrey(path)
    assert "\n" not in str(caught.value)


def test_another_unit_is_named(path: Path) -> None:
    with pytest.raises(FacebenchError, match=r"looks like mm.*--unit mm"):
        read_surrey(path, unit="um")
