"""Two other projects' evaluators, unchanged, on the same meshes."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from evaluation_oracles import PAIRS, Oracle, read_oracle

from facebench.bench.landmarks import SEVEN, Landmarks
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.diagnosis import diagnose
from facebench.bench.scoring.score import Score, score_prediction

FEW = pytest.mark.parametrize("name", ["pair_0", "pair_7"], indirect=True)
"""A whole face and a small mask: what holds for both ends of the pairs."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    folder = shared / "oracles" / "evaluation"
    if not folder.is_dir():
        pytest.skip("needs the oracles of the evaluation")
    return folder


@pytest.fixture(scope="module", params=PAIRS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def oracle(folder: Path, name: str) -> Oracle:
    return read_oracle(folder, name)


@pytest.fixture(scope="module")
def by_landmarks(folder: Path, name: str) -> Score:
    return measured(folder, name, "fg2018")


@cache
def measured(folder: Path, name: str, protocol: str) -> Score:
    """A pair as it is, once for all tests."""
    return measure(read_oracle(folder, name), protocol)


def measure(oracle: Oracle, protocol: str) -> Score:
    pair = score_prediction(
        oracle.prediction,
        oracle.scan,
        preset(protocol),
        prediction_landmarks=oracle.prediction_landmarks,
        scan_landmarks=oracle.scan_landmarks,
    )
    return pair.score


def test_fg2018(oracle: Oracle, by_landmarks: Score) -> None:
    score, expected = by_landmarks, oracle.expected["fg2018"]
    assert score.n_points == expected["n"]
    assert score.mean_mm == pytest.approx(expected["mean"], abs=1e-6)
    assert score.rmse_mm == pytest.approx(expected["rmse"], abs=1e-6)
    assert score.std_mm == pytest.approx(expected["std"], abs=1e-6)
    assert score.median_mm == pytest.approx(expected["median"], abs=1e-6)
    assert score.value_mm == score.mean_mm
    assert score.start == "landmarks"
    assert 0.5 < score.landmark_residual_mm < 4


def test_now(folder: Path, name: str, oracle: Oracle) -> None:
    """Also where the prediction covers less than the crop, and the end decides the number: the
    original's rule for the end is followed step by step, so that one tolerance holds for all."""
    score, expected = measured(folder, name, "now"), oracle.expected["now"]
    assert score.n_points == expected["n"]
    assert score.mean_mm == pytest.approx(expected["mean"], abs=1e-3)
    assert score.median_mm == pytest.approx(expected["median"], abs=1e-3)
    assert score.rmse_mm == pytest.approx(expected["rmse"], abs=1e-3)
    assert score.value_mm == score.median_mm
    assert score.converged


def test_a_size_that_is_not_that_of_the_landmarks_is_said(folder: Path) -> None:
    """The dense step of `now` makes a small mask a quarter larger than its landmarks say."""
    small, whole = (measured(folder, name, "now") for name in ("pair_7", "pair_1"))
    assert small.scale / small.landmark_scale == pytest.approx(1.254, abs=1e-2)
    said, nothing = (
        [
            finding.text
            for finding in diagnose(score, preset("now"))
            if "by its landmarks" in finding.text
        ]
        for score in (small, whole)
    )
    assert len(said) == 1 and "25% larger" in said[0]
    assert not nothing
    # A quarter larger, the mask covers more of the crop than it would at its landmarks' size.
    assert 0.75 < small.completeness < 0.78 and whole.completeness > 0.95


@FEW
def test_seven_landmarks_say_as_much_as_68(oracle: Oracle, by_landmarks: Score) -> None:
    seven = replace(
        oracle,
        prediction_landmarks=Landmarks(oracle.prediction_landmarks.points[SEVEN]),
        scan_landmarks=Landmarks(oracle.scan_landmarks.points[SEVEN]),
    )
    assert measure(seven, "fg2018") == by_landmarks


@FEW
def test_the_unit_of_the_prediction_does_not_matter(oracle: Oracle, by_landmarks: Score) -> None:
    factor = 0.37
    other = replace(
        oracle,
        prediction=replace(oracle.prediction, vertices=oracle.prediction.vertices * factor),
        prediction_landmarks=Landmarks(oracle.prediction_landmarks.points * factor),
    )
    first, second = by_landmarks, measure(other, "fg2018")
    assert second.scale == pytest.approx(first.scale / factor)
    for name in ("mean_mm", "median_mm", "rmse_mm", "std_mm"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), abs=1e-6)
    assert np.isclose(second.landmark_residual_mm, first.landmark_residual_mm)
