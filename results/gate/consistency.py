"""Whether the files of a run, or of a baseline, agree with each other before they are judged.

A gate reads a table, a summary and a record that three moments of a run have written. Whatever one
of them says alone was not measured: nothing of such a run passes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...bench.dataset.interface import OVERALL
from ...bench.scoring.result import SCORED, UNSCORED
from ...errors import FacebenchError, some
from ..run.folder import RunFolder, RunRecord
from ..run.items import of_scene
from ..run.summary import (
    SceneSummary,
    errors_over_subjects,
    mean_completeness,
    mean_with_failures,
    summarise,
)
from ..tables.scenes import completeness, pools
from ..tables.series import ERROR
from .baseline import Baseline
from .verdict import Check, Status

TOLERANCE = 1e-6
"""Relative, of a number that is computed again: a sum may come in another order."""

_STATISTICS = ("mean_mm", "median_mm", "rmse_mm", "p90_mm")


def consistency_checks(run: RunFolder) -> list[Check]:
    """A check for each contradiction in a run's folder; none for a sound run.

    An error that is infinite, zero or negative fails; all else has no answer.
    """
    record, rows, summary = run.record(), run.items(), run.summary()
    found = list(_identity(record, rows))
    # What follows counts rows: it would only say the same in other words.
    if not found:
        found = [*_values(rows), *_counts(record, rows, summary)]
    if not found:
        found = [*_summary(run, record, rows, summary)]
    return [Check("consistency", "", status, "run folder", detail=why) for status, why in found]


Fault = tuple[Status, str]


def _identity(record: RunRecord, rows: pd.DataFrame) -> Iterator[Fault]:
    """Every item that was asked for has one row, and nothing else has."""
    if not record.finished:
        yield Status.UNKNOWN, f"the run is unfinished: {record.command}"
    if not record.items:
        yield Status.UNKNOWN, "the run was asked for nothing"
    # Of ids, not of counts: one row too many and one too few would cancel.
    counted, asked = Counter(rows["item"]), Counter(record.items)
    foreign = ~rows["subject"].isin(record.subjects) | ~rows["scene"].isin(record.scenes)
    for words, items in (
        ("twice or more", [item for item, count in counted.items() if count > 1]),
        ("asked for twice", [item for item, count in asked.items() if count > 1]),
        ("asked for and in no row", sorted(set(asked) - set(counted))),
        ("not asked for", sorted(set(counted) - set(asked))),
        ("of a subject or scene that was not asked for", list(rows.loc[foreign, "item"])),
        ("without any row", _without(record.subjects, rows["subject"])),
        ("without any row", _without(record.scenes, rows["scene"])),
    ):
        if items:
            yield Status.UNKNOWN, f"{words}: {some(items, 5)}"


def _without(names: Sequence[str], column: pd.Series) -> list[str]:
    """Names that have no row, or that stand twice."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    return [*sorted(set(names) - set(column) - {OVERALL}), *repeated]


def _values(rows: pd.DataFrame) -> Iterator[Fault]:
    """Status and value agree, and an error is a length."""
    names = rows["item"].astype(str)
    values, scored = rows[ERROR].to_numpy(np.float64), (rows["status"] == SCORED).to_numpy()
    unknown = ~rows["status"].isin([SCORED, UNSCORED])
    for status, words, wrong in (
        (Status.UNKNOWN, "of unknown status", unknown),
        (Status.UNKNOWN, "scored without a number", scored & np.isnan(values)),
        (Status.UNKNOWN, "failed with a number", ~scored & ~np.isnan(values)),
        (
            Status.FAILED,
            "an error that is no finite length",
            ~np.isnan(values) & ~_is_length(values),
        ),
    ):
        if np.any(wrong):
            yield status, f"{words}: {some(list(names[np.asarray(wrong)]), 5)}"
    for name in (name for name in _STATISTICS if name in rows):
        column = rows[name].to_numpy(np.float64)[scored]
        if not _is_length(column).all():
            yield Status.FAILED, f"{name} of a scored row is no finite length"
    if "completeness" in rows:
        shares = rows["completeness"].to_numpy(np.float64)
        if ((shares < 0) | (shares > 1)).any():
            yield Status.UNKNOWN, "a completeness is no share"
        # Of none it is an older run; of some the default rule would look at nothing.
        if 0 < np.isnan(shares[scored]).sum() < scored.sum():
            yield Status.UNKNOWN, "completeness is known of some subjects only"


def _is_length(values: Any) -> Any:
    return np.isfinite(values) & (np.asarray(values) > 0)


