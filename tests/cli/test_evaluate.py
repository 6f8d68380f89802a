"""`facebench evaluate` of one pair: the numbers, the diagnosis and the files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluated_pair import (
    in_full,
    landmark_options,
    printed,
    refusal,
    run,
    scan_of,
    someone,
    write_pair,
)
from pair_files import points_of, write_side
from PIL import Image

from facebench.bench import evaluate
from facebench.recon.mesh import Mesh
from facebench.results.run.items import read_errors


@pytest.fixture(scope="module")
def face() -> Mesh:
    return someone(seed=5)


@pytest.fixture(scope="module")
def scan() -> Mesh:
    return scan_of(someone(seed=6))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, face: Mesh, scan: Mesh) -> Path:
    root = tmp_path_factory.mktemp("pair")
    write_pair(root, face, scan)
    return root


@pytest.fixture(scope="module")
def marks(home: Path) -> tuple[object, ...]:
    return landmark_options(home)


@pytest.fixture(scope="module")
def plain(home: Path, marks: tuple[object, ...]) -> dict[str, Any]:
    """What is printed of the two files with their landmarks."""
    return printed(home / "face.obj", home / "scan.ply", *marks)


def test_the_command_is_the_function(home: Path, marks: tuple[object, ...]) -> None:
    said = in_full(home / "face.obj", home / "scan.ply", *marks, "--json")
    result = evaluate(
        home / "face.obj",
        home / "scan.ply",
        prediction_landmarks=home / "face.txt",
        scan_landmarks=home / "scan.txt",
    )
    assert said.exit_code == 0 and json.loads(said.stdout) == result.to_dict()


def test_a_search_and_landmarks_come_to_the_same(home: Path, plain: dict[str, Any]) -> None:
    found = printed(home / "face.obj", home / "scan.ply")
    assert (found["start"], plain["start"]) == ("search", "landmarks")
    assert found["mean_mm"] == pytest.approx(plain["mean_mm"], abs=0.01)
    assert found["status"] == "ok" and found["converged"] and found["overlap"] > 0.9


def test_landmarks_tell_the_parts_of_any_topology(home: Path, plain: dict[str, Any]) -> None:
    parts = [plain[f"{part}_mm"] for part in ("nose", "mouth", "eyes", "cheeks", "forehead", "jaw")]
    assert min(parts) < plain["prediction_to_scan_mm"] < max(parts)


def test_options_come_from_a_file_too(
    home: Path, marks: tuple[object, ...], plain: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "options.toml"
    lines = (
        f'{word.lstrip("-")} = "{file}"' for word, file in zip(marks[::2], marks[1::2], strict=True)
    )
    path.write_text("\n".join(lines))
    assert printed(home / "face.obj", home / "scan.ply", "--options", path) == plain


def test_seven_landmarks_do_for_the_scan(home: Path) -> None:
    files = "--prediction-landmarks", home / "face.txt", "--scan-landmarks", home / "scan7.txt"
    values = printed(home / "face.obj", home / "scan.ply", *files, "--protocol", "now")
    assert values["protocol"] == "now" and values["nose_tip_source"] == "seven_landmarks"
    assert values["scan_to_prediction_mm"] == pytest.approx(values["mean_mm"])


def test_the_protocol_is_changed_by_settings(
    home: Path, marks: tuple[object, ...], plain: dict[str, Any]
) -> None:
    smaller = printed(home / "face.obj", home / "scan.ply", *marks, "--set", "crop.radius_mm=60")
    assert smaller["protocol"] == "micc*" and smaller["digest"] != plain["digest"]
    assert smaller["n_points"] < plain["n_points"]


def test_a_unit_changes_nothing_but_the_file(
    home: Path, face: Mesh, tmp_path: Path, plain: dict[str, Any]
) -> None:
    small = replace(face, vertices=np.asarray(face.vertices) / 1000)
    path = tmp_path / "face.npz"
    np.savez(path, vertices=small.vertices, triangles=small.triangles, landmarks=face.landmarks)
    scan_marks = "--scan-landmarks", home / "scan.txt"
    values = printed(path, home / "scan.ply", *scan_marks, "--prediction-unit", "m")
    assert values["mean_mm"] == pytest.approx(plain["mean_mm"], abs=1e-4)
    said = refusal(path, home / "scan.ply")
    assert "looks like m, not mm" in said and "--prediction-unit m" in said


def test_any_unit_is_told_by_landmarks(
    home: Path, face: Mesh, tmp_path: Path, plain: dict[str, Any]
) -> None:
    odd = replace(face, vertices=np.asarray(face.vertices) * 0.01)
    path = tmp_path / "face.npz"
    np.savez(path, vertices=odd.vertices, triangles=odd.triangles, landmarks=face.landmarks)
    assert "--prediction-unit any" in refusal(path, home / "scan.ply")
    scan_marks = "--scan-landmarks", home / "scan.txt"
    values = printed(path, home / "scan.ply", *scan_marks, "--prediction-unit", "any")
    assert values["landmark_scale"] == pytest.approx(values["scale"], rel=0.1)
    assert not any("larger than by its landmarks" in one["text"] for one in values["diagnosis"])
    assert values["mean_mm"] == pytest.approx(plain["mean_mm"], abs=0.01)
    assert values["scale"] == pytest.approx(100 * plain["scale"], rel=1e-3)
    said = refusal(home / "face.obj", home / "scan.ply", "--prediction-unit", "any")
    assert "needs landmarks of both sides" in said


def vertex_areas(mesh: Mesh) -> np.ndarray:
    """The surface (V,) that each vertex stands for: a third of its triangles, mm²."""
    triangles = np.asarray(mesh.triangles)
    a, b, c = np.moveaxis(np.asarray(mesh.vertices)[triangles], 1, 0)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    return np.bincount(triangles.ravel(), np.repeat(areas / 3, 3), len(mesh.vertices))


def test_the_folder_holds_numbers_meshes_and_pictures(
    home: Path, marks: tuple[object, ...], tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "pair"
    values = printed(home / "face.obj", home / "scan.ply", *marks, "--out", out)
    kept = json.loads((out / "score.json").read_text())
    curve = kept.pop("curve")
    assert kept == values
    at_one_mm = curve["share"][curve["threshold_mm"].index(1.0)]
    assert at_one_mm == pytest.approx(values["share_within_1mm"])
    mesh, errors = read_errors(out / "aligned.ply")
    # The number is over the area; at the vertices it is sampled more coarsely.
    known = ~np.isnan(errors)
    over_area = np.average(errors[known], weights=vertex_areas(mesh)[known])
    assert over_area == pytest.approx(values["prediction_to_scan_mm"], rel=0.02)
    assert len(mesh.vertices) == len(errors) and np.isnan(errors).any()
    assert {path.name for path in out.iterdir() if path.name[0] != "."} == {
        *("score.json", "aligned.ply", "heat.png", "curve.png")
    }
    for name in ("heat.png", "curve.png"):
        with Image.open(out / name) as picture:
            assert picture.size[0] > 500 and len(picture.convert("RGB").getcolors(2**24)) > 50


def test_the_terminal_says_how_far_to_trust_it(
    home: Path, marks: tuple[object, ...], plain: dict[str, Any]
) -> None:
    said = run(home / "face.obj", home / "scan.ply", *marks).output
    said = " ".join(said.split())
    for words in (
        f"protocol micc* ({plain['digest'][:12]})",
        "scan to prediction",
        "point to surface",
        "within 1 / 2 / 3 mm",
        f"completeness {plain['completeness']:.1%}",
        f"noise floor of the scan {plain['noise_floor_mm']:.3f} mm",
        f"normal error {plain['normal_error_deg']:.1f}°",
        f"F-score at 1 mm {plain['f_score_1mm']:.1%}",
        "by the landmarks of both",
        "The alignment converged",
        "has a counterpart",
    ):
        assert words in said


def test_a_cropped_scan_is_measured_where_it_is(
    home: Path, scan: Mesh, tmp_path: Path, marks: tuple[object, ...]
) -> None:
    tip = points_of(scan)[30]
    keep = np.linalg.norm(scan.vertices - tip, axis=1) < 75
    triangles = np.asarray(scan.triangles)
    part = Mesh(scan.vertices, triangles[keep[triangles].all(1)])
    path = write_side(part, tmp_path / "part.ply")
    values = printed(home / "face.obj", path, *marks)
    # Whole triangles within 75 mm: at the ragged edge, up to one triangle (9.5 mm) is missing, so
    # the part lies between two spheres, and so do its points and its mean, which grows outwards.
    inner, outer = (
        printed(home / "face.obj", home / "scan.ply", *marks, "--set", f"crop.radius_mm={radius}")
        for radius in (65, 75)
    )
    for key in ("n_points", "mean_mm"):
        assert inner[key] < values[key] < outer[key]


def test_damaged_parts_of_a_scan_are_left_out_and_told(
    home: Path,
    scan: Mesh,
    tmp_path: Path,
    marks: tuple[object, ...],
    plain: dict[str, Any],
) -> None:
    vertices, triangles = np.array(scan.vertices), np.asarray(scan.triangles)
    vertices[7] = np.inf
    added = [triangles, triangles[100:110], [[3, 3, 4]]]
    damaged = Mesh(vertices, np.concatenate(added))
    path = tmp_path / "scan.npz"
    np.savez(path, vertices=damaged.vertices, triangles=damaged.triangles)
    values = printed(home / "face.obj", path, *marks)
    assert values["mean_mm"] == pytest.approx(plain["mean_mm"], abs=0.01)
    (note,) = (item["text"] for item in values["diagnosis"] if "left out" in item["text"])
    for words in ("1 invalid", "1 degenerate", "10 duplicate"):
        assert words in note


def test_a_label_of_the_nose_tip_is_honoured(home: Path, scan: Mesh, tmp_path: Path) -> None:
    own = "--prediction-landmarks", home / "face.txt"
    path = tmp_path / "tip.txt"
    np.savetxt(path, points_of(scan)[[30]])
    values = printed(home / "face.obj", home / "scan.ply", *own, "--nose-tip", path)
    assert values["nose_tip_source"] == "label" and values["nose_tip_disagreement_mm"] < 5


@pytest.mark.parametrize("number", [0, 1, 2])
def test_fg2018_of_files_is_the_number_of_its_own_evaluator(
    shared: Path, tmp_path: Path, number: int
) -> None:
    folder = shared / "oracles" / "evaluation"
    expected = json.loads((folder / "results.json").read_text())[f"pair_{number}"]["fg2018"]
    with np.load(folder / f"pair_{number}.npz") as pair:
        for side in ("prediction", "scan"):
            mesh = Mesh(pair[f"{side}_vertices"], pair[f"{side}_triangles"])
            write_side(mesh, tmp_path / f"{side}.ply", pair[f"{side}_landmarks"])
    files = (f"--{side}-landmarks" for side in ("prediction", "scan"))
    texts = (tmp_path / "prediction.txt", tmp_path / "scan.txt")
    words = [word for pair in zip(files, texts, strict=True) for word in pair]
    meshes = tmp_path / "prediction.ply", tmp_path / "scan.ply"
    values = json.loads(in_full(*meshes, *words, "--protocol", "fg2018", "--json").stdout)
    assert values["mean_mm"] == pytest.approx(expected["mean"], abs=1e-6)
