"""`facebench evaluate` of meshes that are no face, or more than one: a line with the cause."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pair_files import points_of, write_side
from shapes import joined, sphere

from facebench.cli.main import group
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural import procedural_model


@pytest.fixture(scope="module")
def faces() -> list[Mesh]:
    model = procedural_model(0, 2500)
    n_modes = model.identity_basis.shape[2]
    rngs = map(np.random.default_rng, (5, 6))
    return [model.mesh(identity=0.4 * rng.standard_normal(n_modes)) for rng in rngs]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, faces: list[Mesh]) -> Path:
    root = tmp_path_factory.mktemp("pair")
    for face, name in zip(faces, ("face", "scan"), strict=True):
        write_side(face, root / f"{name}.ply", points_of(face))
    return root


def evaluate(*words: object, marks: tuple[Path, Path] | None = None) -> Result:
    names = ("--prediction-landmarks", "--scan-landmarks")
    given = [word for pair in zip(names, marks or (), strict=False) for word in pair]
    # Meshes as their files have them: half the time of a measurement.
    coarse = "--set", "points.longest_edge_mm=inf"
    return CliRunner().invoke(group, ["evaluate", *map(str, (*words, *given, *coarse))])


def measured(*words: object, marks: tuple[Path, Path] | None = None) -> dict[str, float]:
    result = evaluate(*words, "--json", marks=marks)
    assert result.exit_code == 0, result.output
    values: dict[str, float] = json.loads(result.stdout)
    return values


def refusal(*words: object, marks: tuple[Path, Path] | None = None) -> str:
    """The one line of a pair without a number."""
    result = evaluate(*words, marks=marks)
    assert result.exit_code == 3, result.output
    lines = result.output.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.fixture(scope="module")
def marks(home: Path) -> tuple[Path, Path]:
    return home / "face.txt", home / "scan.txt"


@pytest.fixture(scope="module")
def plain(home: Path, marks: tuple[Path, Path]) -> dict[str, float]:
    return measured(home / "face.ply", home / "scan.ply", marks=marks)


def test_nothing_is_seen_from_outside(
    home: Path, faces: list[Mesh], marks: tuple[Path, Path], tmp_path: Path
) -> None:
    shell = joined(faces[0], sphere(np.mean(faces[0].vertices, axis=0), 250.0, 12))
    said = refusal(write_side(shell, tmp_path / "shell.ply"), home / "scan.ply", marks=marks)
    assert "nothing of the prediction is seen from outside" in said and "shell" in said
    # Where no landmarks tell that a face is in it, the search still finds it.
    said = refusal(tmp_path / "shell.ply", home / "scan.ply")
    assert "of the prediction is not seen from outside" in said and "closed shell" in said


def test_isolated_points(
    home: Path, faces: list[Mesh], marks: tuple[Path, Path], tmp_path: Path
) -> None:
    points = np.asarray(faces[1].vertices, np.float64)
    few = tmp_path / "few.obj"
    few.write_text("\n".join(f"v {x} {y} {z}" for x, y, z in points[::25].tolist()))
    words = home / "face.ply", few
    assert "take --protocol nersemble" in refusal(*words, marks=marks)
    assert "100 points, too few" in refusal(*words, "--protocol", "nersemble", marks=marks)
    # Isolated triangles of a tenth of a millimetre, one around each point.
    offsets = 0.1 * np.random.default_rng(0).standard_normal((len(points), 3, 3))
    corners = (points[:, None] + offsets).reshape(-1, 3)
    dust = Mesh(corners, np.arange(len(corners)).reshape(-1, 3))
    said = refusal(home / "face.ply", write_side(dust, tmp_path / "dust.ply"), marks=marks)
    assert "not connected" in said and "Merge Close Vertices" in said


def test_landmarks_on_eyeballs_are_those_of_the_lids(
    home: Path,
    faces: list[Mesh],
    marks: tuple[Path, Path],
    plain: dict[str, float],
    tmp_path: Path,
) -> None:
    points = points_of(faces[0])
    eyes = []
    for first, last in ((36, 42), (42, 48)):
        corners = points[[first, first + 3]]
        ball = sphere(corners.mean(0) - [0, 0, 16.0], 12.0)
        apart = np.linalg.norm(np.asarray(ball.vertices)[:, None] - points[first:last], axis=2)
        points[first:last] = np.asarray(ball.vertices)[apart.argmin(0)]
        eyes.append(ball)
    path = write_side(joined(faces[0], *eyes), tmp_path / "eyes.ply", points)
    found = measured(path, home / "scan.ply", marks=(path.with_suffix(".txt"), marks[1]))
    assert found["mean_mm"] == pytest.approx(plain["mean_mm"], abs=0.01)
    assert found["inner_share"] > plain["inner_share"] + 0.02


def test_parts_are_inverted(
    home: Path, faces: list[Mesh], marks: tuple[Path, Path], tmp_path: Path
) -> None:
    vertices, triangles = np.asarray(faces[0].vertices), np.array(faces[0].triangles)
    left = vertices[triangles].mean(1)[:, 0] > 0
    triangles[left] = triangles[left][:, ::-1]
    path = write_side(replace(faces[0], triangles=triangles), tmp_path / "inverted.ply")
    said = refusal(path, home / "scan.ply", marks=marks)
    assert "of the prediction's surface is inside out" in said and "Re-Orient" in said


def test_two_faces_in_one_file(
    home: Path,
    faces: list[Mesh],
    marks: tuple[Path, Path],
    plain: dict[str, float],
    tmp_path: Path,
) -> None:
    """By landmarks the one that they are of is measured; a search would take either."""
    two = [
        write_side(
            joined(face, replace(face, vertices=face.vertices + np.array([220, 0, 0]))),
            tmp_path / f"{name}.ply",
        )
        for face, name in zip(faces, ("faces", "scans"), strict=True)
    ]
    found = measured(*two, marks=marks)
    assert found["mean_mm"] == pytest.approx(plain["mean_mm"], abs=5e-3)
    assert "the prediction holds 2 faces side by side" in refusal(two[0], home / "scan.ply")
    assert "the scan holds 2 faces side by side" in refusal(home / "face.ply", two[1])


def test_a_face_as_large_as_a_galaxy(
    home: Path,
    faces: list[Mesh],
    marks: tuple[Path, Path],
    plain: dict[str, float],
    tmp_path: Path,
) -> None:
    """Squares of its numbers leave the range of float32, in which closest points are searched."""
    large = replace(faces[0], vertices=1e25 * np.asarray(faces[0].vertices, np.float64))
    path = write_side(large, tmp_path / "large.ply", points_of(large))
    large_marks = path.with_suffix(".txt"), marks[1]
    refused = evaluate(path, home / "scan.ply", marks=large_marks).exception
    assert "too large for a face" in str(refused)
    any_unit = measured(path, home / "scan.ply", "--prediction-unit", "any", marks=large_marks)
    assert any_unit["mean_mm"] == pytest.approx(plain["mean_mm"], rel=1e-3)
    now = "--protocol", "now"
    expected = measured(home / "face.ply", home / "scan.ply", *now, marks=marks)
    found = measured(path, home / "scan.ply", *now, marks=large_marks)
    # The file's float32 numbers are rounded elsewhere, and the rule of `now` ends on the way.
    assert found["mean_mm"] == pytest.approx(expected["mean_mm"], rel=5e-4)
    assert found["scale"] == pytest.approx(1e-25 * expected["scale"], rel=5e-4)


def test_a_face_that_must_shrink_is_no_number(
    home: Path, faces: list[Mesh], marks: tuple[Path, Path], tmp_path: Path
) -> None:
    large = replace(faces[0], vertices=1.6 * np.asarray(faces[0].vertices))
    path = write_side(large, tmp_path / "large.ply", points_of(large))
    said = refusal(path, home / "scan.ply", marks=(path.with_suffix(".txt"), marks[1]))
    assert "had to become 0.6" in said and "check its unit" in said
