"""Agreement of measured with true errors on tables whose answer is known."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from facebench.bench.audit.measure import STATISTICS, correlation
from facebench.bench.audit.predictors import LADDER_MM
from facebench.results.audit.agreement import agreement
from facebench.results.audit.folder import agreement_table

PEOPLE, METHODS = 12, ("good", "fair", "poor")


def table(measured: np.ndarray, true: np.ndarray, group: str = "identity") -> pd.DataFrame:
    """Rows of errors (methods, people), half of the people of another model."""
    names = METHODS if group == "identity" else [f"rung {k}" for k in range(len(measured))]
    rows = [
        {
            "model": f"m{person % 2}",
            "protocol": "micc",
            "digest": "d",
            "method": method,
            "group": group,
            "subject": f"s{person // 2}",
            "vertices": 0.5,
            "reason": "",
            "note": "",
            "measured_mm": measured[m, person],
            "true_mm": true[m, person],
        }
        for m, method in enumerate(names)
        for person in range(PEOPLE)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of what an audit draws: enough for every interval asked for here."""
    module = import_module("facebench.results.audit.agreement")
    monkeypatch.setattr(module, "RESAMPLES", 100)


@pytest.fixture(name="true")
def _true() -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.array([[1.0], [2.0], [3.0]]) + 0.1 * generator.standard_normal((3, PEOPLE))


def test_half_of_the_truth_is_biased_and_orders_everything_right(true: np.ndarray) -> None:
    found = agreement(table(true / 2, true))
    assert found.people == PEOPLE
    assert found.bias.value == pytest.approx(-0.5)
    assert (found.bias.ci95.low, found.bias.ci95.high) == pytest.approx((-0.5, -0.5))
    assert (found.across_people.value, found.pooled.value) == pytest.approx((1.0, 1.0))
    assert found.across_vertices.value == pytest.approx(0.5)
    assert (found.kendall.value, found.exchanged, found.failed) == (1.0, (), 0)
    assert np.isnan(found.within)  # This protocol states no deviation.


def test_how_many_truths_lie_within_the_stated_deviation(true: np.ndarray) -> None:
    rows = table(true / 2, true)
    rows["deviation_mm"] = np.where(rows["method"] == "poor", 1.6, 0.2)
    found = agreement(rows)
    assert found.within == pytest.approx((np.abs(true[2]) / 2 <= 1.6).sum() / true.size)
    assert any(
        f"{found.within:.0%} of the true errors" in n for n in agreement_table([found]).notes
    )


def test_a_protocol_that_turns_the_order_round_is_told(true: np.ndarray) -> None:
    found = agreement(table(5 - true, true))
    assert found.kendall.value == -1.0
    assert found.exchanged == ("good < fair", "good < poor", "fair < poor")
    assert found.across_people.value == pytest.approx(-1.0)


def test_intervals_come_from_people_and_hold_the_estimate(true: np.ndarray) -> None:
    generator = np.random.default_rng(1)
    measured = true + 0.3 * generator.standard_normal(true.shape)
    found = agreement(table(measured, true))
    for item in (found.bias, found.across_people, found.pooled, found.kendall):
        assert item.ci95.low <= item.value <= item.ci95.high
    assert found.across_people.ci95.high - found.across_people.ci95.low > 0.05
    again = agreement(table(measured, true))
    assert (again.bias, again.kendall) == (found.bias, found.kendall)
    # What a single odd person does is in the interval over people.
    measured[:, 0] += 5
    wide = agreement(table(measured, true)).bias.ci95
    assert wide.high - wide.low > 3 * (found.bias.ci95.high - found.bias.ci95.low)


def test_tau_is_scipys(true: np.ndarray) -> None:
    measured = true[[1, 0, 2]]
    expected = kendalltau(measured.mean(1), true.mean(1)).statistic
    assert agreement(table(measured, true)).kendall.value == pytest.approx(expected)


