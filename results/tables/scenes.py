"""The table of scenes: one row per method, one cell per scene; as read, and as numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...bench.dataset.interface import OVERALL
from ...bench.scoring.statistics import UNKNOWN, bootstrap_interval, mean
from ...errors import FacebenchError, some
from ..run.folder import RunRecord
from ..run.items import of_scene
from ..run.summary import SceneSummary
from .basis import Basis
from .published import Published, by_method, sources
from .series import (
    COMPLETENESS_TOLERANCE,
    ERROR,
    LEAST_COMPLETENESS,
    TORN_BELOW,
    Series,
)
from .table import (
    DASH,
    Cell,
    Table,
    Value,
    interval_text,
    number_text,
    share_text,
    spread_text,
    value_cell,
)

_NOT_ITS_OWN = "its files are not of one measurement: copy it again, or measure it again"

NUMBERS = (
    *("method", "remark", "scene", "mean_mm", "std_mm", "ci95_low_mm", "ci95_high_mm"),
    *("median_mm", "rmse_mm", "p90_mm", "n_subjects", "n_failed", "coverage", "completeness"),
    *("mean_with_failures_mm", "frames", "faces", "frames_per_second", "size_error"),
)
"""Of a method in a scene, for machines."""

POOLED_NOTE = (
    "Mean ± standard deviation are over the points of all scored subjects, as the protocol says."
)


@dataclass(frozen=True)
class SceneRow:
    """One method in the table.

    Attributes:
        label: what the run was called, else the method's name.
        remark: what a reader must know beside the numbers: published, leakage, unfinished; or "".
        cells: scene to summary; scenes it was not measured on are absent.
        measured: False for numbers taken from the literature.
        extra: what stands behind the frames per second, one text a column of `extra_heads`; a row
            without any has dashes there.
    """

    label: str
    remark: str
    cells: dict[str, SceneSummary]
    measured: bool
    extra: tuple[str, ...] = ()

    @property
    def frames_per_second(self) -> float:
        """Frames per second of the whole run; NaN when unknown."""
        return next((cell.frames_per_second for cell in self.cells.values()), math.nan)


@dataclass(frozen=True)
class SceneRows:
    """The whole table.

    Attributes:
        title: protocol and dataset with their short digests.
        scenes: columns, in table order.
        rows: measured methods, then published ones.
        notes: one line each, shown under the table.
        over: what mean and standard deviation are over: `subjects`, or `all points` of them.
        extra_heads: columns behind the frames per second.
    """

    title: str
    scenes: tuple[str, ...]
    rows: tuple[SceneRow, ...]
    notes: tuple[str, ...]
    over: str = "subjects"
    extra_heads: tuple[str, ...] = ()

    @property
    def reads_frames(self) -> bool:
        """Whether any of the methods read videos; meshes that come as files have no speed."""
        return any(math.isfinite(row.frames_per_second) for row in self.rows)

    def best(self, scene: str) -> SceneRow | None:
        """The measured row of the lowest error in a scene; None where fewer than two compete.

        Failed subjects count with the mean face's error, so that failing never wins; a row that
        covers less of the scans than the most complete one does not compete at all.
        """
        comparable = [row for row in self.rows if row.measured and math.isfinite(_rank(row, scene))]
        comparable = [row for row in comparable if not self.less_complete(row, scene)]
        return min(comparable, key=lambda row: _rank(row, scene)) if len(comparable) > 1 else None

    def less_complete(self, row: SceneRow, scene: str) -> bool:
        """Whether a measured row covers so much less of the scans that it cannot be ranked."""
        known = {r.label: completeness(r.cells.get(scene)) for r in self.rows if r.measured}
        most = max(filter(math.isfinite, known.values()), default=math.nan)
        # Also where it alone does not state its share: unknown is not the same as whole.
        return math.isfinite(most) and not known[row.label] >= most - COMPLETENESS_TOLERANCE

    def table(self) -> Table:
        """One row a method: per scene mean ± std in mm with interval, counts and completeness.

        The lowest measured error of each scene stands out; published rows are marked, come after a
        line and never compete.
        """
        measured = sum(row.measured for row in self.rows)
        aside = (*(["frames/s"] if self.reads_frames else []), *self.extra_heads)
        return Table(
            title=f"Error in mm, mean ± std over {self.over}, {self.title}",
            head=("method", *self.scenes, *aside),
            rows=tuple(map(self._cells, self.rows)),
            notes=self.all_notes,
            aside=len(aside),
            ends=frozenset({measured - 1} if 0 < measured < len(self.rows) else ()),
        )

    def _cells(self, row: SceneRow) -> tuple[Cell, ...]:
        extra = row.extra or (DASH,) * len(self.extra_heads)
        rate = [number_text(row.frames_per_second, 1)] if self.reads_frames else []
        aside = (*rate, *extra)
        scenes = (scene_cell(row.cells.get(s), self.best(s) is row) for s in self.scenes)
        return (Cell(row.label, (row.remark,)), *scenes, *map(Cell, aside))

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, and which rows are not ranked."""
        return (*self.notes, *self.unranked(self.scenes))

    def unranked(self, among: Sequence[str]) -> Iterator[str]:
        """A sentence for each row that covers too little to be ranked in some of the scenes."""
        for row in filter(lambda row: row.measured, self.rows):
            scenes = [s for s in among if s in row.cells and self.less_complete(row, s)]
            if scenes:
                # Of a dataset without scenes "in all" would be a riddle.
                where = "" if scenes == [OVERALL] else f" in {', '.join(scenes)}"
                known = any(math.isfinite(completeness(row.cells[s])) for s in scenes)
                why = f"over {COMPLETENESS_TOLERANCE:.0%} below the highest" if known else "unknown"
                yield f"{row.label} is not ranked{where}: its completeness is {why}."

    def numbers(self) -> Table:
        """One row per method and scene, every field of the summary exactly; unknown is empty."""
        pairs = [(row, scene) for row in self.rows for scene in self.scenes if scene in row.cells]
        rows = tuple(tuple(map(value_cell, scene_values(*pair).values())) for pair in pairs)
        return Table(self.title, NUMBERS, rows)


