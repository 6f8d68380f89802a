"""The scene table and the paired table, for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from ..run.folder import RunFolder
from ..run.summary import SceneSummary
from .paired import ScenePair, paired_rows
from .published import Published
from .scenes import SceneRow, SceneRows, scene_rows

CSV_FIELDS = (
    *("method", "remark", "scene", "mean_mm", "std_mm", "ci95_low_mm", "ci95_high_mm"),
    *("median_mm", "rmse_mm", "p90_mm", "n_subjects", "n_failed", "coverage"),
    *("mean_with_failures_mm", "frames", "faces", "frames_per_second", "size_error"),
)


def scene_table(runs: Sequence[RunFolder], published: Sequence[Published] = ()) -> Table:
    """One row a method: per scene mean ± std in mm, 95 % interval and coverage; frames/s.

    The lowest measured error of each scene is bold; published rows are marked, stand below a line
    and never compete.

    Raises:
        FacebenchError: no runs, or runs of different protocols or datasets.
    """
    return drawn_rows(scene_rows(runs, published))


def scene_table_markdown(runs: Sequence[RunFolder], published: Sequence[Published] = ()) -> str:
    """The scene table as Markdown, title and notes included."""
    return markdown_rows(scene_rows(runs, published))


def scene_table_csv(runs: Sequence[RunFolder], published: Sequence[Published] = ()) -> str:
    """The scene table as CSV, one line per method and scene, with every field of the summary."""
    return csv_text(csv_lines(scene_rows(runs, published)))


def drawn_rows(content: SceneRows) -> Table:
    """The rows as `scene_table` draws them; all that is behind the scenes shares a column."""
    table = empty_table(f"Error in mm, {content.title}", content.notes)
    table.add_column("method", min_width=12, overflow="fold")
    behind = content.heads[1 + len(content.scenes) :]
    for heading in (*content.scenes, "\n".join(behind)):
        table.add_column(heading, justify="right", no_wrap=True)
    for row, following in zip(content.rows, (*content.rows[1:], None), strict=True):
        ends = following is not None and row.measured and not following.measured
        table.add_row(*_rich_cells(content, row), end_section=ends)
    return table


def markdown_rows(content: SceneRows) -> str:
    """The rows as a Markdown table."""
    head = list(content.heads)
    rows = [_markdown_cells(content, row) for row in content.rows]
    return markdown_table(f"Error in mm, {content.title}", head, rows, content.notes)


def markdown_table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
) -> str:
    """A Markdown table; cells of text from outside come through `in_cell`."""
    lines = [f"**{in_cell(title)}**", "", _markdown_line(head)]
    lines += [_markdown_line(["---", *["---:"] * (len(head) - 1)])]
    lines += [_markdown_line(row) for row in rows]
    if notes:
        lines += ["", *(f"{in_cell(note)}  " for note in notes)]
    return "\n".join(lines) + "\n"


def csv_lines(content: SceneRows) -> list[dict[str, object]]:
    """One dict per method and scene, with every field of the summary; unknown is empty."""
    cells = ((row, scene) for row in content.rows for scene in content.scenes if scene in row.cells)
    return [_csv_line(row, scene) for row, scene in cells]


def csv_text(lines: Sequence[Mapping[str, object]], fields: Sequence[str] = CSV_FIELDS) -> str:
    """Lines as CSV; what a line lacks is empty."""
    file = io.StringIO()
    writer = csv.DictWriter(file, fields, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def paired_table(first: RunFolder, second: RunFolder) -> Table:
    """One row a scene: how much lower the first run's errors are on the same subjects.

    The mean of first − second in mm, its 95 % bootstrap interval over subjects, and the p-value
    (`statistics.paired_difference`), corrected for the number of scenes (Holm); the plain one is in
    the report. Too few subjects have no p-value, and a note says why.

    Raises:
        FacebenchError: the runs differ in protocol or dataset.
    """
    content = paired_rows(first, second)
    title = f"{content.first} − {content.second} in mm, {content.title}"
    table = empty_table(title, content.notes)
    table.add_column("scene", no_wrap=True)
    for heading in ("subjects", "difference", "95 % interval", "p (Holm)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("error", min_width=7)
    for row in content.rows:
        *numbers, _, p_holm, verdict = paired_texts(row)
        table.add_row(*numbers, p_holm, verdict)
    return table


def paired_texts(row: ScenePair) -> list[str]:
    """The cells of a row of the paired table."""
    difference = row.difference
    interval = (difference.ci95_mm.low, difference.ci95_mm.high)
    return [
        row.scene,
        str(difference.n_subjects),
        f"{difference.mean_mm:+.3f}" if math.isfinite(difference.mean_mm) else "–",
        interval_text(interval, digits=3) or "–",
        p_text(difference.p_value),
        p_text(row.p_holm),
        row.verdict,
    ]


def p_text(p_value: float) -> str:
    """`0.031`, `< 0.001`, or a dash when unknown."""
    if not math.isfinite(p_value):
        return "–"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def error_text(cell: SceneSummary) -> str:
    """`1.36 ± 0.12`, `1.36 ± –` for one subject, or a dash without a score."""
    if not math.isfinite(cell.mean_mm):
        return "–"
    return f"{cell.mean_mm:.2f} ± " + (f"{cell.std_mm:.2f}" if math.isfinite(cell.std_mm) else "–")


def interval_text(interval: tuple[float, float], digits: int = 2) -> str:
    """`[1.33, 1.39]`, or nothing when unknown."""
    low, high = interval
    return f"[{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low + high) else ""


def detail_texts(cell: SceneSummary) -> list[str]:
    """What stands under a cell's error, as the table's first note says."""
    lines = [interval_text(cell.ci95_mm)]
    asked = cell.n_subjects + cell.n_failed
    if asked:
        coverage = f"{cell.coverage:.0%}" if math.isfinite(cell.coverage) else "–"
        lines.append(f"{cell.n_subjects}/{asked} · {coverage}")
    if cell.n_failed and math.isfinite(cell.mean_with_failures_mm):
        lines.append(f"all: {cell.mean_with_failures_mm:.2f}")
    if math.isfinite(cell.size_error):
        lines.append(f"size ± {cell.size_error:.1%}")
    return [line for line in lines if line]


def rate_text(rate: float) -> str:
    """Frames per second, or a dash when unknown."""
    return f"{rate:.1f}" if math.isfinite(rate) else "–"


def empty_table(title: str, notes: Sequence[str] = ()) -> Table:
    """A table without columns, its notes below it."""
    return Table(
        title=Text(title),
        caption=Text("\n".join(notes)) if notes else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_lines=False,
    )


def _rich_cells(content: SceneRows, row: SceneRow) -> list[Text]:
    label = Text(row.label)
    if row.remark:
        label.append(f"\n{row.remark}", style="dim")
    scenes = [_rich_cell(row.cells.get(s), content.best(s) is row) for s in content.scenes]
    behind = (rate_text(row.frames_per_second), *content.extra(row))
    return [label, *scenes, Text("\n".join(behind))]


def _rich_cell(cell: SceneSummary | None, best: bool) -> Text:
    if cell is None:
        return Text("–")
    text = Text(error_text(cell), style="bold" if best else "")
    for line in detail_texts(cell):
        text.append(f"\n{line}", style="dim not bold")
    return text


def _markdown_cells(content: SceneRows, row: SceneRow) -> list[str]:
    label = f"{row.label} ({row.remark})" if row.remark else row.label
    scenes = [_markdown_cell(row.cells.get(s), content.best(s) is row) for s in content.scenes]
    return [in_cell(label), *scenes, rate_text(row.frames_per_second), *content.extra(row)]


def _markdown_cell(cell: SceneSummary | None, best: bool) -> str:
    if cell is None:
        return "–"
    error = f"**{error_text(cell)}**" if best else error_text(cell)
    return "<br>".join([error, *detail_texts(cell)])


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def in_cell(text: str) -> str:
    """Text that cannot end a cell or start markup of its own."""
    for mark in "\\|*_<>[]`":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _csv_line(row: SceneRow, scene: str) -> dict[str, object]:
    cell = row.cells[scene]
    low, high = cell.ci95_mm
    values = {**vars(cell), "ci95_low_mm": low, "ci95_high_mm": high}
    known = {name: values[name] for name in CSV_FIELDS if name in values}
    if not row.measured:
        known = {name: values[name] for name in ("mean_mm", "std_mm")}
    shown = {name: "" if value != value else value for name, value in known.items()}
    return {"method": row.label, "remark": row.remark, "scene": scene, **shown}
