"""The function behind `facebench evaluate`, its sentences, and what a picture of a pair needs."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import trimesh

import facebench.bench
from facebench.bench import EvaluationError, evaluate
from facebench.bench.landmarks import SEVEN, Landmarks
from facebench.bench.meshes.units import rounding_note
from facebench.bench.protocol.record import Protocol, preset
from facebench.bench.registration.prepared_mesh import rotation_of_landmarks, rotation_of_surface
from facebench.bench.scoring import evaluate as evaluate_pair
from facebench.bench.scoring.diagnosis import diagnose
from facebench.bench.scoring.score import Score
from facebench.bench.scoring.target import notes_of
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

COARSE = preset("micc").with_setting("points.longest_edge_mm", "inf")
"""Meshes as they are: for what is said of a pair, a third of the time."""


def test_the_example_of_the_function_runs() -> None:
    found = doctest.DocTestFinder().find(evaluate_pair, "evaluate_pair")
    (example,) = (test for test in found if test.name == "evaluate_pair.evaluate")
    assert len(example.examples) >= 6
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_package_is_light_until_it_measures() -> None:
    code = "import sys, facebench.bench; print({'open3d', 'scipy', 'trimesh'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert set(facebench.bench.__all__) == {"Evaluation", "EvaluationError", "evaluate"}
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        _ = facebench.bench.evaluat


def test_a_face_against_itself(face: Mesh) -> None:
    result = evaluate(face, face, "micc", scan_landmarks=Landmarks.of_mesh(face))
    # Float32 vertices. Of the scan ten points lie in folds that are not seen from outside, where
    # the prediction has nothing: some mm each, and the only part of the mean that is not rounding.
    assert result.score.prediction_to_scan_mm < 1e-4
    hidden = result.pair.distances[0] > 1e-4
    assert hidden.mean() < 5e-4 and result.score.mean_mm < 5e-4
    assert result.score.scale == pytest.approx(1, abs=1e-6)
    assert not any(finding.doubtful for finding in result.diagnosis)
    np.testing.assert_allclose(result.pair.aligned.vertices, face.vertices, atol=2e-4)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["status"] == "ok"


def test_a_rigid_protocol_tells_the_size_beside_the_score(face: Mesh) -> None:
    """A face a twentieth too large against itself needs 1 / 1.05 of its size."""
    large = replace(face, vertices=1.05 * np.asarray(face.vertices, np.float64))
    coarse = preset("metric").with_setting("points.longest_edge_mm", "inf")
    result = evaluate(large, face, coarse, scan_landmarks=Landmarks.of_mesh(face))
    assert result.score.scale == 1.0
    assert result.score.size_error == pytest.approx(1 / 1.05 - 1, abs=1e-6)
    assert "reduced by 4.8 % it would fit best" in result.diagnosis[-1].text


def test_what_is_measured_where_it_lies_is_told_no_alignment_and_no_size(face: Mesh) -> None:
    """By `facescape` nothing is registered: a size error of 0.0 % would be an invention."""
    large = replace(face, vertices=1.01 * np.asarray(face.vertices, np.float64))
    lies = preset("facescape").with_setting("points.longest_edge_mm", "inf")
    result = evaluate(large, face, lies, scan_landmarks=Landmarks.of_mesh(face))
    assert result.score.scale == 1.0 and np.isnan(result.score.size_error)
    said = " ".join(finding.text for finding in result.diagnosis)
    assert "where it lay" in said and "fit" not in said and "alignment" not in said
    away = replace(large, vertices=np.asarray(large.vertices) + np.array([0, 0, 400.0]))
    with pytest.raises(EvaluationError, match="does not lie on the scan") as refused:
        evaluate(away, face, lies, scan_landmarks=Landmarks.of_mesh(face))
    assert "write it in the scan's space" in str(refused.value)


def test_one_share_is_said_of_a_protocol_that_counts_every_point(face: Mesh) -> None:
    """By `now` all of the crop counts: "100% has a counterpart" would contradict the share."""
    low = Score("a", "", "ok", "", "now", "", overlap=1.0, completeness=0.6)
    said = " ".join(remark.text for remark in diagnose(low, preset("now")))
    assert "60% of the cropped scan" in said and "100%" not in said


def test_a_tangle_is_no_face_though_the_scan_lies_on_it(face: Mesh) -> None:
    """Triangles that name the vertex before: `now` counts how far the scan is, next to nothing."""
    torn = replace(face, triangles=np.maximum(np.asarray(face.triangles) - 1, 0))
    marks = Landmarks.of_mesh(face)
    coarse = preset("now").with_setting("points.longest_edge_mm", "inf")
    of_torn, of_face = (
        evaluate(mesh, face, coarse, prediction_landmarks=marks, scan_landmarks=marks)
        for mesh in (torn, face)
    )
    said = [" ".join(f.text for f in one.diagnosis if f.doubtful) for one in (of_torn, of_face)]
    assert "torn" in said[0] and not said[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_front_is_found_in_any_pose(person: Mesh, any_pose, seed: int) -> None:
    pose = any_pose(seed)
    posed = replace(person, vertices=pose.apply(np.asarray(person.vertices, np.float64)))
    seven = np.asarray(posed.vertices)[person.landmarks][SEVEN]
    by_landmarks = rotation_of_landmarks(seven)
    np.testing.assert_allclose(by_landmarks @ by_landmarks.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(by_landmarks) == pytest.approx(1)
    assert _degrees(by_landmarks @ pose.rotation) < 8
    without = replace(posed, landmarks=None)
    assert _degrees(rotation_of_surface(without) @ pose.rotation) < 8


def _degrees(rotation: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def sound(protocol: Protocol) -> Score:
    """A score that nothing speaks against."""
    return Score(
        *("", "", "ok", "", protocol.name, protocol.digest),
        mean_mm=1.2,
        scale=1.01,
        start="landmarks",
        landmark_residual_mm=2.5,
        iterations=9,
        converged=True,
        overlap=0.97,
        n_points=40_000,
        nose_tip_source="label",
        nose_tip_disagreement_mm=1.5,
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"converged": False}, "did not converge"),
        ({"overlap": 0.5}, "lies in a wrong place"),
        ({"overlap": 0.5, "completeness": 0.5}, "show as much: 50% of the cropped scan."),
        ({"completeness": 0.5}, "What is missing counts by its distance to what is there"),
        ({"landmark_residual_mm": 14.0, "landmark_scale": 0.7}, "44% larger than by its landmarks"),
        ({"scale": 1.3}, "enlarged by 30.0 % to fit: more than people differ; check its unit"),
        ({"scale": 0.8}, "reduced by 20.0 %"),
        ({"landmark_residual_mm": 14.0}, "check the landmark files"),
        ({"nose_tip_disagreement_mm": 25.0}, "check the label"),
        ({"nose_tip_source": "found", "nose_tip_spread_mm": 7.0}, "uncertain by 7 mm"),
        ({"n_points": 300}, "Only 300 points"),
        ({"normal_error_deg": 84.0}, "differ by 84 degrees: the prediction is torn"),
    ],
)
def test_each_doubt_is_a_sentence(change: dict[str, object], words: str) -> None:
    protocol = preset("micc")
    score = sound(protocol)
    assert not any(finding.doubtful for finding in diagnose(score, protocol))
    (doubt,) = (f for f in diagnose(replace(score, **change), protocol) if f.doubtful)
    assert words in doubt.text


def test_what_a_number_stands_for_comes_first() -> None:
    for name in ("micc", "metric", "now"):
        protocol = preset(name)
        first = diagnose(sound(protocol), protocol)[0].text
        assert f"protocol {name} ({protocol.digest[:12]})" in first


def test_no_size_is_changed_by_nothing() -> None:
    protocol = preset("micc")
    texts = [finding.text for finding in diagnose(sound(protocol), protocol)]
    same = [f.text for f in diagnose(replace(sound(protocol), scale=0.9998), protocol)]
    assert "fits the scan at its own size" in same[-1] and len(same) == len(texts)


def test_an_unknown_unit_is_no_fault_of_size() -> None:
    protocol = preset("micc")
    findings = diagnose(replace(sound(protocol), scale=104.0), protocol, unit_known=False)
    assert not any(finding.doubtful for finding in findings)
    assert "104 mm" in findings[-1].text


def test_a_scan_that_may_be_mirrored_is_told_where_no_landmarks_tell(face: Mesh) -> None:
    """Its triangles show a reflection that did not turn them; landmarks are not mistaken."""
    mirrored = Mesh(np.asarray(face.vertices) * [-1.0, 1.0, 1.0], face.triangles)
    told = [r.text for r in evaluate(face, mirrored, COARSE).diagnosis if r.text.startswith("the")]
    assert any("if it is mirrored, only landmarks tell" in text for text in told)
    inwards = Mesh(face.vertices, np.asarray(face.triangles)[:, ::-1])
    known = evaluate(face, inwards, COARSE, scan_landmarks=Landmarks.of_mesh(face))
    assert not any("mirrored" in remark.text for remark in known.diagnosis)
    for triangles in (mirrored.triangles, inwards.triangles):
        with pytest.raises(EvaluationError, match="the scan is mirrored"):
            evaluate(face, Mesh(mirrored.vertices, triangles, face.landmarks), COARSE)


def test_the_walls_around_a_face_in_stl_are_not_the_face(face: Mesh) -> None:
    """Its triangles share no vertices; walls face the scanner, which is inwards."""
    room = trimesh.creation.box([900.0] * 3)
    walls = room.triangles[:, ::-1] + np.mean(face.vertices, axis=0)
    corners = np.concatenate([np.asarray(face.vertices)[face.triangles], walls]).reshape(-1, 3)
    scan = Mesh(corners, np.arange(len(corners), dtype=np.int32).reshape(-1, 3))
    assert not any(notes_of(scan, "", None))
    turned = replace(scan, triangles=np.asarray(scan.triangles)[:, ::-1])
    assert any("face inwards and were turned" in note for note in notes_of(turned, "", None))


@pytest.mark.parametrize("side", ["prediction", "scan"])
def test_coordinates_of_three_decimals_in_metres_are_told(face: Mesh, side: str) -> None:
    rounded = Mesh(np.round(np.asarray(face.vertices)), face.triangles)
    sides = {"prediction": face, "scan": face, side: rounded}
    known = Landmarks.of_mesh(face)
    result = evaluate(**sides, protocol=COARSE, prediction_landmarks=known, scan_landmarks=known)
    # Points alone will do, and are held to their order.
    arrays = {"prediction_landmarks": known.points, "scan_landmarks": known.points}
    assert evaluate(**sides, protocol=COARSE, **arrays).score == result.score
    with pytest.raises(FacebenchError, match="landmark"):
        evaluate(**sides, protocol=COARSE, **(arrays | {"scan_landmarks": known.points[::-1]}))
    assert [r.text for r in result.diagnosis if "rounded to steps of 1, and" in r.text]
    fine = Mesh(np.round(np.asarray(face.vertices), 1), face.triangles)
    assert rounding_note(fine) == rounding_note(face) == ""
    # A range image has steps along x and y.
    grid = Mesh(np.c_[np.round(face.vertices[:, :2]), face.vertices[:, 2]], face.triangles)
    assert rounding_note(grid) == ""
