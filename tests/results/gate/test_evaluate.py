"""Rules held against runs of known errors: when they pass, fail, and have no answer."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_runs import (
    SCENES,
    SUBJECTS,
    example_record,
    example_row,
    example_run,
    example_summary,
    failed_row,
    keep_rows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.results.compare import compare
from facebench.results.gate.baseline import Baseline
from facebench.results.gate.evaluate import evaluate, not_measured
from facebench.results.gate.rules import Coverage, Limit, Paper, Regression, Rule, Speed
from facebench.results.gate.verdict import Status, Verdict
from facebench.results.run.folder import RunFolder

PASSED, WARNED, FAILED = Status.PASSED, Status.WARNED, Status.FAILED
UNKNOWN, SKIPPED = Status.UNKNOWN, Status.SKIPPED
BASE = np.linspace(1.0, 1.7, len(SUBJECTS))


def run_of(root: Path, errors: np.ndarray, failed: int = 0) -> RunFolder:
    """One scene with these errors; the last `failed` subjects have none."""
    record = example_record(scenes=SCENES[:1])
    folder = RunFolder(root)
    folder.begin(record)
    write_errors(folder, errors, failed)
    return folder


def write_errors(folder: RunFolder, errors: np.ndarray, failed: int = 0) -> None:
    scored = len(SUBJECTS) - failed
    rows = [example_row(SUBJECTS[i], SCENES[0], float(errors[i])) for i in range(scored)]
    rows += [failed_row(name, SCENES[0], "no face") for name in SUBJECTS[scored:]]
    folder.scores.write(rows)
    folder.write_summary({SCENES[0]: example_summary(rows, SCENES[0])} if scored else {})
    record = replace(folder.record(), n_scored=scored, n_unscored=failed)
    folder.write_record(record)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_of(tmp_path_factory.mktemp("run") / "ours", BASE)


@pytest.fixture(scope="module")
def baseline(run: RunFolder) -> Baseline:
    return Baseline.of_run(run)


def moved(baseline: Baseline, by_mm: np.ndarray | float) -> Baseline:
    """A baseline whose errors are lower by so much, so that the run's are higher."""
    values = BASE - np.broadcast_to(by_mm, BASE.shape)
    errors = dict(zip(SUBJECTS, values.tolist(), strict=True))
    return replace(baseline, errors_mm={SCENES[0]: errors})


def statuses(verdict: Verdict) -> list[Status]:
    return [check.status for check in verdict.checks]


SURE = np.full(len(SUBJECTS), 0.05)
NOISY = np.array([0.9, -0.4, 0.5, -0.5, 0.3, -0.3, 0.2, -0.3])


@pytest.mark.parametrize(
    ("difference", "tolerance_mm", "status"),
    [
        (SURE, 0.02, FAILED),  # beyond the tolerance, and surely above zero
        (SURE, 0.06, PASSED),  # surely above zero, but within the tolerance
        (NOISY, 0.02, WARNED),  # beyond the tolerance, but it may be chance
        (NOISY, 0.2, PASSED),
        (-SURE, 0.0, PASSED),  # better
        (0 * SURE, 0.0, PASSED),  # the same run again
    ],
)
def test_a_regression_needs_size_and_certainty(
    run: RunFolder, baseline: Baseline, difference: np.ndarray, tolerance_mm: float, status: Status
) -> None:
    verdict = evaluate([Regression(tolerance_mm=tolerance_mm)], run, moved(baseline, difference))
    (check,) = verdict.checks
    assert check.status is status
    assert check.value == pytest.approx(difference.mean(), abs=1e-12)
    if difference is NOISY:
        assert check.interval is not None and check.interval.low < 0.02 < check.value


def test_the_mean_alone_decides_where_that_is_asked_for(run: RunFolder, baseline: Baseline) -> None:
    rule = Regression(tolerance_mm=0.02, beyond_chance=False)
    (check,) = evaluate([rule], run, moved(baseline, NOISY)).checks
    assert check.status is FAILED and check.p_holm > 0.05


def test_a_gate_and_a_comparison_have_one_p_value(tmp_path: Path) -> None:
    run = example_run(tmp_path / "poor", "poor", 1.42, seed=1)
    against = example_run(tmp_path / "good", "good", 1.4)
    pairs = compare([against, run]).groups[0].pairs
    # Also where the rule is for one of the scenes: it is one difference all the same.
    rule = Regression(tolerance_mm=0.0, scenes=SCENES[1:2])
    (check,) = evaluate([rule], run, Baseline.of_run(against)).checks
    (pair,) = [pair for pair in pairs if pair.scene == SCENES[1]]
    assert check.p_holm == pair.p_holm and check.value == pair.difference.mean_mm
    assert (check.status is FAILED) == pair.shown