def scene_values(row: SceneRow, scene: str) -> dict[str, Value]:
    """The fields `NUMBERS` of a method in a scene; None where there is none."""
    cell = row.cells[scene]
    values: dict[str, Value] = {"mean_mm": cell.mean_mm, "std_mm": cell.std_mm}
    low, high = cell.ci95_mm
    if row.measured:
        values = {**vars(cell), "ci95_low_mm": low, "ci95_high_mm": high}
    elif cell.n_subjects:
        values |= {"n_subjects": cell.n_subjects, "ci95_low_mm": low, "ci95_high_mm": high}
    # In the order of NUMBERS, whatever order a summary's fields are in.
    named = {"method": row.label, "remark": row.remark, "scene": scene, **values}
    return {name: named.get(name) for name in NUMBERS}


def completeness(cell: SceneSummary | None) -> float:
    """Mean share of the scans' region that has an error; NaN where the run does not state it."""
    return cell.completeness if cell else math.nan


def legend_labels(series: Sequence[Series]) -> list[str]:
    """What a picture calls its runs: of one that covers less than another the share beside its
    label, since its curve lies higher for what it leaves out."""
    shares = [mean([completeness(cell) for cell in run.summary.values()]) for run in series]
    most = max(filter(math.isfinite, shares), default=math.nan)
    return [
        f"{run.label} (complete {share:.0%})" * (share < most - COMPLETENESS_TOLERANCE) or run.label
        for run, share in zip(series, shares, strict=True)
    ]


def scene_cell(cell: SceneSummary | None, best: bool = False) -> Cell:
    """`1.36 ± 0.12`, below it what the table's first note says."""
    if cell is None:
        return Cell(DASH)
    error = spread_text(cell.mean_mm, cell.std_mm)
    return Cell(error, tuple(_details(cell)), "best" if best else "")


