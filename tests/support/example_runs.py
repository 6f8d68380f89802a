"""Run folders of made-up scores for the tests of tables, tracking, reports and commands."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facebench.bench.dataset.interface import Problem
from facebench.bench.method.interface import MethodCard
from facebench.bench.scoring.distance import CURVE_MM
from facebench.bench.scoring.result import SCORED, UNSCORED, Result
from facebench.results.run.folder import RunFolder, RunRecord
from facebench.results.run.summary import SceneSummary

SUBJECTS = tuple(f"subject_{number:02d}" for number in range(1, 9))
PARTS = {"nose": 1.2, "mouth": 0.8, "eyes": 0.9, "cheeks": 1.1, "forehead": 0.7, "jaw": 1.4}
SCENES = ("cooperative", "indoor", "outdoor")


def example_record(method: str = "ours", **changes: Any) -> RunRecord:
    """A finished run of 8 subjects in 3 scenes."""
    record = RunRecord(
        command=f"facebench micc --data data --method {method}",
        given={"data": "data", "method": method},
        arguments={"data": "data", "method": method, "limit": None, "name": None},
        card=MethodCard(method, "A method", "A paper, 2020", "MIT"),
        method_digest="a" * 64,
        model_digest="b" * 64,
        checkpoint_digest="c" * 64,
        protocol="micc",
        protocol_settings={"crop_mm": 95.0, "statistic": "mean"},
        protocol_digest="0123456789abcdef" * 4,
        dataset="micc",
        dataset_digest="fedcba9876543210" * 4,
        subjects=SUBJECTS,
        scenes=SCENES,
        excluded=(),
        limit=None,
        unit="mm",
        seed=0,
        problems=(Problem("subject_30", "no scan"),),
        commit="d" * 40,
        versions={"python": "3.11"},
        host={"name": "machine", "cpus": 2},
        started="2020-01-01T00:00:00+00:00",
        ended="2020-01-01T00:10:00+00:00",
        n_scored=23,
        n_unscored=1,
        items=tuple(f"{subject}/{scene}" for subject in SUBJECTS for scene in SCENES),
    )
    if "items" not in changes and {"scenes", "subjects"} & set(changes):
        subjects, scenes = changes.get("subjects", SUBJECTS), changes.get("scenes", SCENES)
        changes["items"] = tuple(f"{subject}/{scene}" for subject in subjects for scene in scenes)
    return replace(record, **changes)


def example_row(subject: str, scene: str, error: float) -> Result:
    """A scored row whose statistics are those of a half-normal error of the given mean."""
    sigma = error * math.sqrt(math.pi / 2)
    parts = {f"{part}_mm": error * factor for part, factor in PARTS.items()}
    return Result(
        subject,
        scene,
        SCORED,
        "",
        "micc",
        "0123456789abcdef" * 4,
        item=f"{subject}/{scene}",
        frames=64,
        faces=60,
        value_mm=error,
        mean_mm=error,
        median_mm=0.6745 * sigma,
        rmse_mm=sigma,
        p90_mm=1.645 * sigma,
        share_within_1mm=_share(1.0, sigma),
        share_within_2mm=_share(2.0, sigma),
        share_within_3mm=_share(3.0, sigma),
        scale=1.01,
        overlap=0.9,
        curve=tuple(_share(threshold, sigma) for threshold in CURVE_MM.tolist()),
        **parts,
    )


def _share(threshold_mm: float, sigma: float) -> float:
    return math.erf(threshold_mm / (sigma * math.sqrt(2)))


def failed_row(subject: str, scene: str, reason: str) -> Result:
    """A row without a score."""
    return Result(
        subject,
        scene,
        UNSCORED,
        reason,
        "micc",
        "0123456789abcdef" * 4,
        item=f"{subject}/{scene}",
        frames=64,
        mean_face_mm=2.5,
    )


def results_of(rows: pd.DataFrame) -> list[Result]:
    """The rows of a table as they were measured."""
    lists = ("scans", "scan_values_mm", "curve")
    found = rows.to_dict("records")
    return [Result(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in found]


def example_rows(error_mm: float, seed: int) -> list[Result]:
    """All subjects in all scenes around an error; the last subject fails outdoors."""
    easy = np.random.default_rng(99).normal(0, 0.1, len(SUBJECTS))
    noise = np.random.default_rng(seed).normal(0, 0.02, (len(SCENES), len(SUBJECTS)))
    rows = [
        example_row(subject, scene, float(error_mm + easy[column] + noise[row, column]))
        for row, scene in enumerate(SCENES)
        for column, subject in enumerate(SUBJECTS)
    ]
    return [*rows[:-1], failed_row(SUBJECTS[-1], SCENES[-1], "no face in <64> frames & none else")]


def example_summary(rows: list[Result], scene: str) -> SceneSummary:
    """The summary of a scene's rows with a normal interval."""
    mine = [row for row in rows if scene in (row.scene, "all")]
    scored = [row for row in mine if row.scored]
    errors = np.array([row.value_mm for row in scored])
    mean, std = float(errors.mean()), float(errors.std(ddof=1))
    half = 1.96 * std / math.sqrt(len(errors))
    frames, faces = sum(row.frames for row in mine), sum(row.faces for row in mine)
    with_failures = [row.value_mm if row.scored else row.mean_face_mm for row in mine]
    return SceneSummary(
        mean_mm=mean,
        std_mm=std,
        ci95_mm=(mean - half, mean + half),
        median_mm=float(np.mean([row.median_mm for row in scored])),
        rmse_mm=float(np.mean([row.rmse_mm for row in scored])),
        p90_mm=float(np.mean([row.p90_mm for row in scored])),
        n_subjects=len(scored),
        n_failed=len(mine) - len(scored),
        coverage=faces / frames,
        mean_with_failures_mm=float(np.mean(with_failures)),
        frames=frames,
        faces=faces,
        frames_per_second=12.34,
        completeness=float(np.mean([row.completeness for row in scored])),
    )


def keep_rows(run: RunFolder, rows: list[Result]) -> None:
    """Rows, and the summary and the counts that belong to them."""
    run.scores.write(rows)
    run.write_summary({scene: example_summary(rows, scene) for scene in run.record().scenes})
    scored = sum(row.scored for row in rows)
    counted = {"n_scored": scored, "n_unscored": len(rows) - scored}
    run.write_record(replace(run.record(), **counted))


def example_run(
    root: Path, method: str = "ours", error_mm: float = 1.4, seed: int = 0, **changes: Any
) -> RunFolder:
    """A finished run folder; `changes` go into its record."""
    folder = RunFolder(root)
    folder.begin(example_record(method, **changes))
    scenes = folder.record().scenes
    keep_rows(folder, [row for row in example_rows(error_mm, seed) if row.scene in scenes])
    return folder
