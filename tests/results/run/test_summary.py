"""From subjects' rows to a scene's numbers: what counts, with what, and how often."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_runs import SCENES, SUBJECTS, example_record, example_rows, results_of

from facebench.bench.protocol.record import Protocol, preset
from facebench.results.run.folder import RunFolder
from facebench.results.run.summary import errors_over_subjects, mean_with_failures, summarise


def run_of(root: Path, protocol: Protocol) -> RunFolder:
    """A run whose subjects have scores and points, the last of them not outdoors."""
    folder = RunFolder(root)
    settings = {"protocol_settings": protocol.to_dict(), "protocol_digest": protocol.digest}
    folder.begin(example_record(**settings))
    rows = example_rows(1.4, seed=0)
    folder.scores.write(rows)
    rng = np.random.default_rng(0)
    for row in rows[:-1]:
        sides = (rng.exponential(row.value_mm, 40), rng.exponential(row.value_mm, 60))
        folder.point_errors.write(row.item, sides)
    return folder


def test_failures_are_left_out_and_counted() -> None:
    values = {"value_mm": [1.0, 2.0, np.nan, 3.0], "mean_face_mm": [9, 9, 6, 9]}
    rows = pd.DataFrame({"subject": list("abcd"), **values})
    found = errors_over_subjects(
        rows[rows["value_mm"].notna()].assign(median_mm=1, rmse_mm=2, p90_mm=3), False, 0
    )
    assert (found["mean_mm"], found["std_mm"]) == (2.0, 1.0)
    assert found["ci95_mm"][0] <= 2.0 <= found["ci95_mm"][1]
    assert (found["median_mm"], found["rmse_mm"], found["p90_mm"]) == (1, 2, 3)
    assert mean_with_failures(rows, 2.0) == 3.0
    assert mean_with_failures(rows.assign(mean_face_mm=np.nan), 2.0) == 2.0
    assert math.isnan(mean_with_failures(rows[2:3].assign(mean_face_mm=np.nan), math.nan))
    assert mean_with_failures(rows[2:3], math.nan) == 6.0


def test_nothing_scored_has_no_numbers() -> None:
    empty = pd.DataFrame(
        {name: np.empty(0) for name in ("subject", "value_mm", "median_mm", "rmse_mm", "p90_mm")}
    )
    found = errors_over_subjects(empty, False, 0)
    assert all(math.isnan(found[name]) for name in ("mean_mm", "std_mm", "median_mm"))


def test_the_std_is_the_protocols(tmp_path: Path) -> None:
    rows = pd.DataFrame([vars(row) for row in example_rows(1.4, seed=0)])
    values = rows[rows["scene"] == "indoor"]["value_mm"]
    for kind, ddof in (("sample", 1), ("population", 0)):
        protocol = preset("micc").with_setting("reduction.std", kind)
        summary = summarise(run_of(tmp_path / kind, protocol))["indoor"]
        assert summary.std_mm == pytest.approx(values.std(ddof=ddof), rel=1e-12)
        assert summary.mean_mm == pytest.approx(values.mean(), rel=1e-12)


def test_sizes_too_large_and_too_small_do_not_cancel(tmp_path: Path) -> None:
    run = run_of(tmp_path, preset("metric"))
    rows = run.items().assign(size_error=[0.02, -0.04] * 12)
    run.scores.write(results_of(rows))
    assert summarise(run)["indoor"].size_error == pytest.approx(0.03)


def test_a_pooling_protocol_counts_points(tmp_path: Path) -> None:
    protocol = preset("micc").with_setting("reduction.subjects", "pooled")
    run = run_of(tmp_path, protocol)
    found = summarise(run)
    assert tuple(found) == SCENES
    outdoors = found["outdoor"]
    assert (outdoors.n_subjects, outdoors.n_failed) == (len(SUBJECTS) - 1, 1)
    kept = [run.distances(f"{subject}/outdoor") for subject in SUBJECTS[:-1]]
    sides = [np.concatenate(side).mean(dtype=float) for side in zip(*kept, strict=True)]
    assert outdoors.mean_mm == pytest.approx(np.mean(sides), rel=1e-9)
    expected = ((len(SUBJECTS) - 1) * outdoors.mean_mm + 2.5) / len(SUBJECTS)
    assert outdoors.mean_with_failures_mm == pytest.approx(expected, rel=1e-12)
    assert outdoors.ci95_mm[0] < outdoors.mean_mm < outdoors.ci95_mm[1]


def test_a_pooling_protocol_without_a_score(tmp_path: Path) -> None:
    run = run_of(tmp_path, preset("micc").with_setting("reduction.subjects", "pooled"))
    rows = run.items()
    lost = rows.assign(value_mm=np.nan, mean_face_mm=2.0, status="failed")
    run.scores.write(results_of(lost))
    found = summarise(run)["indoor"]
    assert math.isnan(found.mean_mm) and found.mean_with_failures_mm == 2.0
