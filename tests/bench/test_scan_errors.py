"""The errors shown on a scan are those that its points were counted with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.protocol.record import preset
from facebench.bench.scoring.score import ScoredPair, score_prediction
from facebench.recon.morphable.procedural import procedural_model


@pytest.fixture(scope="module")
def pair() -> ScoredPair:
    model = procedural_model(0, 2000)
    someone = model.mesh(identity=0.5 * np.ones(model.identity_basis.shape[2]))
    return score_prediction(model.mesh(), someone, preset("micc"))


def test_their_mean_is_the_scores(pair: ScoredPair) -> None:
    matches = pair.alignment.matches[0]
    inside = matches.inliers
    mean = np.average(matches.point_to_plane[inside], weights=matches.areas[inside])
    assert mean == pytest.approx(pair.score.scan_to_prediction_mm)
    assert pair.distances[0].mean() == pytest.approx(mean, rel=2e-3)
    assert np.nanmean(pair.scan_errors) == pytest.approx(mean, rel=0.1)


def test_they_are_where_the_points_are(pair: ScoredPair) -> None:
    matches = pair.alignment.matches[0]
    place = {tuple(point): row for row, point in enumerate(matches.on_scan)}
    rows = np.flatnonzero(~np.isnan(pair.scan_errors))[::50]
    found = [place[tuple(point)] for point in pair.scan.vertices[rows]]
    np.testing.assert_array_equal(pair.scan_errors[rows], matches.point_to_plane[found])


def test_the_scan_is_cut_to_what_was_measured(pair: ScoredPair) -> None:
    away = np.linalg.norm(pair.scan.vertices - pair.nose_tip.position, axis=1)
    assert away[~np.isnan(pair.scan_errors)].max() <= 95.0 < away.max() < 115.0


def test_corresponding_points_leave_the_scan_unmeasured() -> None:
    model = procedural_model(0, 2000)
    ruler = preset("micc")
    ruler = replace(
        ruler,
        distance=replace(
            ruler.distance,
            measure="correspondence",
            direction="prediction_to_scan",
            along="normals",
        ),
    )
    someone = model.mesh(identity=0.5 * np.ones(model.identity_basis.shape[2]))
    assert np.isnan(score_prediction(model.mesh(), someone, ruler).scan_errors).all()
