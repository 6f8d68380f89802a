"""Agreement of measured with true errors on tables whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from facebench.bench.audit.correlation import correlation
from facebench.results.audit.agreement import agreement

SUBJECTS, METHODS = 8, ("good", "fair", "poor")


def table(measured: np.ndarray, true: np.ndarray) -> pd.DataFrame:
    """Rows of errors (methods, subjects)."""
    rows = [
        ("micc", "d", method, f"s{subject}", measured[m, subject], true[m, subject], 0.5)
        for m, method in enumerate(METHODS)
        for subject in range(SUBJECTS)
    ]
    names = ["protocol", "digest", "method", "subject", "measured_mm", "true_mm", "vertices"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(name="true")
def _true() -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.array([[1.0], [2.0], [3.0]]) + 0.1 * generator.standard_normal((3, SUBJECTS))


def test_half_of_the_truth_is_biased_and_orders_everything_right(true: np.ndarray) -> None:
    found = agreement(table(true / 2, true))
    assert found.bias_mm == pytest.approx(-true.mean() / 2)
    assert found.ratio == pytest.approx(0.5)
    assert found.bias_ci95_mm.low <= found.bias_mm <= found.bias_ci95_mm.high
    assert (found.across_subjects, found.across_methods) == pytest.approx((1.0, 1.0))
    assert (found.kendall, found.exchanged, found.failed) == (1.0, (), 0)


def test_a_protocol_that_turns_the_order_round_is_told(true: np.ndarray) -> None:
    found = agreement(table(5 - true, true))
    assert found.kendall == -1.0
    assert found.exchanged == ("good < fair", "good < poor", "fair < poor")
    assert found.across_subjects == pytest.approx(-1.0)


def test_methods_of_even_quality_have_no_order_to_lose(true: np.ndarray) -> None:
    true[1] = 1.001 * true[0]
    measured = true.copy()
    measured[1] = 0.9 * true[0]
    assert agreement(table(measured, true)).exchanged == ()


def test_failures_are_counted_and_left_out(true: np.ndarray) -> None:
    measured = true.copy()
    measured[0, 3] = np.nan
    found = agreement(table(measured, true))
    assert found.failed == 1
    assert found.bias_mm == pytest.approx(0.0)


def test_a_constant_has_no_correlation() -> None:
    assert np.isnan(correlation([1, 1, 1], [1, 2, 3]))
    assert np.isnan(correlation([1, 2], [1, 2]))
    assert correlation([1, 2, 3, np.nan], [2, 4, 6, 1]) == pytest.approx(1.0)
