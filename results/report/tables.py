"""The report's tables: scenes, pairs, subjects, failures, provenance and the dataset's problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import pandas as pd

from ..compare.comparison import RunGroup
from ..compare.texts import PAIR_TITLE, pair_rows
from ..run.folder import RunRecord
from ..run.summary import SceneSummary
from ..tables.markup import Markup, join, tag, text
from ..tables.scenes import SceneRow, SceneRows, pools
from ..tables.subject_errors import ERROR, scene_column
from ..tables.writers import detail_texts, error_text, rate_text
from .series import Series

PAIR_COLUMNS = (
    *("Difference of", "Scene", "Subjects", "Mean", "95 % interval", "p (Holm)"),
    *("Won/tied/lost", "Error"),
)
MOST_ROWS = 1000
"""Of a table: enough to find what is wrong, and a page that opens at once."""

SHARES = ("share_within_1mm", "share_within_2mm", "share_within_3mm")


def scenes_table(content: SceneRows) -> Markup:
    """One row a method, as on the terminal."""
    head = ["Method", *(scene.capitalize() for scene in content.scenes), "Frames/s"]
    rows = (_scene_row(content, item) for item in content.rows)
    notes = (tag("p", note, class_="note") for note in content.notes)
    caption = f"Error in mm, mean ± standard deviation over {content.over}"
    return join(table(caption, head, rows), *notes)


def pairs_table(group: RunGroup) -> Markup:
    """How the other runs' errors differ from the first's on the same subjects; nothing for one."""
    if not group.pairs:
        return Markup()
    notes = (tag("p", note, class_="note") for note in group.notes)
    return join(table(PAIR_TITLE, PAIR_COLUMNS, map(row, pair_rows(group.pairs))), *notes)


def statistics_table(series: Series) -> Markup:
    """More statistics of one run, a row a scene."""
    head = ["Scene", "Median", "RMSE", "90th percentile", "< 1 mm", "< 2 mm", "< 3 mm", "Scale"]
    rows = (_statistics_row(series, scene, cell) for scene, cell in series.summary.items())
    pooled = "over all points; shares and scale, means over subjects"
    over = pooled if pools(series.record) else "means over subjects"
    return table(f"{series.label}: {over}, mm", head, rows)


def subjects_table(series: Series) -> Markup:
    """Every subject's error, the worst first."""
    scenes = list(series.summary)
    columns = {scene: scene_column(series.subjects, scene) for scene in scenes}
    errors = pd.DataFrame(columns, dtype=float)
    order = errors.mean(axis=1).sort_values(ascending=False).index
    head = ["Subject", *(scene.capitalize() for scene in scenes), "Mean"]
    rows = (_subject_row(str(name), errors.loc[name]) for name in order)
    return table("Error of each subject in mm, the worst first", head, rows, len(order))


def failures_table(subjects: pd.DataFrame) -> Markup:
    """Subjects and scenes without a score, and why."""
    rows = subjects[subjects[ERROR].isna()] if ERROR in subjects else subjects
    if rows.empty:
        return tag("p", "Every subject was scored in every scene.")
    shown = map(row, rows[["subject", "scene", "reason"]].itertuples(index=False))
    return table("Not scored", ["Subject", "Scene", "Reason"], shown, len(rows))


def notes_table(subjects: pd.DataFrame) -> Markup:
    """Scores with something to know about them."""
    noted = subjects[subjects["note"] != ""] if "note" in subjects else subjects[:0]
    if noted.empty:
        return Markup()
    shown = map(row, noted[["subject", "scene", "note"]].itertuples(index=False))
    return table("Scored, with a note", ["Subject", "Scene", "Note"], shown, len(noted))


