"""Subjects measured by Ray tasks get the rows that a plain call gives."""

from __future__ import annotations

import numpy as np
import pytest
from small_micc import write_scan

from facebench.bench.dataset.interface import Item, Scan
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.measure import Job, Measured, measure_job
from facebench.bench.scoring.result import SCORED, UNSCORED
from facebench.bench.scoring.target import Prediction, Ruler
from facebench.distributed.benchmark import measure_here, measure_jobs
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel

pytestmark = pytest.mark.usefixtures("ray_running")


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model("embedded")


@pytest.fixture(scope="module")
def how(model: MorphableModel) -> Ruler:
    coarse = preset("micc").with_setting("points.longest_edge_mm", "inf")
    return Ruler(coarse, "mm", model.mesh())


def job(scans: tuple[Scan, ...], subject: str, *predictions: Prediction) -> Job:
    """Items `a`, `b`, … of a subject."""
    reason = "" if scans else "no usable frontal scan"
    return [
        (Item(f"{subject}/{scene}", subject, scene, scans=scans, scan_reason=reason), prediction)
        for scene, prediction in zip("abc", predictions, strict=False)
    ]


@pytest.fixture(scope="module")
def jobs(model: MorphableModel, tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    # The one with holes has no landmarks: its pose is searched for.
    path = write_scan(tmp_path_factory.mktemp("scans") / "a.obj", model, seed=3, labelled=True)
    text = path.read_text().splitlines()
    for line in (5, 900, 2500):
        text[line] = "v nan nan nan"
    holes = path.with_name("holes.obj")
    holes.write_text("\n".join(text))
    rng = np.random.default_rng(5)
    face = model.mesh(identity=rng.normal(size=model.identity_basis.shape[2]))
    whole = Prediction(face, "", 10, 9)
    failed = Prediction(None, "no face was found", 10, 0)
    nan = Prediction(model.mesh(identity=np.full(model.identity_basis.shape[2], np.nan)), "", 1, 1)
    missing = Scan("lost", "frontal1", path.with_name("lost.obj"))
    return [
        job((Scan("plain", "frontal1", path),), "plain", whole, failed, nan),
        job((Scan("holes", "frontal1", holes),), "holes", whole),
        job((), "scanless", whole, failed),
        job((missing,), "lost", whole),
    ]


@pytest.fixture(scope="module")
def measured(jobs: list[Job], how: Ruler, ray_running: None) -> dict[str, list[Measured]]:
    return {rows[0].result.subject: rows for rows in measure_jobs(iter(jobs), how)}


def test_every_prediction_has_a_row(measured: dict[str, list[Measured]], jobs: list[Job]) -> None:
    for job in jobs:
        results = [one.result for one in measured[job[0][0].subject]]
        assert [result.item for result in results] == [item.id for item, _ in job]
        assert [result.frames for result in results] == [made.frames for _, made in job]


def test_the_same_numbers_as_without_ray(
    measured: dict[str, list[Measured]], jobs: list[Job], how: Ruler
) -> None:
    (expected,) = measure_job(jobs[1], how)
    ((here,),) = measure_here([jobs[1]], how)
    (found,) = measured["holes"]
    assert found.result.value_mm == pytest.approx(expected.result.value_mm, rel=1e-9)
    assert repr(here.result) == repr(expected.result)
    assert "3 invalid vertices" in found.result.note
    np.testing.assert_allclose(found.vertex_errors, expected.vertex_errors, atol=1e-6)


def test_holes_hardly_move_the_score(measured: dict[str, list[Measured]]) -> None:
    whole, holes = measured["plain"][0].result, measured["holes"][0].result
    assert whole.status == SCORED and holes.value_mm == pytest.approx(whole.value_mm, rel=0.02)


def test_failures_have_reasons_and_the_mean_face(measured: dict[str, list[Measured]]) -> None:
    scored, without_face, nan = (item.result for item in measured["plain"])
    assert scored.value_mm > 0.1 and scored.mean_face_mm > 0.1
    assert without_face.status == UNSCORED and without_face.reason == "no face was found"
    assert nan.status == UNSCORED and "NaN" in nan.reason
    assert without_face.mean_face_mm == nan.mean_face_mm == scored.mean_face_mm


def test_without_a_scan_nothing_is_known(measured: dict[str, list[Measured]]) -> None:
    for item in measured["scanless"]:
        assert item.result.reason == "no usable frontal scan" and item.aligned is None
        assert np.isnan(item.result.mean_face_mm)
    assert "no such file" in measured["lost"][0].result.reason
