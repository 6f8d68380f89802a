"""Scans and frames of a subject become one number as the protocol says, and say from what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_micc import write_scan

from facebench.bench.dataset.interface import Item, Scan
from facebench.bench.meshes.checks import read_mesh
from facebench.bench.protocol.record import Protocol, preset
from facebench.bench.scoring.measure import Measured
from facebench.bench.scoring.measure import measure as measure_item
from facebench.bench.scoring.score import ScoredPair, score_prediction
from facebench.bench.scoring.target import Prediction, Ruler, read_target
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.model import MorphableModel


def coarse(name: str) -> Protocol:
    """A preset without points between the vertices: what is reduced costs a third."""
    return preset(name).with_setting("points.longest_edge_mm", "inf")


def micc(**settings: str) -> Protocol:
    """The default protocol, coarse, with other reductions."""
    protocol = coarse("micc")
    for name, value in settings.items():
        protocol = protocol.with_setting(f"reduction.{name}", value)
    return protocol


@pytest.fixture(scope="module")
def scans(model: MorphableModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scan, Scan]:
    """Two scans, with landmarks, that differ much more than those of one person would."""
    root = tmp_path_factory.mktemp("scans")
    first, second = (labelled(root / f"{seed}.obj", model, seed) for seed in (3, 4))
    return replace(first, name="frontal1"), replace(second, name="frontal2")


def labelled(path: Path, model: MorphableModel, seed: int) -> Scan:
    """A scan with the model's vertices in their order, so that its landmarks are known."""
    points = read_mesh(write_scan(path, model, seed), "mm")[0].vertices[model.landmarks]
    labels = path.with_suffix(".landmarks.txt")
    np.savetxt(labels, points)
    return Scan("a", "", path, landmarks=labels)


def unlabelled(scan: Scan) -> Scan:
    return replace(scan, landmarks=None)


@pytest.fixture(scope="module")
def vectors(model: MorphableModel) -> np.ndarray:
    """Identity coefficients of three frames."""
    n_modes = model.identity_basis.shape[2]
    return 0.7 * np.random.default_rng(8).standard_normal((3, n_modes)).astype(np.float32)


@pytest.fixture(scope="module")
def singles(
    scans: tuple[Scan, Scan], vectors: np.ndarray, model: MorphableModel
) -> dict[str, list[ScoredPair]]:
    """Every frame's own mesh on every scan, measured one by one."""
    return {
        scan.name: [on_scan(model.mesh(identity=vector), scan) for vector in vectors]
        for scan in scans
    }


def on_scan(face: Mesh, scan: Scan, protocol: Protocol | None = None) -> ScoredPair:
    target = read_target(scan, "mm")
    return score_prediction(face, target.scan, protocol or micc(), scan_landmarks=target.landmarks)


def measure(
    model: MorphableModel,
    scans: tuple[Scan, ...],
    protocol: Protocol,
    prediction: Prediction,
    **how: Any,
) -> Measured:
    item = Item("a/cooperative", "a", "cooperative", scans=scans)
    return measure_item(item, prediction, Ruler(protocol, "mm", model.mesh(), **how))


@pytest.fixture(scope="module")
def face(model: MorphableModel, vectors: np.ndarray) -> Prediction:
    return Prediction(model.mesh(identity=vectors[0]), "", 1, 1)


