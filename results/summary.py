"""From a run's rows to the table's numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..bench.statistics import summarise_scene
from .record import RunRecord, SceneSummary


def summarise(
    subjects: pd.DataFrame, record: RunRecord, frames_per_second: float
) -> dict[str, SceneSummary]:
    """The summary of each scene of a run from its subjects' table, scenes in table order."""
    return {
        scene: _summary(subjects[subjects["scene"] == scene], record.seed, frames_per_second)
        for scene in record.scenes
    }


def _summary(rows: pd.DataFrame, seed: int, frames_per_second: float) -> SceneSummary:
    counted = rows[rows["value_mm"].notna() | rows["mean_face_mm"].notna()]
    names = ("value_mm", "median_mm", "rmse_mm", "p90_mm", "mean_face_mm")
    values, medians, rmses, p90s, mean_face = (counted[n].to_numpy(np.float64) for n in names)
    scene = summarise_scene(values, medians, rmses, p90s, mean_face, seed)
    frames, faces = int(rows["frames"].sum()), int(rows["faces"].sum())
    return SceneSummary(
        mean_mm=scene.mean_mm,
        std_mm=scene.std_mm,
        ci95_mm=(scene.ci95_low_mm, scene.ci95_high_mm),
        median_mm=scene.median_mm,
        rmse_mm=scene.rmse_mm,
        p90_mm=scene.p90_mm,
        n_subjects=scene.n_subjects,
        n_failed=len(rows) - scene.n_subjects,
        coverage=faces / frames if frames else 0.0,
        mean_with_failures_mm=scene.mean_with_failures_mm,
        frames=frames,
        faces=faces,
        frames_per_second=frames_per_second,
    )
