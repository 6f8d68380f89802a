"""The report's tables: statistics, subjects, failures, provenance and the dataset's problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...bench.protocol.values import flatten
from ..run.folder import RunRecord
from ..tables.markup import Markup, join, tag
from ..tables.scenes import completeness, pools
from ..tables.subject_errors import ERROR, scene_column
from ..tables.table import Cell, Table, number_text, share_text, text_rows
from ..tables.writers import html
from .series import Series

SHARES = ("share_within_1mm", "share_within_2mm", "share_within_3mm")

NAMED = 6
"""Clips of a reason that are named in its row; the whole list can be opened."""

Loss = tuple[str, str, int, str]
"""Reason, clip, frames lost, and the numbers of the first and last of them."""


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
    scenes = list(series.summary)
    columns = {scene: scene_column(series.subjects, scene) for scene in scenes}
    errors = pd.DataFrame(columns, dtype=float)
    # Over the scenes that have a number: a failure has none to add.
    errors["mean"] = errors.mean(axis=1)
    errors = errors.sort_values("mean", ascending=False)
    rows = ((str(name), *map(number_text, row)) for name, *row in errors.itertuples())
    title = "Error of each subject in mm, the worst first"
    return Table(title, ("subject", *scenes, "mean"), text_rows(list(rows)))


def failures(series: Sequence[Series]) -> Markup:
    """What could not be scored, what was scored with a remark, and frames without a face.

    Each failure stands once, with the runs that share it; nothing without any.
    """
    parts = (
        _reasons_table(series, "Not scored", "reason", scored=False),
        _reasons_table(series, "Scored, with a note", "note", scored=True),
    )
    tables = (html(part) for part in parts if part.rows)
    return join(*tables, _lost_frames(series))


def _reasons_table(series: Sequence[Series], title: str, column: str, scored: bool) -> Table:
    """A row per reason and set of runs, with the subjects and scenes of which it is true."""
    # By place first: what fails for every method lies in the data.
    found: dict[tuple[str, str], list[str]] = {}
    for run in series:
        table = run.subjects
        if column not in table or ERROR not in table:
            continue
        rows = table[table[ERROR].notna() if scored else table[ERROR].isna()]
        for row in rows[rows[column].fillna("") != ""].itertuples():
            place = str(row.item)
            found.setdefault((str(getattr(row, column)), place), []).append(run.label)
    grouped: dict[tuple[str, str], list[str]] = {}
    for (reason, place), labels in found.items():
        grouped.setdefault((reason, _whose(labels, series)), []).append(place)
    lines = [
        (Cell(reason), *([Cell(whose)] if len(series) > 1 else []), Cell(_some(places)))
        for (reason, whose), places in grouped.items()
    ]
    head = ("reason", *(["runs"] if len(series) > 1 else []), "subjects and scenes")
    return Table(title, head, tuple(lines), left=tuple(range(len(head))))


def _lost_frames(series: Sequence[Series]) -> Markup:
    """Frames without a face by reason; runs that saw the same lost the same, and are one row."""
    runs: dict[Loss, list[str]] = {}
    for run in series:
        for loss in _losses(run.run.ledger.table()):
            runs.setdefault(loss, []).append(run.label)
    if not runs:
        return Markup()
    grouped: dict[tuple[str, str], list[Loss]] = {}
    for loss, labels in runs.items():
        grouped.setdefault((loss[0], _whose(labels, series)), []).append(loss)
    several = len(series) > 1
    rows, each = [], []
    for (reason, whose), losses in grouped.items():
        # The worst first, then by name, so that equal losses keep their order.
        losses.sort(key=lambda loss: (-loss[2], loss[1]))
        named = _some([f"{clip} {where}" for _, clip, _, where in losses])
        counts = (str(sum(loss[2] for loss in losses)), str(len({loss[1] for loss in losses})))
        rows.append((reason, *([whose] if several else []), named, *counts))
        each += [
            (clip, reason, *([whose] if several else []), where, str(count))
            for _, clip, count, where in losses
        ]
    # Of a single run every row would say the same.
    of = ("runs",) if several else ()
    words = tuple(range(2 + several))
    title = "Frames without a face, the clips that lost most first"
    whole = Table(
        title, ("reason", *of, "clips, frames", "frames", "clips"), text_rows(rows), left=words
    )
    clips = Table(
        "Each clip's",
        ("clip", "reason", *of, "frames from–to", "lost"),
        text_rows(each),
        left=tuple(range(3 + several)),
    )
    return join(html(whole), fold("Every clip that lost frames", html(clips)))


def _losses(chunks: pd.DataFrame) -> Iterator[Loss]:
    """A loss per clip and reason, with the range of frames in which it lies.

    The ledger counts faces by chunk, so the range is that of the chunks.
    """
    # A chunk knows its number, not its frames: they are counted from the clip's start.
    before = chunks.groupby("clip")["frames"].cumsum() - chunks["frames"]
    chunks = chunks.assign(first=before, lost=chunks["frames"] - chunks["faces"])
    chunks = chunks[(chunks["reason"] != "") | (chunks["lost"] > 0)]
    reasons = chunks["reason"].where(chunks["reason"] != "", "no face found")
    for (clip, reason), rows in chunks.groupby(["clip", reasons], sort=False):
        last = int((rows["first"] + rows["frames"]).max())
        where = f"{int(rows['first'].min()) + 1}–{last}" if last else "from the beginning"
        yield str(reason), str(clip), int(rows["lost"].sum()), where


def _whose(labels: Sequence[str], series: Sequence[Series]) -> str:
    return "all" if len(set(labels)) == len(series) else ", ".join(dict.fromkeys(labels))


def _some(names: Sequence[str]) -> str:
    hidden = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {hidden} more" if hidden > 0 else "")


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
