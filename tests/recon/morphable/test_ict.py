"""ICT-FaceKit's folder: a made one of the same layout, and a part of the real one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from facebench.errors import FacebenchError
from facebench.recon.morphable.ict import (
    INDEX,
    N_VERTICES,
    NEUTRAL,
    PARTS,
    read_faces,
    read_ict,
    read_vertices,
)
from facebench.recon.morphable.load import read_npz

FACES = [
    "f 1/1 2/2 3/3 4/4",
    "f 5/1/7 6/2/8 7/3/9",
    "f 1//2 9410//3 3//4",
    "f 21452 21453 21454",
    "f 1 2 20000",
]
"""A quad, triangles of every way to write them, two parts joined, and one dropped vertex."""


def _write_obj(path: Path, vertices: np.ndarray, faces: list[str]) -> None:
    rows = ["# licence", "mtllib none", *(f"v {x:.6g} {y:.6g} {z:.6g}" for x, y, z in vertices)]
    path.write_text("\n".join([*rows, "vt 0 0", "usemtl M_Face", *faces]) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A neutral mesh in cm, two identity modes and one expression."""
    folder = tmp_path_factory.mktemp("ict") / "FaceXModel"
    folder.mkdir()
    random = np.random.default_rng(0)
    neutral = random.uniform(-7.0, 7.0, (N_VERTICES, 3)).round(3)
    turn = np.linspace(np.pi, 2 * np.pi, 17)
    neutral[:17] = np.stack([7 * np.cos(turn), 5 + 10 * np.sin(turn), 4 - 4 * np.sin(turn)], 1)
    # From the subject's right to the left, and from the brows down to the lips.
    for first, xs, y in (
        (17, [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5], 6),
        (31, [-1, -0.5, 0, 0.5, 1], -1),
        (36, [-4, -3, -2, -1, -2, -3, 1, 2, 3, 4, 3, 2], 4),
        (48, [-3, -2, -1, 0, 1, 2, 3, 2, 1, 0, -1, -2], -2.5),
        (60, [-2, -1, 0, 1, 2, 1, 0, -1], -2.5),
    ):
        neutral[first : first + len(xs)] = [(x, y, 9) for x in xs]
    neutral[54:60, 1] -= 1
    neutral[27:31] = [(0, 4, 10), (0, 3, 10), (0, 2, 11), (0, 0, 12)]
    _write_obj(folder / NEUTRAL, neutral, FACES)
    for name, step in (("identity000", 0.1), ("identity007", -0.2), ("jawOpen", 0.3)):
        _write_obj(folder / f"{name}.obj", neutral + step, FACES)
    index = {"expressions": ["jawLeft", "jawOpen"], "idx_to_landmark_verts": list(range(68))}
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def test_modes_are_differences_in_millimetres(folder: Path) -> None:
    model = read_ict(folder)
    assert model.identity_names == ("identity000", "identity007")
    assert model.expression_names == ("jawOpen",)
    np.testing.assert_allclose(model.identity_basis[..., 0], 1.0, atol=2e-4)
    np.testing.assert_allclose(model.identity_basis[..., 1], -2.0, atol=2e-4)
    np.testing.assert_allclose(model.expression_basis, 3.0, atol=2e-4)
    neutral = read_vertices(folder / NEUTRAL)
    np.testing.assert_allclose(model.mean_shape[:9409], neutral[:9409] * 10.0, rtol=1e-6)


def test_kept_parts_are_renumbered(folder: Path) -> None:
    model = read_ict(folder, parts=("face", "eyeballs"))
    assert model.n_vertices == len(PARTS["face"]) + len(PARTS["eyeballs"])
    eyeballs = len(PARTS["face"])
    kept = {tuple(row) for row in model.triangles.tolist()}
    corner = (eyeballs + 0, eyeballs + 1, eyeballs + 2)
    assert kept == {(0, 1, 2), (0, 2, 3), (4, 5, 6), corner}
    whole = read_ict(folder)
    assert (0, len(PARTS["face"]), 2) in {tuple(row) for row in whole.triangles.tolist()}
    np.testing.assert_array_equal(model.landmarks, np.arange(68))


def test_the_folder_above_is_accepted(folder: Path) -> None:
    assert read_ict(folder.parent).digest == read_ict(folder).digest


@pytest.mark.parametrize(
    ("parts", "line"), [(("face", "hair"), "no part 'hair'"), (("eyeballs",), "'face' is needed")]
)
def test_unusable_parts_are_refused(folder: Path, parts: tuple[str, ...], line: str) -> None:
    with pytest.raises(FacebenchError, match=line):
        read_ict(folder, parts)


@pytest.fixture
def spoiled(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_truncated_mode_is_named(spoiled: Path) -> None:
    mode = spoiled / "identity007.obj"
    mode.write_text("".join(mode.read_text().splitlines(keepends=True)[:5000]))
    with pytest.raises(FacebenchError, match=r"identity007\.obj: 4998 vertices"):
        read_ict(spoiled)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [("v 0", "v x", "damaged vertex line"), ("f 5/1/7", "f five", "damaged face line")],
)
def test_a_damaged_line_is_told(spoiled: Path, old: str, new: str, line: str) -> None:
    neutral = spoiled / NEUTRAL
    text = neutral.read_text()
    assert old in text
    neutral.write_text(text.replace(old, new, 1))
    with pytest.raises(FacebenchError, match=line):
        read_ict(spoiled)


@pytest.mark.parametrize("text", ["", "{}", '{"expressions": [], "idx_to_landmark_verts": [1]}'])
def test_an_unusable_index_is_told(spoiled: Path, text: str) -> None:
    (spoiled / INDEX).write_text(text)
    with pytest.raises(FacebenchError, match=INDEX):
        read_ict(spoiled)


def test_polygons_become_fans(tmp_path: Path) -> None:
    (tmp_path / "m.obj").write_text("f 1 2 3 4 5\nf 9/1 8/1 7/1\n")
    np.testing.assert_array_equal(
        read_faces(tmp_path / "m.obj"), [[8, 7, 6], [0, 1, 2], [0, 2, 3], [0, 3, 4]]
    )


def test_a_face_of_an_absurd_vertex_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.obj").write_text(f"f 1 2 {10**30}\n")
    with pytest.raises(FacebenchError, match="a damaged face line"):
        read_faces(tmp_path / "m.obj")


def test_the_real_folder_equals_the_packed_model(shared: Path) -> None:
    folder = read_ict(shared / "ict-facekit")
    packed = read_npz(shared / "ict-facekit" / "ict_facekit_light.npz")
    np.testing.assert_allclose(folder.mean_shape, packed.mean_shape, atol=1e-3)
    modes = [int(name.removeprefix("identity")) for name in folder.identity_names]
    assert len(modes) >= 6
    np.testing.assert_allclose(folder.identity_basis, packed.identity_basis[..., modes], atol=1e-3)
    named = [packed.expression_names.index(name) for name in folder.expression_names]
    given = packed.expression_basis[..., named]
    np.testing.assert_allclose(folder.expression_basis, given, atol=1e-3)
    np.testing.assert_array_equal(folder.landmarks, packed.landmarks)
    assert _surface(folder.triangles) == _surface(packed.triangles)


def _surface(triangles: np.ndarray) -> set[tuple[int, ...]]:
    """Triangles as cycles, whatever corner comes first: equal sets have equal direction too."""
    turns = np.argmin(triangles, axis=1)[:, None] + np.arange(3)
    return {tuple(row) for row in np.take_along_axis(triangles, turns % 3, axis=1).tolist()}
