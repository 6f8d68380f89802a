"""The report's tables: statistics, subjects, provenance, problems, and what went wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...bench.method.clip_faces import ChunkRow
from ...bench.protocol.values import flatten
from ...errors import some
from ...recon.face.tracks import FIRST, FOUND, LAST
from ..run.folder import RunRecord
from ..run.ledger import Ledger
from ..tables.scenes import completeness, pools
from ..tables.series import ERROR, Series, scene_column
from ..tables.table import Cell, Table, number_text, share_text, text_rows
from ..tables.writers import Markup, html, join, tag
from .pictures import frames_of, zoomable

SHARES = ("share_within_1mm", "share_within_2mm", "share_within_3mm")

NAMED = 6
"""Clips of a reason that are named in its row; the whole list can be opened."""
MOST_READ = 400
"""Clips whose frames without a face are looked up; of more the chunks are named."""
SHOWN = 2
"""Of a reason: its worst clips, each with a frame in which no face was found."""


_AMOUNT = re.compile(r"(?<![\w./-])\d[\d.,]*\s?(?:%|mm\b)")


def statistics_table(series: Series) -> Table:
    """More statistics of one run, one row per scene."""
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
    # The least of the scenes: what a torn face leaves out shows in no error.
    shares = {scene: scene_column(series.subjects, scene, "completeness") for scene in scenes}
    covered = pd.DataFrame(shares, dtype=float).min(axis=1).reindex(errors.index)
    head = ["subject", *scenes, "mean"] + ["complete"] * bool(covered.notna().any())
    rows = (
        (str(name), *map(number_text, row), share_text(covered[name]))[: len(head)]
        for name, *row in errors.itertuples()
    )
    title = "Error of each subject in mm, the worst first"
    return Table(title, tuple(head), text_rows(list(rows)))


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


@dataclass(frozen=True)
class Loss:
    """Frames of a clip without a face.

    Attributes:
        reason, clip: why, and `subject/scene`.
        count: frames.
        where: their numbers in words, from 1.
        first: the chunk and number, from 0, of the first that is known; None for none.
    """

    reason: str
    clip: str
    count: int
    where: str
    first: tuple[int, int] | None = None


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
            # A note may hold several remarks, each a sentence of its own.
            for words in re.split(r"; (?=[A-Z])", str(getattr(row, column))):
                found.setdefault(shared_reason(words, str(row.item)), []).append(run.label)
    grouped: dict[tuple[str, str], list[str]] = {}
    for (reason, place), labels in found.items():
        grouped.setdefault((reason, _labels_text(labels, series)), []).append(place)
    lines = [
        (Cell(reason), *([Cell(whose)] if len(series) > 1 else []), Cell(some(places, NAMED)))
        for (reason, whose), places in grouped.items()
    ]
    head = ("reason", *(["runs"] if len(series) > 1 else []), "subjects and scenes")
    return Table(title, head, tuple(lines), left=tuple(range(len(head))))


def _lost_frames(series: Sequence[Series]) -> Markup:
    """Frames without a face by reason; runs that saw the same lost the same, and are one row."""
    runs: dict[Loss, list[str]] = {}
    for run in series:
        for loss in find_losses(run.run.ledger):
            runs.setdefault(loss, []).append(run.label)
    if not runs:
        return Markup()
    grouped: dict[tuple[str, str], list[Loss]] = {}
    for loss, labels in runs.items():
        grouped.setdefault((loss.reason, _labels_text(labels, series)), []).append(loss)
    several = len(series) > 1
    rows, each = [], []
    for (reason, whose), losses in grouped.items():
        # The worst first, then by name, so that equal losses keep their order.
        losses.sort(key=lambda loss: (-loss.count, loss.clip))
        named = some([f"{loss.clip} {loss.where}" for loss in losses], NAMED)
        counts = (str(sum(loss.count for loss in losses)), str(len({loss.clip for loss in losses})))
        rows.append((reason, *([whose] if several else []), named, *counts))
        each += [
            (loss.clip, reason, *([whose] if several else []), loss.where, str(loss.count))
            for loss in losses
        ]
    # Of a single run every row would say the same.
    of = ("runs",) if several else ()
    title = "Frames without a face, the clips that lost most first"
    head = ("reason", *of, "clips, frames", "frames", "clips")
    whole = Table(title, head, text_rows(rows), left=tuple(range(2 + several)))
    head = ("clip", "reason", *of, "frames", "lost")
    clips = Table("Each clip's", head, text_rows(each), left=tuple(range(3 + several)))
    worst = [[loss for loss in losses if loss.first][:SHOWN] for losses in grouped.values()]
    seen = _pictures(series[0], [loss for losses in worst for loss in losses])
    return join(html(whole), seen, fold("Every clip that lost frames", html(clips)))


def _pictures(run: Series, losses: Sequence[Loss]) -> Markup:
    """A frame of each loss that has one at hand, as the dataset has it."""
    wanted = {loss.clip: loss for loss in losses if loss.first}
    places = {clip: loss.first for clip, loss in wanted.items() if loss.first}
    frames = frames_of(run.record, places)
    shown = (
        zoomable(
            picture,
            f"{clip}, frame {number}: {wanted[clip].reason}",
            f"{clip}, frame {number}",
        )
        for clip, (picture, number) in frames.items()
    )
    return tag("div", *shown, class_="gallery lost") if frames else Markup()


def find_losses(ledger: Ledger) -> Iterator[Loss]:
    """A loss per clip and reason, with the frames in which it lies."""
    chunks = ledger.table()
    chunks = chunks.assign(lost=chunks["frames"] - chunks["faces"])
    chunks = chunks[(chunks["reason"] != "") | (chunks["lost"] > 0)]
    reasons = chunks["reason"].where(chunks["reason"] != "", "no face found")
    looked_up = chunks["clip"].nunique() <= MOST_READ
    for (clip, reason), rows in chunks.groupby(["clip", reasons], sort=False):
        count, numbers = int(rows["lost"].sum()), set(rows["chunk"].tolist())
        where, first = _frames_without_face(ledger.rows(str(clip)), numbers, count, looked_up)
        yield Loss(str(reason), str(clip), count, where, first)


def _frames_without_face(
    rows: Sequence[ChunkRow], numbers: set[int], count: int, exact: bool
) -> tuple[str, tuple[int, int] | None]:
    """The frames of some chunks in which no face was found, in words, and the first of them."""
    empty: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    begin = 0
    for row in rows:
        if row.chunk in numbers:
            spans.append((begin, begin + row.frames))
            empty += [(row.chunk, n) for n in _empty_frames(row, begin)] if exact else []
        begin += row.frames
    if not any(end > start for start, end in spans):
        return "from the beginning", None
    if not empty:
        # A file of boxes, or an old run: only how many of a chunk's frames had a face is known.
        span = f"{spans[0][0] + 1}–{spans[-1][1]}"
        return span if count == sum(b - a for a, b in spans) else f"{count} of {span}", None
    more = count - len(empty)
    words = ", ".join(_ranges([number for _, number in empty]))
    return f"{words} and {more} between" if more > 0 else words, empty[0]


def _empty_frames(row: ChunkRow, begin: int) -> list[int]:
    """Numbers of a chunk's frames that no run of faces spans."""
    if row.segments is None:
        return []
    spanned = np.zeros(row.frames, bool)
    for segment in row.segments:
        # In a run of faces with gaps it is not known which frames had none.
        if segment[FOUND] > 0:
            spanned[int(segment[FIRST]) - begin : int(segment[LAST]) - begin + 1] = True
    return [begin + int(number) for number in np.flatnonzero(~spanned)]


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    """Consecutive numbers as `3–7`, counted from 1."""
    breaks = np.flatnonzero(np.diff(numbers) > 1) + 1
    for part in np.split(np.asarray(numbers) + 1, breaks):
        yield f"{part[0]}–{part[-1]}" if len(part) > 1 else f"{part[0]}"


def _labels_text(labels: Sequence[str], series: Sequence[Series]) -> str:
    return "all" if len(set(labels)) == len(series) else "; ".join(dict.fromkeys(labels))


def shared_reason(reason: str, place: str) -> tuple[str, str]:
    """A reason without what is true of one item alone, and the item with that."""
    words, _, facts = reason.partition(": ")
    # Numbers behind the colon are this item's: with them every item would be a reason of its own.
    # A single word before it is a file's or folder's name, and no reason.
    if " " in words and re.search(r"\d", facts) and not re.search(r"\d", words):
        return words, f"{place} ({facts})"
    # So are shares and lengths within the sentence.
    if amounts := _AMOUNT.findall(reason):
        return _AMOUNT.sub("…", reason), f"{place} ({', '.join(amounts)})"
    return reason, place