def clips_table(chunks: pd.DataFrame) -> Markup:
    """Clips of which frames were lost, and why."""
    lost = chunks[(chunks["reason"] != "") | (chunks["faces"] < chunks["frames"])]
    if lost.empty:
        return Markup()
    clips = lost.groupby("clip").agg(
        frames=("frames", "sum"), faces=("faces", "sum"), reason=("reason", _reasons)
    )
    rows = (
        row([clip, lost.frames - lost.faces, lost.reason or "no face found"])
        for clip, lost in clips.iterrows()
    )
    head = ["Clip", "Frames", "Reason"]
    return table("Frames without a face vector", head, rows, len(clips))


def table(caption: str, head: Sequence[str], rows: Iterable[Markup], n_rows: int = 0) -> Markup:
    """A table that scrolls by itself where the page is narrower, and is turned by pages.

    Args:
        caption: what it shows.
        head: of the columns.
        rows: of which `MOST_ROWS` are shown.
        n_rows: how many there are, where there may be more than that.
    """
    if n_rows > MOST_ROWS:
        caption += f": the first {MOST_ROWS:,} of {n_rows:,}; the run folder has all"
    titles = tag("tr", *(tag("th", title, scope="col") for title in head))
    body = tag("tbody", *islice(rows, MOST_ROWS))
    whole = tag("table", tag("caption", caption), tag("thead", titles), body)
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def row(cells: Iterable[object]) -> Markup:
    """A table's row; the first cell names it."""
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in others))


def _scene_row(content: SceneRows, item: SceneRow) -> Markup:
    label = join(item.label, tag("small", item.remark) if item.remark else "")
    cells = [_scene_cell(item.cells.get(s), content.best(s) is item) for s in content.scenes]
    return row([label, *cells, rate_text(item.frames_per_second)])


def _scene_cell(cell: SceneSummary | None, best: bool) -> Markup:
    if cell is None:
        return text("–")
    error = tag("strong" if best else "span", error_text(cell))
    return join(error, *(tag("small", line) for line in detail_texts(cell)))


def _statistics_row(series: Series, scene: str, cell: SceneSummary) -> Markup:
    lengths = [_length(value) for value in (cell.median_mm, cell.rmse_mm, cell.p90_mm)]
    shares = [_percent(_mean(series, scene, column)) for column in SHARES]
    return row([scene, *lengths, *shares, _length(_mean(series, scene, "scale"), digits=3)])


def _subject_row(name: str, errors: pd.Series) -> Markup:
    cells = [_length(value) for value in [*errors.tolist(), float(errors.mean())]]
    return row([name, *cells])


def _mean(series: Series, scene: str, column: str) -> float:
    values = list(scene_column(series.subjects, scene, column).values())
    return sum(values) / len(values) if values else math.nan


def _length(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else "–"


def _reasons(values: pd.Series) -> str:
    return "; ".join(dict.fromkeys(value for value in values if value))


def provenance(record: RunRecord) -> Markup:
    """The record of a run, most asked-for first."""
    return join(
        tag("pre", tag("code", record.command)),
        definitions(_facts(record)),
        fold("Protocol", definitions(flattened(record.protocol_settings))),
        fold("Options as resolved", definitions(flattened(record.arguments))),
        fold("Packages", definitions(record.versions)),
        fold("Machine", definitions(record.host)),
    )


def problems(record: RunRecord) -> Markup:
    """What the dataset could not use."""
    if not record.problems:
        return tag("p", "Everything in the dataset was recognised.")
    rows = (row([problem.where, problem.reason]) for problem in record.problems)
    head = ["Where", "Reason"]
    return table("Problems of the dataset", head, rows, len(record.problems))


def fold(title: str, content: Markup) -> Markup:
    """Content that opens on request."""
    return tag("details", tag("summary", title), content)


def definitions(values: Mapping[str, Any]) -> Markup:
    """Names with their values; empty ones are left out."""
    shown = ((name, value) for name, value in values.items() if value not in (None, "", (), []))
    pairs = (tag("div", tag("dt", name), tag("dd", _plain(value))) for name, value in shown)
    return tag("dl", *pairs)


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = flattened(value, f"{prefix}{name}.") if isinstance(value, Mapping) else None
        flat |= inner if inner is not None else {f"{prefix}{name}": value}
    return flat


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
