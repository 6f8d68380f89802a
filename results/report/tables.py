"""The report's tables: statistics, subjects, provenance and the dataset's problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...bench.protocol.values import flatten
from ..run.folder import RunRecord
from ..tables.markup import Markup, join, tag
from ..tables.scenes import completeness, pools
from ..tables.subject_errors import scene_column
from ..tables.table import Table, number_text, share_text, text_rows
from ..tables.writers import html
from .series import Series

SHARES = ("share_within_1mm", "share_within_2mm", "share_within_3mm")


def statistics_table(series: Series) -> Table:
    """More statistics of one run, a row a scene."""
    pooled = "over all points; shares and scale, means over subjects"
    over = pooled if pools(series.record) else "means over subjects"
    head = ["scene", "median", "RMSE", "90th percentile", "< 1 mm", "< 2 mm", "< 3 mm", "scale"]
    known = any(math.isfinite(completeness(cell)) for cell in series.summary.values())
    rows = []
    for scene, cell in series.summary.items():
        lengths = map(number_text, (cell.median_mm, cell.rmse_mm, cell.p90_mm))
        shares = (share_text(_mean(series, scene, column)) for column in SHARES)
        scale = number_text(_mean(series, scene, "scale"), 3)
        whole = [share_text(completeness(cell))] if known else []
        rows.append([scene, *lengths, *shares, scale, *whole])
    head += ["complete"] if known else []
    return Table(f"{series.label}: {over}, mm", tuple(head), text_rows(rows))


def subjects_table(series: Series) -> Table:
    """Every subject's error, the worst first."""
    # Without the column of all scenes together: every number of it stands in its own scene's.
    own = set(series.subjects["scene"])
    scenes = [scene for scene in series.summary if scene in own]
    columns = {scene: scene_column(series.subjects, scene) for scene in scenes}
    errors = pd.DataFrame(columns, dtype=float)
    # Over the scenes that have a number: a failure has none to add.
    errors["mean"] = errors.mean(axis=1)
    errors = errors.sort_values("mean", ascending=False)
    rows = ((str(name), *map(number_text, row)) for name, *row in errors.itertuples())
    title = "Error of each subject in mm, the worst first"
    return Table(title, ("subject", *scenes, "mean"), text_rows(list(rows)))


def _mean(series: Series, scene: str, column: str) -> float:
    values = list(scene_column(series.subjects, scene, column).values())
    return float(np.mean(values)) if values else math.nan


def provenance(record: RunRecord) -> Markup:
    """The record of a run, most asked-for first."""
    return join(
        tag("pre", tag("code", record.command)),
        definitions(_facts(record)),
        fold("Protocol", definitions(dict(flatten(record.protocol_settings)))),
        fold("Options as resolved", definitions(dict(flatten(record.arguments)))),
        fold("Packages", definitions(record.versions)),
        fold("Machine", definitions(record.host)),
    )


def problems(record: RunRecord) -> Markup:
    """What the dataset could not use; nothing when everything was recognised."""
    rows = text_rows([(problem.where, problem.reason) for problem in record.problems])
    table = Table("Problems of the dataset", ("where", "reason"), rows, left=(0, 1))
    return html(table) if rows else Markup()


def fold(title: str, content: Markup) -> Markup:
    """Content that opens on request."""
    return tag("details", tag("summary", title), content)


def definitions(values: Mapping[str, Any]) -> Markup:
    """Names with their values; empty ones are left out."""
    shown = ((name, value) for name, value in values.items() if value not in (None, "", (), []))
    pairs = (tag("div", tag("dt", name), tag("dd", _plain(value))) for name, value in shown)
    return tag("dl", *pairs)


def _facts(record: RunRecord) -> dict[str, Any]:
    card = record.card
    changed = " with local changes" if record.dirty else ""
    return {
        "Method": f"{card.name}: {card.title}",
        "Paper": card.paper,
        "Licence": card.licence,
        "Leakage": card.leakage,
        "Protocol": f"{record.protocol} {record.protocol_digest}",
        "Dataset": f"{record.dataset} {record.dataset_digest}",
        "Method digest": record.method_digest,
        "Model digest": record.model_digest,
        "Checkpoint digest": record.checkpoint_digest,
        "Commit": f"{record.commit}{changed}",
        "Seed": str(record.seed),
        "Unit of the scans": record.unit,
        "One scale factor for all": record.global_scale,
        "Left out on request": record.excluded,
        "Frames of each clip": f"at most {record.limit}" if record.limit else "all",
        "Started": record.started,
        "Ended": record.ended or "unfinished",
    }


def _plain(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)