@pytest.mark.parametrize("rule", ["first", "best_of_two", "each"])
def test_scans_are_reduced_as_the_protocol_says(
    rule: str,
    model: MorphableModel,
    scans: tuple[Scan, Scan],
    face: Prediction,
    singles: dict[str, list[ScoredPair]],
) -> None:
    values = {name: pairs[0].score.value_mm for name, pairs in singles.items()}
    best = min(values, key=lambda name: values[name])
    expected = {
        "first": ("frontal1", values["frontal1"]),
        "best_of_two": (best, values[best]),
        "each": ("frontal1, frontal2", np.mean(list(values.values()))),
    }
    found = measure(model, scans, micc(scan=rule), face)
    assert (found.result.scan, found.result.value_mm) == (
        expected[rule][0],
        pytest.approx(expected[rule][1], rel=1e-12),
    )
    measured = values if rule != "first" else {"frontal1": values["frontal1"]}
    assert dict(zip(found.result.scans, found.result.scan_values_mm, strict=True)) == measured
    # One stored distance for each mm² of either surface, and their mean is the mean over the area.
    means = [side.mean() for side in found.distances]
    assert np.mean(means) == pytest.approx(found.result.mean_mm, rel=2e-3)
    assert min(len(side) for side in found.distances) > 15_000 and found.result.note == ""