def _details(cell: SceneSummary) -> Iterator[str]:
    yield interval_text(*cell.ci95_mm)
    if asked := cell.n_subjects + cell.n_failed:
        read = f" · {share_text(cell.coverage)}" if cell.frames else ""
        yield f"{cell.n_subjects}/{asked}{read}"
    if math.isfinite(share := completeness(cell)):
        yield f"complete {share:.0%}"
    if cell.n_failed and math.isfinite(cell.mean_with_failures_mm):
        yield f"all: {cell.mean_with_failures_mm:.2f}"
    if math.isfinite(cell.size_error):
        yield f"size ± {cell.size_error:.1%}"


def scene_rows(series: Sequence[Series], published: Sequence[Published] = ()) -> SceneRows:
    """The rows of some runs of one protocol on one dataset."""
    records = [run.record for run in series]
    scenes = tuple(dict.fromkeys(scene for record in records for scene in record.scenes))
    measured = list(map(_measured_row, series))
    printed = [_printed_row(rows, records[0].seed) for rows in by_method(published).values()]
    notes = (
        *_failure_notes(measured),
        *_protocol_notes(records, measured),
        *_torn_notes(series),
        *_subject_notes(records),
        *_source_notes(published),
    )
    over = "all points" if pools(records[0]) else "subjects"
    return SceneRows(Basis.of(records[0]).title, scenes, (*measured, *printed), notes, over)


def _measured_row(run: Series) -> SceneRow:
    remarks = [] if run.record.finished else ["unfinished"]
    if run.record.card.leakage:
        remarks.append(f"leakage: {run.record.card.leakage}")
    return SceneRow(run.label, "; ".join(remarks), run.summary, measured=True)


def _printed_row(rows: Sequence[Published], seed: int) -> SceneRow:
    remark = "imported" if rows[0].imported else "published"
    return SceneRow(rows[0].title, remark, {r.scene: _as_summary(r, seed) for r in rows}, False)


def _as_summary(row: Published, seed: int) -> SceneSummary:
    # Papers print mean and deviation; nothing else is known of their rows.
    unknown, errors = math.nan, [error for _, error in row.errors]
    interval = bootstrap_interval(errors, seed) if len(errors) > 1 else UNKNOWN
    return SceneSummary(
        mean_mm=row.mean_mm,
        std_mm=row.std_mm,
        ci95_mm=(interval.low, interval.high),
        median_mm=unknown,
        rmse_mm=unknown,
        p90_mm=unknown,
        n_subjects=len(errors),
        n_failed=0,
        coverage=unknown,
        mean_with_failures_mm=unknown,
        frames=0,
        faces=0,
        frames_per_second=unknown,
    )


def _rank(row: SceneRow, scene: str) -> float:
    cell = row.cells.get(scene)
    if cell is None:
        return math.nan
    # A method that fails on the hard subjects would else have the lower mean.
    return cell.mean_with_failures_mm if cell.n_failed else cell.mean_mm


def _torn_notes(series: Sequence[Series]) -> Iterable[str]:
    """Items of which little is covered: one torn face of twenty is lost in a mean."""
    for run in series:
        if "completeness" in run.subjects:
            scored = run.subjects[run.subjects[ERROR].notna()].sort_values("completeness")
            median = scored["completeness"].median()
            torn = scored[scored["completeness"] < max(LEAST_COMPLETENESS, median - TORN_BELOW)]
            pairs = zip(torn["item"], torn["completeness"], strict=True)
            if names := [f"{item} ({share:.0%})" for item, share in pairs]:
                words = f"{run.label} covers little of the scan of {some(names)}"
                yield f"{words}, {median:.0%} in the median: an error of that part alone."


def _subject_notes(records: Sequence[RunRecord]) -> Iterable[str]:
    if len({record.subjects for record in records}) > 1:
        yield "The runs asked for different subjects: compare them with paired differences only."
    # What finds a face frames it, too: coverage and crops are the detector's as well.
    finders = dict.fromkeys(
        f"{record.detector}{f', followed in way {record.tracking}' if record.tracking else ''}"
        for record in records
        if record.detector
    )
    if len(finders) > 1:
        yield f"The runs found faces in different ways: {'; '.join(finders)}."
    if len({record.limit for record in records}) > 1:
        yield "The runs read different numbers of frames."
    # Stated for each, since fewer frames make the mean face of a clip less certain.
    limits = sorted({record.limit for record in records if record.limit is not None})
    if limits:
        clips = "frame of each clip was" if limits == [1] else "frames of each clip were"
        yield f"At most {', '.join(map(str, limits))} {clips} read."
    excluded = sorted({subject for record in records for subject in record.excluded})
    if excluded:
        yield f"Left out on request: {', '.join(excluded)}."


