"""`facebench evaluate` of one pair: what is refused, and in which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluated_pair import (
    landmark_options,
    printed,
    refusal,
    run,
    scan_of,
    someone,
    write_pair,
)
from pair_files import points_of, write_side

from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh


@pytest.fixture(scope="module")
def face() -> Mesh:
    return someone(seed=5)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, face: Mesh) -> Path:
    root = tmp_path_factory.mktemp("pair")
    write_pair(root, face, scan_of(someone(seed=6)))
    return root


@pytest.fixture(scope="module")
def marks(home: Path) -> tuple[object, ...]:
    return landmark_options(home)


def mirrored(face: Mesh) -> Mesh:
    """As seen in a mirror, its outside still outside."""
    return Mesh(face.vertices * [-1.0, 1.0, 1.0], np.asarray(face.triangles)[:, ::-1])


def inside_out(face: Mesh) -> Mesh:
    return Mesh(face.vertices, np.asarray(face.triangles)[:, ::-1])


def test_what_cannot_be_evaluated_is_told_with_exit_code_3(
    home: Path, face: Mesh, tmp_path: Path
) -> None:
    path = write_side(inside_out(face), tmp_path / "face.obj")
    result = run(path, home / "scan.ply")
    assert result.exit_code == 3 and "face inwards" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    values = printed(path, home / "scan.ply", code=3)
    assert values["status"] == "failed" and "face inwards" in values["reason"]
    assert values["mean_mm"] is None and values["protocol"] == "micc*"
    # Of a face that is turned in part, reversing everything would turn the other part.
    assert "turned in part" in values["hint"]


def test_a_mirrored_prediction_is_refused(
    home: Path, face: Mesh, tmp_path: Path, marks: tuple[object, ...]
) -> None:
    path = write_side(mirrored(face), tmp_path / "face.obj", points_of(face) * [-1.0, 1.0, 1.0])
    own = "--prediction-landmarks", tmp_path / "face.txt", *marks[2:]
    assert "mirrored" in refusal(path, home / "scan.ply", *own)


def test_a_plate_is_no_face(home: Path, tmp_path: Path) -> None:
    x, y = np.meshgrid(np.linspace(0, 150, 20), np.linspace(0, 200, 20), indexing="ij")
    index = np.arange(400).reshape(20, 20)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[:-1, 1:], index[1:, 1:]
    triangles = np.concatenate([np.stack([a, b, d], -1), np.stack([a, d, c], -1)])
    corners = np.stack([x, y, np.zeros_like(x)], axis=-1)
    plate = Mesh(corners.reshape(-1, 3), triangles.reshape(-1, 3))
    path = write_side(plate, tmp_path / "plate.ply")
    values = json.loads(run(home / "face.obj", path, "--json").stdout)
    doubtful = [finding for finding in values["diagnosis"] if finding["doubtful"]]
    assert values["status"] == "failed" or doubtful


def nan_vertices(face: Mesh, path: Path) -> None:
    vertices = np.array(face.vertices)
    vertices[[5, 90]] = np.nan
    # As other programs write it: ours refuses to.
    axes = "".join(f"property double {axis}\n" for axis in "xyz")
    head = f"ply\nformat ascii 1.0\nelement vertex {len(vertices)}\n{axes}"
    head += f"element face {len(face.triangles)}\nproperty list uchar int vertex_indices\n"
    with path.open("w") as file:
        file.write(f"{head}end_header\n")
        np.savetxt(file, vertices)
        np.savetxt(file, np.insert(np.asarray(face.triangles), 0, 3, axis=1), fmt="%d")


def a_point_cloud(face: Mesh, path: Path) -> None:
    write_side(Mesh(face.vertices, np.empty((0, 3), np.int32)), path)


def nothing(face: Mesh, path: Path) -> None:
    path.touch()


def misnamed(face: Mesh, path: Path) -> None:
    write_side(face, path.with_name("face.obj"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nan_vertices, "2 vertices are NaN or infinite: what made it has failed"),
        (a_point_cloud, "points and no triangles"),
        (nothing, "the file is empty"),
        (misnamed, "did you mean"),
    ],
)
def test_a_bad_prediction_is_one_line(
    home: Path,
    face: Mesh,
    tmp_path: Path,
    make: Callable[[Mesh, Path], None],
    words: str,
) -> None:
    path = tmp_path / "faces.ply"
    make(face, path)
    assert words in refusal(path, home / "scan.ply")
    values = printed(path, home / "scan.ply", code=2)
    assert values["status"] == "failed" and str(path) in values["reason"]


def shuffled(points: np.ndarray) -> np.ndarray:
    return points[::-1]


def metres(points: np.ndarray) -> np.ndarray:
    return points / 1000


def elsewhere(points: np.ndarray) -> np.ndarray:
    return points + 200.0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(shuffled, "order"), (metres, "landmarks"), (elsewhere, "landmarks")],
)
def test_wrong_landmarks_are_told(
    home: Path,
    face: Mesh,
    tmp_path: Path,
    marks: tuple[object, ...],
    spoil: Callable[[np.ndarray], np.ndarray],
    words: str,
) -> None:
    path = tmp_path / "marks.txt"
    np.savetxt(path, spoil(points_of(face)))
    given = "--prediction-landmarks", path, *marks[2:]
    result = run(home / "face.obj", home / "scan.ply", *given, "--json")
    assert result.exit_code in (2, 3)
    assert words in json.loads(result.stdout)["reason"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2 3\n4 5 6\n", "2 landmarks"),
        ("a b c\n" * 7, "line 1"),
        ("0 0 nan\n" * 7, "not finite"),
    ],
)
def test_a_bad_landmarks_file_is_named(home: Path, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "marks.txt"
    path.write_text(text)
    said = refusal(home / "face.obj", home / "scan.ply", "--scan-landmarks", path)
    assert words in said and str(path) in said


def test_a_nose_tip_far_away_leaves_an_empty_crop(
    home: Path, marks: tuple[object, ...], tmp_path: Path
) -> None:
    path = tmp_path / "tip.txt"
    path.write_text("5000 5000 5000")
    values = printed(home / "face.obj", home / "scan.ply", *marks, "--nose-tip", path, code=3)
    assert "nothing within" in values["reason"] or "nose tip" in values["reason"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--protocol", "mic"), "did you mean 'micc'"),
        (("--set", "crop.radius=80"), "did you mean 'crop.radius_mm'"),
        (("--set", "crop"), "KEY=VALUE"),
        (("--scan-landmarks", "none.txt"), "none.txt: no such landmarks file"),
        (("--protocol", "now"), "landmarks"),
        (("--limit", "3"), "are for folders"),
    ],
)
def test_wrong_options(home: Path, words: tuple[str, ...], said: str) -> None:
    result = run(home / "face.obj", home / "scan.ply", *words)
    assert said in (result.stderr or str(result.exception))
    assert result.exit_code == 3 or isinstance(result.exception, FacebenchError)


def test_a_file_and_a_folder(home: Path, tmp_path: Path) -> None:
    assert "two folders" in refusal(home / "face.obj", tmp_path)
    assert "need --out" in refusal(tmp_path, tmp_path)
