"""A comparison as plain values, for JSON and CSV."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..tables.scenes import SceneRow
from ..tables.writers import CSV_FIELDS, csv_lines
from .comparison import Comparison, RunGroup, RunPair

_PAIR_FIELDS = (
    *("compared_with", "difference_mm", "difference_ci95_low_mm", "difference_ci95_high_mm"),
    *("shared_subjects", "p_value", "p_holm", "wins", "ties", "losses", "verdict"),
)
COLUMNS = (
    *("protocol", "protocol_digest", "dataset", "dataset_digest"),
    *CSV_FIELDS,
    *_PAIR_FIELDS,
)
"""Of the CSV file."""


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """Everything, nested; NaN where a number is unknown."""
    return {
        "groups": [_group_values(group) for group in comparison.groups],
        "differing": [asdict(item) for item in comparison.differing],
    }


def comparison_lines(comparison: Comparison) -> list[dict[str, object]]:
    """One dict of `COLUMNS` per run and scene.

    Of a run with several pairs (`all_pairs`) there is a line for each; published rows have none.
    """
    return [line for group in comparison.groups for line in _group_lines(group)]


def _group_values(group: RunGroup) -> dict[str, Any]:
    content = group.scenes
    measured = [row for row in content.rows if row.measured]
    return {
        "basis": asdict(group.basis),
        "runs": [
            {**asdict(facts), **_row_values(row)}
            for facts, row in zip(group.runs, measured, strict=True)
        ],
        "best": {scene: best.label for scene in content.scenes if (best := content.best(scene))},
        "published": [
            {"label": row.label, **_published_values(row)}
            for row in content.rows
            if not row.measured
        ],
        "pairs": [
            {"first": pair.first, "second": pair.second, "scene": pair.result.scene}
            | _pair_values(pair)
            for pair in group.pairs
        ],
        "notes": [*content.notes, *group.notes],
    }


def _row_values(row: SceneRow) -> dict[str, Any]:
    return {"remark": row.remark, "scenes": {scene: asdict(c) for scene, c in row.cells.items()}}


def _published_values(row: SceneRow) -> dict[str, Any]:
    known = {s: {"mean_mm": c.mean_mm, "std_mm": c.std_mm} for s, c in row.cells.items()}
    return {"remark": row.remark, "scenes": known}


def _pair_values(pair: RunPair) -> dict[str, Any]:
    difference, tally = pair.result.difference, pair.tally
    return {
        "difference_mm": difference.mean_mm,
        "difference_ci95_low_mm": difference.ci95_mm.low,
        "difference_ci95_high_mm": difference.ci95_mm.high,
        "shared_subjects": difference.n_subjects,
        "p_value": difference.p_value,
        "p_holm": pair.result.p_holm,
        "wins": tally.wins,
        "ties": tally.ties,
        "losses": tally.losses,
        "verdict": pair.result.verdict,
    }


def _group_lines(group: RunGroup) -> list[dict[str, object]]:
    basis = group.basis
    shared = {
        "protocol": basis.protocol,
        "protocol_digest": basis.protocol_digest,
        "dataset": basis.dataset,
        "dataset_digest": basis.dataset_digest,
    }
    lines: list[dict[str, object]] = []
    for line in csv_lines(group.scenes):
        pairs = [pair for pair in group.pairs if _is_first(pair, line)]
        lines += [shared | line | _pair_line(pair) for pair in pairs] or [shared | line]
    return lines


def _is_first(pair: RunPair, line: dict[str, object]) -> bool:
    return (pair.first, pair.result.scene) == (line["method"], line["scene"])


def _pair_line(pair: RunPair) -> dict[str, object]:
    known = {key: "" if value != value else value for key, value in _pair_values(pair).items()}
    return {"compared_with": pair.second, **known}