def _failure_notes(rows: Sequence[SceneRow]) -> Iterable[str]:
    cells = [cell for row in rows for cell in row.cells.values()]
    read = " · faces found of the frames read" if any(cell.frames for cell in cells) else ""
    yield (
        "Under each error: 95 % interval of the mean over subjects; how many were scored of those "
        f"asked for{read}."
    )
    if any(math.isfinite(completeness(cell)) for cell in cells):
        yield "Complete: the share of the scans' region that the prediction covers, over subjects."
    if any(cell.n_failed for cell in cells):
        yield (
            "Failed subjects are not in the mean; 'all' counts them with the mean face's error "
            "and decides which is best."
        )


def _protocol_notes(records: Sequence[RunRecord], rows: Sequence[SceneRow]) -> Iterable[str]:
    """What the protocol's reductions make of the numbers, where that is not the usual."""
    if pools(records[0]):
        medians = "; ".join(filter(None, map(_medians, rows)))
        yield f"{POOLED_NOTE} Their medians: {medians}." if medians else POOLED_NOTE
        if len(rows) > 1:
            own = own_statistic(records[0])
            yield f"Differences are of each subject's own {own}, not of these means."
    if any(math.isfinite(cell.size_error) for row in rows for cell in row.cells.values()):
        yield "'size': how wrong the size of a face is, mean over subjects."
    scales = [(r.label, r.global_scale) for r in records if r.global_scale is not None]
    if scales:
        shown = ", ".join(f"{label} {scale:.4f}" for label, scale in scales)
        yield f"One scale factor for all subjects and scenes of a run: {shown}."


def refuse_contradiction(run: Series) -> None:
    """Refuse a run whose summary, of which a table shows means, is not that of its rows."""
    for scene in run.record.scenes:
        if scene not in run.summary:
            raise FacebenchError(f"{run.place}: no {scene} in summary.json", _NOT_ITS_OWN)
        cell, mine = run.summary[scene], of_scene(run.subjects, scene)[ERROR].dropna()
        told, counted = (cell.mean_mm, cell.n_subjects), (mean(mine), len(mine))
        # A mean over points cannot be had from the subjects' means.
        same = pools(run.record) or np.isclose(told[0], counted[0], rtol=1e-6, equal_nan=True)
        if not same or told[1] != counted[1]:
            raise FacebenchError(
                f"{run.place}: in {scene} summary.json says {told[0]:.4g} mm over {told[1]}, "
                f"the rows {counted[0]:.4g} mm over {counted[1]}",
                _NOT_ITS_OWN,
            )


def pools(record: RunRecord) -> bool:
    """Whether means and deviations of the run are over points, not over subjects."""
    return bool(record.protocol_settings.get("reduction", {}).get("subjects") == "pooled")


def own_statistic(record: RunRecord) -> str:
    """What the number of a single subject is, over its points: `mean`, `median` or `rmse`."""
    return str(record.protocol_settings.get("reduction", {}).get("points", "mean"))


def _medians(row: SceneRow) -> str:
    # Empty where nothing was scored.
    known = {scene: cell.median_mm for scene, cell in row.cells.items()}
    shown = [f"{scene} {mm:.2f}" for scene, mm in known.items() if math.isfinite(mm)]
    return f"{row.label} {', '.join(shown)}" if shown else ""


def _source_notes(published: Sequence[Published]) -> Iterable[str]:
    imported = [row for row in published if row.imported]
    cited = [row for row in published if not row.imported]
    if cited:
        yield (
            f"Published rows: {'; '.join(sources(cited))}; measured by their authors on the "
            "MICC set, not with this protocol and not by this program."
        )
    if imported:
        yield (
            f"Imported rows: {'; '.join(sources(imported))}; not measured by this program. They "
            "are tested against runs only where the file states every subject's error and this "
            "protocol's digest."
        )
