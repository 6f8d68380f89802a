"""Landmarks are the same from every kind of file, and a bad file is one line with its name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from pair_files import points_of, write_picked_points

from facebench.bench.landmarks import SEVEN, landmarks_beside, read_landmark_file
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh


@pytest.mark.parametrize("count", [7, 68])
@pytest.mark.parametrize("suffix", [".txt", ".npy", ".pp"])
def test_every_kind_gives_the_same_points(
    person: Mesh, tmp_path: Path, suffix: str, count: int
) -> None:
    points = points_of(person) if count == 68 else points_of(person)[SEVEN]
    path = tmp_path / f"marks{suffix}"
    if suffix == ".pp":
        write_picked_points(points, path)
    elif suffix == ".npy":
        np.save(path, points)
    else:
        np.savetxt(path, points)
    np.testing.assert_allclose(read_landmark_file(path).points, points, atol=1e-12)
    assert landmarks_beside(tmp_path / "marks.obj") == path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pp", "<!DOCTYPE a [<!ENTITY b 'c'>]><PickedPoints/>", "cannot be read"),
        ("a.pp", "<PickedPoints><point x='1' y='2'/></PickedPoints>", "cannot be read"),
        ("a.pp", "<PickedPoints><point x='1' y='2' z='3'/></PickedPoints>", "expected 68 points"),
        ("a.pp", "no points", "cannot be read"),
        ("a.npy", "no array", r"not a whole \.npy file"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, content: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(FacebenchError, match=words) as caught:
        read_landmark_file(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_points_that_were_never_picked_do_not_count(
    person: Mesh, tmp_path: Path, encoding: str
) -> None:
    points = points_of(person)[SEVEN]
    path = tmp_path / "marks.pp"
    write_picked_points(points, path)
    text = path.read_text().replace("</Picked", "<point x='0' y='0' z='0' active='0'/></Picked")
    text = re.sub(r"^<\?xml[^>]*>", "", text)
    path.write_bytes(
        f"<?xml version='1.0' encoding='{encoding}'?><!-- ö -->{text}".encode(encoding)
    )
    np.testing.assert_allclose(read_landmark_file(path).points, points, atol=1e-12)


@pytest.mark.parametrize("name", ["a.landmarks.txt", "a.pts", "a.npy"])
def test_points_on_a_photograph_of_the_meshs_name_are_not_its_own(
    person: Mesh, tmp_path: Path, name: str
) -> None:
    points = points_of(person)
    flat = tmp_path / name
    if flat.suffix == ".npy":
        np.save(flat, points[:, :2])
    else:
        np.savetxt(flat, points[:, :2])
    assert landmarks_beside(tmp_path / "a.obj") == flat  # without a photograph it is a mistake
    (tmp_path / "a.JPG").touch()
    assert landmarks_beside(tmp_path / "a.obj") is None
    np.savetxt(tmp_path / "a.txt", points)
    assert landmarks_beside(tmp_path / "a.obj") == tmp_path / "a.txt"


def test_pickled_arrays_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"x": 1}, None]), allow_pickle=True)
    with pytest.raises(FacebenchError, match="holds pickled objects"):
        read_landmark_file(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="no such landmarks file"):
        read_landmark_file(tmp_path / "a.txt")
    assert landmarks_beside(tmp_path / "a.obj") is None


def test_landmarks_beside_a_mesh_with_its_texture_stay_its_own(
    person: Mesh, tmp_path: Path
) -> None:
    """A texture is a picture of the mesh's name, and x, y, z may be read as x and y."""
    (tmp_path / "a.jpg").touch()
    points = points_of(person)
    flat, table, wrong = (tmp_path / name for name in ("a.txt", "a.csv", "a.npy"))
    flat.write_text(" ".join(map(str, points.ravel())))
    assert landmarks_beside(tmp_path / "a.obj") == flat
    flat.unlink()
    np.savetxt(table, points, delimiter=",", header="x,y,z", comments="")
    assert landmarks_beside(tmp_path / "a.obj") == table
    table.unlink()
    np.save(wrong, points[:30, :2])  # nobody's: whoever reads it says so
    assert landmarks_beside(tmp_path / "a.obj") == wrong