@pytest.mark.parametrize(("noise", "fewest", "most"), [(0.01, 2, 4), (0.1, 30, 180)])
def test_people_to_tell_a_step_grow_with_the_noise(noise: float, fewest: int, most: int) -> None:
    generator = np.random.default_rng(2)
    true = 1 + LADDER_MM * np.arange(6)[:, None] + np.zeros((6, PEOPLE))
    measured = true + noise * generator.standard_normal(true.shape)
    rows = [table(measured[:3], true[:3]), table(measured, true, "ladder")]
    small, large = agreement(pd.concat(rows)).people_to_tell
    assert fewest <= small <= most
    assert large <= small


def test_the_power_is_that_of_a_simulation() -> None:
    generator = np.random.default_rng(5)
    true = 1 + LADDER_MM * np.arange(6)[:, None] + np.zeros((6, PEOPLE))
    noise = generator.standard_normal(true.shape)
    rows = [table(true[:3], true[:3]), table(true + 0.05 * noise, true, "ladder")]
    people = int(agreement(pd.concat(rows)).people_to_tell[0])
    ladder = true + 0.05 * noise
    steps = (ladder[1:] - ladder[:-1]).ravel()
    drawn = generator.normal(steps.mean(), steps.std(ddof=1), (4000, people))
    t = drawn.mean(1) / (drawn.std(1, ddof=1) / np.sqrt(people))
    from scipy.stats import t as student

    found = float(np.mean(t > student.ppf(0.975, people - 1)))
    assert 0.76 < found < 0.93


def test_a_ladder_without_noise_is_told_by_two_people(true: np.ndarray) -> None:
    rungs = 1 + LADDER_MM * np.arange(4)[:, None] + np.zeros((4, PEOPLE))
    for noise in (0.0, 1e-9, 1e-4):
        measured = np.round(rungs, 6) + noise * np.random.default_rng(0).random(rungs.shape)
        rows = [table(true, true), table(measured, rungs, "ladder")]
        assert agreement(pd.concat(rows)).people_to_tell == (2, 2)


def test_a_ladder_that_falls_is_never_told(true: np.ndarray) -> None:
    rungs = 1 + LADDER_MM * np.arange(4)[:, None] + np.zeros((4, PEOPLE))
    rows = [table(true, true), table(3 - rungs + 1e-3 * np.random.rand(4, PEOPLE), rungs, "ladder")]
    assert agreement(pd.concat(rows)).people_to_tell == (np.inf, np.inf)


def test_methods_of_even_quality_have_no_order_to_lose(true: np.ndarray) -> None:
    true[1] = 1.001 * true[0]
    measured = true.copy()
    measured[1] = 0.9 * true[0]
    assert agreement(table(measured, true)).exchanged == ()


def test_failures_are_counted_and_left_out(true: np.ndarray) -> None:
    measured = true.copy()
    measured[0, 3] = np.nan
    rows = table(measured, true)
    rows.loc[rows["measured_mm"].isna(), "reason"] = "no overlap"
    found = agreement(rows)
    assert (found.failed, found.reason) == (1, "no overlap")
    assert found.bias.value == pytest.approx(0.0)


def test_a_constant_has_no_correlation() -> None:
    assert np.isnan(correlation([1, 1, 1], [1, 2, 3]))
    assert np.isnan(correlation([1, 2], [1, 2]))
    assert correlation([1, 2, 3, np.nan], [2, 4, 6, 1]) == pytest.approx(1.0)


def test_a_weight_of_two_is_a_point_twice() -> None:
    x, y, w = np.array([1.0, 2, 5, 3]), np.array([2.0, 1, 4, 4]), np.array([2, 1, 1, 3])
    expected = np.corrcoef(np.repeat(x, w), np.repeat(y, w))[0, 1]
    assert correlation(x, y, w) == pytest.approx(expected)
    errors, area = np.array([4.0, 1, 2, np.nan]), np.array([1.0, 3, 5, 7])
    assert STATISTICS["mean"](errors, area) == pytest.approx((4 + 3 + 10) / 9)
    assert STATISTICS["median"](errors, area) == 2.0
    assert STATISTICS["rmse"](errors, area) == pytest.approx(np.sqrt((16 + 3 + 20) / 9))
