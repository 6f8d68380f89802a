"""One scene of a run as the table shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...recon.files.field_types import checked


@dataclass(frozen=True)
class SceneSummary:
    """One row of the table; `summary.json` holds one a scene. Errors in mm, NaN without a score.

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

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SceneSummary:
        """The summary of a scene as read, null becoming NaN."""
        low, high = (_number(value) for value in values["ci95_mm"])
        plain = {key: _number(value) for key, value in values.items() if key != "ci95_mm"}
        return checked(cls(**plain, ci95_mm=(low, high)))


def _number(value: Any) -> Any:
    return math.nan if value is None else value
