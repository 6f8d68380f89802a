"""The report of a run: one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..files import write_text
from ..paired import paired_rows
from ..published import Published
from ..record import RunFolder
from ..scene_rows import SceneRows, scene_rows, table_title
from ..tables import error_text, interval_text
from .chart_sections import cumulative_charts, legend, regions_charts, subjects_charts
from .frame import Frame, Section, html_page
from .heat_maps import heat_maps
from .markup import Markup, join, tag
from .pictures_html import heat_map_gallery, picture_gallery
from .provenance_html import fold, problems, provenance
from .series import Series, read_series
from .tables_html import (
    clips_table,
    failures_table,
    notes_table,
    paired_table,
    scenes_table,
    statistics_table,
    subjects_table,
)


def write_report(
    run: RunFolder,
    others: Sequence[RunFolder] = (),
    published: Sequence[Published] = (),
    out: Path | None = None,
) -> Path:
    """Write the page of a run, beside other runs of the same protocol and dataset.

    Args:
        run: what the page is about.
        others: shown in its tables and charts, for example the mean face's.
        published: rows of the literature, shown in the table and marked.
        out: the file; `RUN/report.html` when None.

    Raises:
        FacebenchError: the runs differ in protocol or dataset, or one has no summary.
    """
    others = [other for other in others if other.root.resolve() != run.root.resolve()]
    content = scene_rows([run, *others], published)
    path = out or run.report
    write_text(path, render(read_series([run, *others]), content))
    return path


def render(series: Sequence[Series], content: SceneRows) -> str:
    """The page as HTML."""
    record = series[0].record
    frame = Frame(
        eyebrow="facebench report",
        heading=series[0].label,
        subtitle=table_title(record),
        cards=_cards(series[0]),
        title=f"{series[0].label}: {record.dataset}, protocol {record.protocol}",
    )
    return html_page(frame, _sections(series, content))


def _sections(series: Sequence[Series], content: SceneRows) -> list[Section]:
    """Anchor, title and content of every section that has something to show."""
    run, key = series[0], legend(series) if len(series) > 1 else Markup()
    failures = join(
        failures_table(run.subjects),
        notes_table(run.subjects),
        clips_table(run.run.ledger.table()),
    )
    parts = [
        ("scenes", "Error by scene", _scenes(series, content)),
        ("curves", "Cumulative error", _with(key, cumulative_charts(series))),
        ("subjects", "Subjects", _subjects(series, key)),
        ("regions", "Parts of the face", _with(key, regions_charts(series))),
        ("faces", "Where the error is", heat_map_gallery(heat_maps(run))),
        ("pictures", "Pictures", picture_gallery(run.run.pictures)),
        ("failures", "Failures", failures),
        ("problems", "Dataset", problems(run.record)),
        ("provenance", "Provenance", provenance(run.record)),
    ]
    return [part for part in parts if part[2]]


def _scenes(series: Sequence[Series], content: SceneRows) -> Markup:
    run, others = series[0], series[1:]
    pairs = (paired_table(paired_rows(run.run, other.run)) for other in others)
    return join(scenes_table(content), *pairs, statistics_table(run))


def _subjects(series: Sequence[Series], key: Markup) -> Markup:
    words = "A dot is a subject"
    words += ", a line joins the same subject; " if len(series) > 1 else "; "
    note = tag("p", f"{words}the tick is the mean, the band its 95 % interval.", class_="note")
    table = fold("Every subject's numbers", subjects_table(series[0]))
    return join(_with(join(key, note), subjects_charts(series)), table)


def _with(before: Markup, charts: Markup) -> Markup:
    return join(before, charts) if charts else Markup()


def _cards(run: Series) -> Markup:
    """The numbers a reader comes for."""
    return join(
        *(
            tag(
                "div",
                tag("h2", scene.capitalize()),
                tag("p", error_text(cell), tag("small", " mm"), class_="number"),
                tag("p", f"95 % interval {interval_text(cell.ci95_mm) or 'unknown'}"),
                tag(
                    "p",
                    f"{cell.n_subjects} of {cell.n_subjects + cell.n_failed} subjects, "
                    f"{cell.faces} faces in {cell.frames} frames",
                ),
                class_="card",
            )
            for scene, cell in run.summary.items()
        )
    )