def test_of_few_subjects_a_worse_mean_has_no_answer(tmp_path: Path) -> None:
    asked = example_record(scenes=SCENES[:1], subjects=SUBJECTS[:5])
    folder = RunFolder(tmp_path)
    folder.begin(asked)
    keep_rows(folder, [example_row(name, SCENES[0], 1.0) for name in SUBJECTS[:5]])
    few = Baseline.of_run(folder)
    better = {SCENES[0]: dict.fromkeys(SUBJECTS[:5], 0.9)}
    (check,) = evaluate(
        [Regression(tolerance_mm=0.02)], folder, replace(few, errors_mm=better)
    ).checks
    assert check.status is UNKNOWN and "fewer than 6 cannot show" in check.detail
    assert evaluate([Regression(tolerance_mm=0.2)], folder, few).status is PASSED


@settings(max_examples=30)
@given(st.floats(-0.5, 0.5), st.floats(0, 0.5))
def test_a_shift_of_everybody_fails_exactly_beyond_the_tolerance(
    run: RunFolder, baseline: Baseline, shift_mm: float, tolerance_mm: float
) -> None:
    verdict = evaluate([Regression(tolerance_mm=tolerance_mm)], run, moved(baseline, shift_mm))
    if abs(shift_mm - tolerance_mm) > 1e-9:
        failed = shift_mm > tolerance_mm
        assert verdict.status is (FAILED if failed else PASSED)


def test_a_limit_is_inclusive_and_of_any_statistic(run: RunFolder) -> None:
    mean = run.summary()[SCENES[0]].mean_mm
    p90 = run.summary()[SCENES[0]].p90_mm
    assert statuses(evaluate([Limit(max_mm=mean)], run, None)) == [PASSED]
    assert statuses(evaluate([Limit(max_mm=np.nextafter(mean, 0))], run, None)) == [FAILED]
    verdict = evaluate([Limit(max_mm=mean, statistic="p90_mm")], run, None)
    assert statuses(verdict) == [FAILED] and verdict.checks[0].value == p90


def test_failed_subjects_leave_accuracy_without_an_answer(
    tmp_path: Path, baseline: Baseline
) -> None:
    """Seven of eight subjects: whatever the mean, nothing is said of the eighth."""
    run = run_of(tmp_path / "a", BASE, failed=1)
    rules: list[Rule] = [Limit(max_mm=9), Regression(tolerance_mm=9), Paper(tolerance_mm=9)]
    verdict = evaluate(rules, run, baseline)
    assert set(statuses(verdict)) == {UNKNOWN} and verdict.exit_code == 3
    assert "7 of 8 subjects scored, 100% are asked for" in verdict.checks[0].detail


def test_a_coverage_rule_says_how_much_is_enough(tmp_path: Path, baseline: Baseline) -> None:
    run = run_of(tmp_path / "a", BASE, failed=1)
    rules: list[Rule] = [Limit(max_mm=9), Regression(tolerance_mm=9), Coverage(subjects=0.8)]
    assert statuses(evaluate(rules, run, baseline)) == [PASSED] * 3
    rules[2] = Coverage(subjects=0.9)
    assert statuses(evaluate(rules, run, baseline)) == [UNKNOWN] * 3
    rules[2] = Coverage(subjects=0.8, faces=0.9)
    verdict = evaluate(rules, run, baseline)
    assert statuses(verdict) == [UNKNOWN] * 3 and "faces in 82%" in verdict.checks[2].detail


def test_a_subject_lost_since_the_baseline_is_told(run: RunFolder, baseline: Baseline) -> None:
    errors = {SCENES[0]: {**baseline.errors_mm[SCENES[0]], "subject_99": 1.0}}
    verdict = evaluate([Regression(tolerance_mm=9)], run, replace(baseline, errors_mm=errors))
    assert statuses(verdict) == [UNKNOWN] and "subject_99" in verdict.checks[0].detail


def test_the_share_that_is_asked_for_is_enough(tmp_path: Path, baseline: Baseline) -> None:
    """One of five: 1 - 4 / 5 is less than 0.2 in floating point."""
    rules: list[Rule] = [Coverage(subjects=0.2), Regression(tolerance_mm=9)]
    errors = {SCENES[0]: dict.fromkeys(SUBJECTS[3:], 1.0)}
    half = run_of(tmp_path / "a", BASE, failed=4)
    verdict = evaluate(rules, half, replace(baseline, errors_mm=errors))
    assert "are lost" not in verdict.checks[1].detail


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_a_number_never_passes(tmp_path: Path, value: float) -> None:
    run = run_of(tmp_path / "a", BASE)
    cell = run.summary()[SCENES[0]]
    run.write_summary({SCENES[0]: replace(cell, mean_mm=value, frames_per_second=value)})
    rules: list[Rule] = [Limit(max_mm=9), Paper(tolerance_mm=9), Speed(min_ratio=0.1)]
    verdict = evaluate(rules, run, Baseline.of_run(run))
    assert set(statuses(verdict)) == {UNKNOWN} and verdict.exit_code == 3


def test_nothing_measured_never_passes(tmp_path: Path, baseline: Baseline) -> None:
    run = run_of(tmp_path / "a", BASE, failed=len(SUBJECTS))
    rules: list[Rule] = [
        Limit(max_mm=9),
        Regression(tolerance_mm=9),
        Coverage(subjects=0),
        Speed(min_ratio=0),
        Paper(tolerance_mm=9),
    ]
    verdict = evaluate(rules, run, baseline)
    assert set(statuses(verdict)) == {UNKNOWN} and verdict.exit_code == 3