def _counts(
    record: RunRecord, rows: pd.DataFrame, summary: Mapping[str, SceneSummary]
) -> Iterator[Fault]:
    """Record, table and summary speak of as many."""
    scored = int((rows["status"] == SCORED).sum())
    for name, told, counted in (
        ("n_scored", record.n_scored, scored),
        ("n_unscored", record.n_unscored, len(rows) - scored),
    ):
        if told != counted:
            yield Status.UNKNOWN, f"run.json says {name} {told}, its table {counted}"
    if set(summary) != set(record.scenes):
        scenes = some(sorted(set(summary) ^ set(record.scenes)), 5)
        yield Status.UNKNOWN, f"in one of run.json and summary.json alone: {scenes}"
    if {"frames", "faces"} <= set(rows) and (rows["faces"] > rows["frames"]).any():
        yield Status.UNKNOWN, "more faces than frames"


def _summary(
    run: RunFolder, record: RunRecord, rows: pd.DataFrame, summary: Mapping[str, SceneSummary]
) -> Iterator[Fault]:
    """Every number of the summary, computed again from the table."""
    # A mean over points cannot be had from the subjects' means.
    again = _pooled_again(run) if pools(record) else None
    for scene, cell in summary.items():
        expected = _expected_numbers(record, of_scene(rows, scene))
        if pools(record):
            # The points of a run that comes from MLflow stayed where it was measured.
            errors = vars(again[scene]) if again else {}
            expected = {
                name: errors.get(name, getattr(cell, name)) if name.endswith("_mm") else value
                for name, value in expected.items()
            }
        for name, value in expected.items():
            told = float(getattr(cell, name))
            if not _same(told, float(value)):
                yield Status.UNKNOWN, f"summary.json: {scene}: {name} is {told:g}, not {value:g}"
        # Not drawn again: ten thousand draws a scene, for a number that no rule reads.
        low, high = cell.ci95_mm
        if cell.n_subjects > 1 and not low <= cell.mean_mm <= high:
            yield Status.UNKNOWN, f"summary.json: {scene}: the mean lies outside of its interval"


def _expected_numbers(record: RunRecord, rows: pd.DataFrame) -> dict[str, float]:
    """A scene's numbers but for its interval, which draws, and its speed, which is the run's."""
    scored = rows[rows[ERROR].notna()]
    population = record.protocol_settings.get("reduction", {}).get("std") == "population"
    errors = errors_over_subjects(scored, population, record.seed)
    frames, faces = int(rows["frames"].sum()), int(rows["faces"].sum())
    return {
        **{name: errors[name] for name in (*_STATISTICS, "std_mm")},
        "n_subjects": len(scored),
        "n_failed": len(rows) - len(scored),
        "frames": frames,
        "faces": faces,
        "coverage": faces / frames if frames else math.nan,
        "mean_with_failures_mm": mean_with_failures(rows, errors["mean_mm"]),
        "completeness": mean_completeness(rows),
    }


def _pooled_again(run: RunFolder) -> dict[str, SceneSummary] | None:
    try:
        return summarise(run)
    except (FacebenchError, OSError):
        return None


def _same(one: float, other: float) -> bool:
    both_unknown = math.isnan(one) and math.isnan(other)
    return both_unknown or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-9)


def baseline_fault(baseline: Baseline) -> str:
    """Why a baseline is none, or empty: unfinished, of other scenes, with errors that are none."""
    basis = baseline.basis
    if not baseline.measured:
        return "the baseline is unfinished"
    if set(baseline.errors_mm) != set(basis.scenes) or not basis.scenes:
        return "the baseline's scenes are not those it says it was measured on"
    for scene, column in baseline.errors_mm.items():
        wrong = [name for name, value in column.items() if not _is_length(value)]
        if wrong:
            return f"the baseline's errors of {some(wrong, 5)} in {scene} are no finite lengths"
    return ""


def least_completeness(rows: pd.DataFrame, cell: SceneSummary) -> tuple[str, float]:
    """The scored item of a scene whose prediction covers the least of its scan, and the share;
    "" and NaN where a share is unknown."""
    unknown = "", math.nan
    if "completeness" not in rows or not math.isfinite(completeness(cell)):
        return unknown
    shares = rows.loc[rows[ERROR].notna(), ["item", "completeness"]]
    if shares.empty or shares["completeness"].isna().any():
        return unknown
    least = shares.iloc[int(shares["completeness"].argmin())]
    return str(least["item"]), float(least["completeness"])
