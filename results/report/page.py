"""The report of a run: one HTML page that needs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ...errors import count_of
from ...recon.files.text import write_text
from ..compare import RunGroup, compare
from ..compare.tables import pairs_table, verdict_sentences
from ..run.folder import RunFolder
from ..run.summary import SceneSummary
from ..tables.published import Published
from ..tables.scenes import completeness, own_statistic, pools
from ..tables.series import Series, refuse_mixture, subject_of
from ..tables.table import interval_text, share_text, spread_text
from ..tables.writers import Markup, html, join, tag
from .charts import cumulative_charts, is_crowd, legend, regions_charts, subjects_charts
from .frame import Section, html_page
from .heat_maps import heat_maps, worst_first
from .pictures import heat_map_gallery, picture_gallery, region_errors, region_faces, worst_frames
from .tables import failures, fold, problems, provenance, statistics_table, subjects_table
from .views import viewer, views

WITH_FRAMES = 6
"""The worst subjects, who are shown with a frame of each clip."""


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
    # The run among its own others would be compared with itself.
    others = [other for other in others if other.root.resolve() != run.root.resolve()]
    refuse_mixture([one.record() for one in (run, *others)])
    (group,) = compare([run, *others], published).groups
    path = out or run.report
    write_text(path, render(group))
    return path


def render(group: RunGroup) -> str:
    """The page as HTML."""
    first = group.runs[0]
    return html_page(
        "facebench report",
        first.label,
        group.basis.title,
        _sections(group.runs, group),
        verdict=tuple(verdict_sentences(group)),
        cards=join(*(_card(first, scene, cell) for scene, cell in first.summary.items())),
        title=f"{first.label}: {first.record.dataset}, protocol {first.record.protocol}",
        scripts=("script.js", "viewer.js"),
    )


def _sections(series: Sequence[Series], group: RunGroup) -> list[Section]:
    """Anchor, title and content of every section that has something to show."""
    run, key = series[0], legend(series) if len(series) > 1 else Markup()
    tables = [group.scenes.table(), *([pairs_table(group)] if group.pairs else [])]
    tables.append(statistics_table(run))
    others = (fold(other.label, provenance(other.record)) for other in series[1:])
    # From the answer to its grounds; a section without content is left out.
    parts = [
        ("scenes", "Error by scene", join(*map(html, tables))),
        ("curves", "Cumulative error", _under(key, cumulative_charts(series))),
        ("subjects", "Subjects", _subjects(series, key)),
        ("regions", "Parts of the face", _regions(series, key)),
        ("turn", "In 3D", viewer(list(views(run, series[1:])), run.label)),
        ("faces", "Where the error is", _faces(run)),
        ("pictures", "Pictures", picture_gallery(run.run.pictures)),
        ("failures", "Failures", failures(series)),
        ("problems", "Dataset", problems(run.record)),
        ("provenance", "Provenance", join(provenance(run.record), *others)),
    ]
    return [part for part in parts if part[2]]


def _subjects(series: Sequence[Series], key: Markup) -> Markup:
    first = series[0]
    owners = [_subjects_of(first, scene) for scene in first.summary]
    several = any(len(set(names)) < len(names) for names in owners)
    one = "measurement of a subject" if several else "subject"
    if is_crowd(first.record.subjects):
        words = "The shape is as wide as there are subjects with that error"
    else:
        words = f"A dot is a {one}"
        words += f", a line joins the same {one.split()[0]}" if len(series) > 1 else ""
    tick = "the tick is the mean, the band its 95 % interval."
    if pools(first.record):
        # The table's mean and interval are over points, and would stand elsewhere.
        own = own_statistic(first.record)
        tick = f"it stands at the {own} of its points, the tick at the mean of the dots."
    note = tag("p", f"{words}; {tick}", class_="note")
    table = fold("Every subject's numbers", html(subjects_table(first)))
    return join(_under(join(key, note), subjects_charts(series)), table)


def _regions(series: Sequence[Series], key: Markup) -> Markup:
    note = tag("p", "Mean error, the line its 95 % interval over subjects.", class_="note")
    errors = {
        (run.number, scene): region_errors(run, scene) for run in series for scene in run.summary
    }
    charts = regions_charts(series, errors)
    return join(_under(join(key, note), charts), region_faces(series, errors))


def _faces(run: Series) -> Markup:
    worst = worst_first(run.subjects)
    frames = worst_frames(run.record, run.run.ledger, worst[:WITH_FRAMES])
    return heat_map_gallery(heat_maps(run), frames, len(worst))


def _under(before: Markup, charts: Markup) -> Markup:
    return join(before, charts) if charts else Markup()


def _subjects_of(run: Series, scene: str) -> list[str]:
    """The subject of each measurement of a scene."""
    return list(subject_of(run.subjects, scene).values())


def _card(run: Series, scene: str, cell: SceneSummary) -> Markup:
    error = spread_text(cell.mean_mm, cell.std_mm)
    asked, people = cell.n_subjects + cell.n_failed, len(set(_subjects_of(run, scene)))
    counts = f"{cell.n_subjects:,} of {count_of(asked, 'subject')}"
    # Of several photographs of a person each is measured.
    if asked > people:
        counts = f"{cell.n_subjects:,} of {asked:,} scored, of {count_of(people, 'subject')}"
    if cell.frames:
        counts += f", {count_of(cell.faces, 'face')} in {count_of(cell.frames, 'frame')}"
    if math.isfinite(share := completeness(cell)):
        counts += f", {share_text(share)} of the scans covered"
    return tag(
        "div",
        tag("h2", scene),
        tag("p", error, tag("small", " mm"), class_="number"),
        tag("p", f"95 % interval {interval_text(*cell.ci95_mm) or 'unknown'}"),
        tag("p", counts),
        class_="card",
    )
