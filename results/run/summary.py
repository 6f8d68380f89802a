"""From a run's rows to the numbers of the table, one row per scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...bench.protocol.record import Protocol
from ...bench.scoring.statistics import bootstrap_interval, deviation, mean
from ...recon.files.text import check_fields
from .items import of_scene

if TYPE_CHECKING:
    from ...bench.scoring.reduce import PointDistances
    from .folder import RunFolder


@dataclass(frozen=True)
class SceneSummary:
    """One row of the table; `summary.json` holds one per scene. Errors in mm, NaN without a score.

    A subject has one item in a scene of MICC, several photographs in one of NoW: means and counts
    are then over photographs, and intervals draw subjects with all of theirs.

    Attributes:
        mean_mm, std_mm: mean and standard deviation over subjects of the subject's error; of a
            protocol that pools, over the points of all scored subjects.
        ci95_mm: 95 % bootstrap interval of the mean over subjects.
        median_mm, rmse_mm, p90_mm: means over subjects of the subject's statistic; of a protocol
            that pools, over the points of all scored subjects.
        n_subjects: subjects scored.
        n_failed: subjects asked for and not scored.
        coverage: faces described over frames read, NaN when no frame was read.
        mean_with_failures_mm: the mean when failed subjects count with the mean face's error.
        frames, faces: totals of the scene's clips.
        frames_per_second: of the whole run: frames read over the seconds that all its commands
            spent on reading and describing, from the start of that stage (workers and their
            networks are started in it) to its last chunk kept; NaN when no frames were read.
        size_error: mean over subjects of how wrong the size of their faces is, whichever way (0.05
            is 5 %), where the protocol leaves them their size; else NaN.
        completeness: mean over scored subjects of the share of the scan's region that their
            predictions cover; NaN where the run does not state it.
    """

    mean_mm: float
    std_mm: float
    ci95_mm: tuple[float, float]
    median_mm: float
    rmse_mm: float
    p90_mm: float
    n_subjects: int
    n_failed: int
    coverage: float
    mean_with_failures_mm: float
    frames: int
    faces: int
    frames_per_second: float
    size_error: float = math.nan
    completeness: float = math.nan

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SceneSummary:
        """The summary of a scene as read, null becoming NaN."""
        low, high = (math.nan if value is None else value for value in values["ci95_mm"])
        plain: dict[str, Any] = {k: math.nan if v is None else v for k, v in values.items()}
        return check_fields(cls(**{**plain, "ci95_mm": (low, high)}))


_COLUMNS = (
    *("item", "subject", "scene", "value_mm", "median_mm", "rmse_mm", "p90_mm", "mean_face_mm"),
    *("frames", "faces", "size_error", "completeness"),
)
"""What a summary is made of."""

_UNKNOWN = {
    "ci95_mm": (float("nan"), float("nan")),
    **dict.fromkeys(("mean_mm", "std_mm", "median_mm", "rmse_mm", "p90_mm"), float("nan")),
}


def summarise(run: RunFolder) -> dict[str, SceneSummary]:
    """The summary of each scene of a run, scenes in table order."""
    record, items = run.record(), run.items(_COLUMNS)
    # By the protocol in the record, not a preset of today with the same name.
    protocol, rate = Protocol.from_dict(record.protocol_settings), run.ledger.frames_per_second()
    summaries = {}
    for scene in record.scenes:
        rows = of_scene(items, scene)
        scored = rows[rows["value_mm"].notna()]
        if protocol.reduction.subjects == "pooled":
            # From the files, not from the rows: the mean of means is not the mean over all points.
            points = _points_of_subjects(run, scored)
            errors = errors_over_points(points, protocol.distance.direction, record.seed)
        else:
            population = protocol.reduction.std == "population"
            errors = errors_over_subjects(scored, population, record.seed)
        summaries[scene] = SceneSummary(**errors, **_counts(rows, errors["mean_mm"], rate))
    return summaries


def errors_over_subjects(scored: pd.DataFrame, population: bool, seed: int) -> dict[str, Any]:
    """The errors of a summary from the numbers of the subjects that have one."""
    values = scored["value_mm"].to_numpy(np.float64)
    interval = bootstrap_interval(values, seed, subjects=list(scored["subject"]))
    return {
        "mean_mm": mean(values),
        "std_mm": deviation(values, population),
        "ci95_mm": (interval.low, interval.high),
        **{name: mean(scored[name]) for name in ("median_mm", "rmse_mm", "p90_mm")},
    }


def errors_over_points(
    points: Sequence[PointDistances], direction: str, seed: int
) -> dict[str, Any]:
    """The errors of a summary from the points of the scored subjects."""
    # Here: with it comes Open3D, which takes seconds to import, and few protocols pool points.
    from ...bench.scoring.reduce import pool_subjects

    if not points:
        return _UNKNOWN
    pooled, interval = pool_subjects(points, direction, seed)
    return {
        "ci95_mm": (interval.low, interval.high),
        **{f"{name}_mm": getattr(pooled, name) for name in ("mean", "std", "median", "rmse")},
        "p90_mm": pooled.quantile(0.9),
    }


def _points_of_subjects(run: RunFolder, scored: pd.DataFrame) -> list[PointDistances]:
    """The points of each subject, those of all of its items together: subjects are drawn."""
    points: dict[str, list[PointDistances]] = {}
    for subject, item in zip(scored["subject"], scored["item"], strict=True):
        points.setdefault(subject, []).append(run.distances(item))
    return [
        (np.concatenate([scan for scan, _ in parts]), np.concatenate([own for _, own in parts]))
        for parts in points.values()
    ]


def mean_with_failures(rows: pd.DataFrame, mean_mm: float) -> float:
    """The mean when failed subjects count like a scored one, with the mean face's error.

    Failed subjects of whom that is not known either are left out; they have no scan.

    Args:
        rows: of a scene.
        mean_mm: over the scored subjects.
    """
    scored = rows["value_mm"].notna()
    # Left out, a failure would make a method better; the mean face is what anybody could give.
    stand_ins = rows.loc[~scored & rows["mean_face_mm"].notna(), "mean_face_mm"]
    return mean([*([mean_mm] * int(scored.sum())), *stand_ins])


def _counts(rows: pd.DataFrame, mean_mm: float, frames_per_second: float) -> dict[str, Any]:
    scored = int(rows["value_mm"].notna().sum())
    frames, faces = int(rows["frames"].sum()), int(rows["faces"].sum())
    return {
        "n_subjects": scored,
        # By the rows, which every item has, so that none is lost between the two counts.
        "n_failed": len(rows) - scored,
        "coverage": faces / frames if frames else float("nan"),
        "mean_with_failures_mm": mean_with_failures(rows, mean_mm),
        "frames": frames,
        "faces": faces,
        "frames_per_second": frames_per_second,
        # Without signs, or too large and too small would make a method look right.
        "size_error": mean(rows["size_error"].dropna().abs()),
        "completeness": mean_completeness(rows),
    }


def mean_completeness(rows: pd.DataFrame) -> float:
    """Over the scored rows; NaN where one of them does not state it."""
    if "completeness" not in rows:
        return float("nan")
    return mean(rows.loc[rows["value_mm"].notna(), "completeness"])