def test_a_faulty_second_scan_is_a_note(
    model: MorphableModel,
    scans: tuple[Scan, Scan],
    face: Prediction,
    singles: dict[str, list[ScoredPair]],
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken.obj"
    broken.write_text("v 1 2\n")
    ball = tmp_path / "other.obj"
    ball.write_text("v 0 0 0\nv 9 0 0\nv 0 9 0\nf 1 2 3\n")
    for path, rule in ((broken, "each"), (ball, "best_of_two"), (tmp_path / "lost.obj", "each")):
        pair = (scans[0], replace(scans[1], path=path))
        row = measure(model, pair, micc(scan=rule), face).result
        assert row.status == "ok" and "frontal2 left out: " in row.note
        assert row.value_mm == singles["frontal1"][0].score.value_mm
        assert row.scans == ("frontal1",)
    both = (replace(scans[0], path=broken), replace(scans[1], path=tmp_path / "lost.obj"))
    row = measure(model, both, micc(scan="each"), face).result
    assert row.status == "failed" and "frontal1 left out" in row.reason
    assert "frontal2 left out" in row.reason


def test_the_first_scan_is_the_first_that_can_be_read(
    model: MorphableModel, scans: tuple[Scan, Scan], face: Prediction, tmp_path: Path
) -> None:
    lost = replace(scans[0], path=tmp_path / "lost.obj")
    row = measure(model, (lost, scans[1]), micc(), face).result
    assert row.scan == "frontal2" and "frontal1 left out: " in row.note


def test_the_mean_face_is_reduced_alike(model: MorphableModel, scans: tuple[Scan, Scan]) -> None:
    """Of the second scan, which has no landmarks, the pose has to be searched for."""
    bare = scans[0], unlabelled(scans[1])
    failed = Prediction(None, "no face", 1, 0)
    values = [on_scan(model.mesh(), scan).score.value_mm for scan in bare]
    row = measure(model, bare, micc(scan="each"), failed).result
    assert row.status == "failed" and row.mean_face_mm == pytest.approx(np.mean(values))


def test_errors_are_averaged_over_the_frames_own_meshes(
    model: MorphableModel,
    scans: tuple[Scan, Scan],
    vectors: np.ndarray,
    singles: dict[str, list[ScoredPair]],
) -> None:
    mean = Prediction(model.mesh(identity=vectors.mean(0)), "", 3, 3)
    prediction = replace(mean, vectors=vectors)
    protocol = micc(average="errors", scan="best_of_two")
    found = measure(model, scans, protocol, prediction, decode=model.mesh)
    values = {n: [pair.score.value_mm for pair in pairs] for n, pairs in singles.items()}
    best = min(values, key=lambda name: sum(values[name]))
    assert found.result.scan == best
    assert found.result.value_mm == pytest.approx(np.mean(values[best]), rel=1e-12)
    scales = [pair.score.scale for pair in singles[best]]
    assert found.result.scale == pytest.approx(np.mean(scales), rel=1e-12)
    of_mean = measure(model, scans, micc(scan="best_of_two"), mean).result.value_mm
    assert found.result.value_mm > of_mean * 1.02
    shown = singles[best][int(np.argsort(values[best])[1])]
    assert found.aligned is not None
    np.testing.assert_array_equal(found.aligned.vertices, shown.aligned.vertices)
    np.testing.assert_array_equal(found.distances[0], shown.distances[0])


def test_a_frame_that_cannot_be_measured_is_a_note(
    model: MorphableModel,
    scans: tuple[Scan, Scan],
    vectors: np.ndarray,
    singles: dict[str, list[ScoredPair]],
) -> None:
    spoilt = vectors.copy()
    spoilt[2] = np.nan
    prediction = Prediction(model.mesh(), "", 3, 3, vectors=spoilt)
    row = measure(model, scans, micc(average="errors"), prediction, decode=model.mesh).result
    values = [pair.score.value_mm for pair in singles["frontal1"]]
    assert row.value_mm == pytest.approx(np.mean(values[:2]), rel=1e-12)
    assert "1 of 3 faces could not be measured" in row.note and "NaN" in row.note
    lost = replace(prediction, vectors=np.full_like(vectors, np.nan))
    row = measure(model, scans, micc(average="errors"), lost, decode=model.mesh).result
    assert row.status == "failed" and "none of 3 faces" in row.reason


def test_a_rigid_protocol_tells_the_size_error(
    model: MorphableModel, scans: tuple[Scan, Scan], vectors: np.ndarray
) -> None:
    """A face 5 % too small is told to be 5 % too small, whatever its shape's own best size."""
    whole = model.mesh(identity=vectors[0])
    rows = [
        measure(model, scans, coarse("metric"), Prediction(mesh, "", 1, 1)).result
        for mesh in (whole, replace(whole, vertices=whole.vertices * 0.95))
    ]
    assert [row.scale for row in rows] == [pytest.approx(1.0)] * 2
    assert rows[0].size_error + 1 == pytest.approx(on_scan(whole, scans[0]).score.scale)
    ratio = (rows[1].size_error + 1) / (rows[0].size_error + 1)
    assert ratio == pytest.approx(1 / 0.95, rel=1e-3)
    free = measure(model, scans, micc(), Prediction(whole, "", 1, 1)).result
    assert np.isnan(free.size_error)


def test_a_fixed_scale_is_what_the_prediction_gets(
    model: MorphableModel, scans: tuple[Scan, Scan], face: Prediction
) -> None:
    protocol = micc().with_setting("alignment.scale", "global")
    free = measure(model, scans, protocol, face).result
    fixed = measure(model, scans, protocol, face, fixed_scale=free.scale).result
    assert np.isnan(free.fixed_scale) and fixed.fixed_scale == free.scale
    assert fixed.scale == pytest.approx(free.scale, rel=1e-12)
    assert fixed.value_mm == pytest.approx(free.value_mm, rel=5e-3)
    wrong = measure(model, scans, protocol, face, fixed_scale=1.1 * free.scale).result
    assert wrong.value_mm > 1.05 * free.value_mm


def test_a_scans_landmarks_are_used(
    model: MorphableModel, scans: tuple[Scan, Scan], face: Prediction, tmp_path: Path
) -> None:
    row = measure(model, scans[:1], preset("fg2018"), face).result
    assert (row.status, row.start) == ("ok", "landmarks")
    whole = replace(read_mesh(scans[0].path, "mm")[0], landmarks=model.landmarks)
    expected = score_prediction(face.mesh, whole, preset("fg2018")).score  # type: ignore[arg-type]
    assert row.value_mm == pytest.approx(expected.value_mm, rel=1e-6)
    row = measure(model, (unlabelled(scans[0]),), preset("fg2018"), face).result
    assert row.status == "failed" and "landmarks" in row.reason
    labels = tmp_path / "a.landmarks.txt"
    labels.write_text("1 2 3\n")
    row = measure(model, (replace(scans[0], landmarks=labels),), preset("fg2018"), face).result
    assert row.status == "failed" and "a.landmarks.txt" in row.reason
