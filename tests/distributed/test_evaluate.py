"""Subjects measured by Ray tasks get the rows that a plain call gives."""

from __future__ import annotations

import numpy as np
import pytest
from small_micc import write_scan

from facebench.bench.dataset.interface import Scan
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.measure import (
    Measured,
    Measuring,
    Prediction,
    SubjectJob,
    measure_subject,
)
from facebench.distributed.cluster import connected
from facebench.distributed.tasks import measure_subjects
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.results.run.folder import SCORED, UNSCORED


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model("embedded")


@pytest.fixture(scope="module")
def how(model: MorphableModel) -> Measuring:
    return Measuring(preset("micc"), "mm", model.mesh(), {})


@pytest.fixture(scope="module")
def jobs(model: MorphableModel, tmp_path_factory: pytest.TempPathFactory) -> list[SubjectJob]:
    path = write_scan(tmp_path_factory.mktemp("scans") / "a.obj", model, seed=3)
    text = path.read_text().splitlines()
    for line in (5, 900, 2500):
        text[line] = "v nan nan nan"
    holes = path.with_name("holes.obj")
    holes.write_text("\n".join(text))
    rng = np.random.default_rng(5)
    face = model.mesh(identity=rng.normal(size=model.identity_basis.shape[2]))
    whole = Prediction("a", face, "", 10, 9)
    failed = Prediction("b", None, "no face was found", 10, 0)
    nan = Prediction(
        "c", model.mesh(identity=np.full(model.identity_basis.shape[2], np.nan)), "", 1, 1
    )
    missing = Scan("lost", "frontal1", path.with_name("lost.obj"))
    return [
        SubjectJob("plain", (Scan("plain", "frontal1", path),), "", (whole, failed, nan)),
        SubjectJob("holes", (Scan("holes", "frontal1", holes),), "", (whole,)),
        SubjectJob("scanless", (), "no usable frontal scan", (whole, failed)),
        SubjectJob("lost", (missing,), "", (whole,)),
    ]


@pytest.fixture(scope="module")
def measured(jobs: list[SubjectJob], how: Measuring) -> dict[str, list[Measured]]:
    with connected(cluster=False):
        return {rows[0].row["subject"]: rows for rows in measure_subjects(iter(jobs), how)}


def test_every_prediction_has_a_row(
    measured: dict[str, list[Measured]], jobs: list[SubjectJob]
) -> None:
    for job in jobs:
        rows = [item.row for item in measured[job.subject]]
        assert [row["scene"] for row in rows] == [p.scene for p in job.predictions]
        assert [row["frames"] for row in rows] == [p.frames for p in job.predictions]


def test_the_same_numbers_as_without_ray(
    measured: dict[str, list[Measured]], jobs: list[SubjectJob], how: Measuring
) -> None:
    (expected,) = measure_subject(jobs[1], how)
    (found,) = measured["holes"]
    assert found.row["value_mm"] == pytest.approx(expected.row["value_mm"], rel=1e-9)
    assert "3 invalid vertices" in found.row["note"]
    np.testing.assert_allclose(found.vertex_errors, expected.vertex_errors, atol=1e-6)


def test_holes_hardly_move_the_score(measured: dict[str, list[Measured]]) -> None:
    whole, holes = measured["plain"][0].row, measured["holes"][0].row
    assert whole["status"] == SCORED and holes["value_mm"] == pytest.approx(
        whole["value_mm"], rel=0.02
    )


def test_failures_have_reasons_and_the_mean_face(measured: dict[str, list[Measured]]) -> None:
    scored, without_face, nan = (item.row for item in measured["plain"])
    assert scored["value_mm"] > 0.1 and scored["mean_face_mm"] > 0.1
    assert without_face["status"] == UNSCORED and without_face["reason"] == "no face was found"
    assert nan["status"] == UNSCORED and "NaN" in nan["reason"]
    assert without_face["mean_face_mm"] == nan["mean_face_mm"] == scored["mean_face_mm"]


def test_without_a_scan_nothing_is_known(measured: dict[str, list[Measured]]) -> None:
    for item in measured["scanless"]:
        assert item.row["reason"] == "no usable frontal scan" and item.aligned is None
        assert np.isnan(item.row["mean_face_mm"])
    assert "no such file" in measured["lost"][0].row["reason"]