def test_no_rule_for_the_run_is_no_answer(run: RunFolder) -> None:
    rules = [Limit(max_mm=9, methods=("theirs",)), Limit(max_mm=9, protocols=("metric",))]
    verdict = evaluate(rules, run, None)
    assert statuses(verdict) == [SKIPPED] * 2 and verdict.exit_code == 3
    assert "no rule is for this run" in verdict.headline
    assert evaluate([*rules, Limit(max_mm=9, datasets=("micc",))], run, None).exit_code == 0


def test_a_scene_that_was_not_measured_is_no_answer(run: RunFolder, baseline: Baseline) -> None:
    rules: list[Rule] = [
        Limit(max_mm=9, scenes=("outdoor",)),
        Regression(tolerance_mm=9, scenes=("outdoor",)),
        Coverage(scenes=("outdoor",)),
    ]
    assert statuses(evaluate(rules, run, baseline)) == [UNKNOWN] * 3


def test_without_a_baseline_there_is_no_answer(run: RunFolder) -> None:
    verdict = evaluate([Regression(tolerance_mm=9), Speed(min_ratio=0)], run, None)
    assert statuses(verdict) == [UNKNOWN] * 2
    assert {check.detail for check in verdict.checks} == {"no baseline is given"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol_digest": "9" * 64}, "protocol digest 99999999 / 01234567"),
        ({"dataset_digest": "9" * 64}, "dataset digest 99999999 / fedcba98"),
        ({"limit": 8}, "limit 8 frames / all frames"),
        ({"unit": "cm"}, "unit cm / mm"),
        ({"scenes": SCENES}, "scenes cooperative, indoor, outdoor / cooperative"),
    ],
)
def test_a_baseline_of_another_measurement_is_no_answer(
    run: RunFolder, baseline: Baseline, changes: dict[str, object], said: str
) -> None:
    other = replace(baseline, basis=replace(baseline.basis, **changes))
    rules: list[Rule] = [Regression(tolerance_mm=9, scenes=SCENES[:1]), Speed(min_ratio=0)]
    verdict = evaluate(rules, run, other)
    assert statuses(verdict) == [UNKNOWN] * 2 and said in verdict.checks[0].detail


def test_another_method_may_be_held_against_the_baseline(
    tmp_path: Path, run: RunFolder, baseline: Baseline
) -> None:
    assert evaluate([Regression(tolerance_mm=0)], run, replace(baseline, method="x")).exit_code == 0


def test_speed_is_a_ratio_to_the_baseline(run: RunFolder, baseline: Baseline) -> None:
    twice = replace(baseline, frames_per_second=2 * 12.34)
    assert statuses(evaluate([Speed(min_ratio=0.5)], run, twice)) == [PASSED]
    assert statuses(evaluate([Speed(min_ratio=0.51)], run, twice)) == [FAILED]
    still = replace(baseline, frames_per_second=0.0)
    assert statuses(evaluate([Speed(min_ratio=0.5)], run, still)) == [UNKNOWN]


def test_the_paper_only_warns(tmp_path: Path) -> None:
    """Of the method: 1.36 in the cooperative scene."""
    above = run_of(tmp_path / "above", BASE - BASE.mean() + 1.4)
    below = run_of(tmp_path / "below", BASE - BASE.mean() + 1.3)
    assert statuses(evaluate([Paper()], above, None)) == [WARNED]
    assert evaluate([Paper()], above, None).exit_code == 0
    assert statuses(evaluate([Paper(tolerance_mm=0.05)], above, None)) == [PASSED]
    assert statuses(evaluate([Paper(published="genova")], above, None)) == [PASSED]
    assert statuses(evaluate([Paper()], below, None)) == [PASSED]


def test_a_failure_outweighs_what_has_no_answer(run: RunFolder) -> None:
    rules: list[Rule] = [Limit(max_mm=9), Regression(tolerance_mm=1), Limit(max_mm=0.1)]
    verdict = evaluate(rules, run, None)
    assert statuses(verdict) == [PASSED, UNKNOWN, FAILED] and verdict.exit_code == 1
    assert evaluate(rules[:2], run, None).exit_code == 3


def test_all_scenes_of_run_and_baseline_are_checked(tmp_path: Path) -> None:
    run = example_run(tmp_path / "a")
    verdict = evaluate([Limit(max_mm=9), Coverage(subjects=0.8)], run, Baseline.of_run(run))
    assert [check.scene for check in verdict.checks] == [*SCENES, *SCENES]
    assert set(statuses(verdict)) == {PASSED}


def test_an_unfinished_run_has_no_answer(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    folder.begin(example_record(ended=""))
    verdict = not_measured([Limit(max_mm=9)], folder, "the run is unfinished")
    assert statuses(verdict) == [UNKNOWN] and verdict.exit_code == 3
