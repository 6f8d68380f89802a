"""`facebench report`: the page of a run, or of several beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import FacebenchError
from ..recon.files.stores import address_of
from . import _options

if TYPE_CHECKING:
    from ..results.run.folder import RunFolder
    from ..results.tables.published import Published


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page's file.  [default: report.html in the first run's folder, or in this one where "
    "the run comes from MLflow or an object store]",
)
@_options.other_numbers
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "table", "markdown", "csv"]),
    default="html",
    show_default=True,
    help="Write the page, or print only its first table.",
)
@click.option("--track", is_flag=True, help="Log the runs to MLflow too.")
def command(
    runs: tuple[str, ...],
    out: Path | None,
    published: bool,
    imports: tuple[Path, ...],
    form: str,
    track: bool,
) -> None:
    """Write the page of the first RUN, the others beside it in tables and charts.

    Each RUN is a folder or the id of an MLflow run, all of one protocol and one dataset. The page
    is one file that needs no network: tables, curves, every subject, parts of the face, faces to
    turn in 3D, heat maps with the worst subjects first, failures, and where the numbers come from.
    Faces are drawn from what a run's folder keeps, frames read again from its dataset, where they
    are at hand.

    --track logs the folders to MLflow: what was measured while its server could not be reached, or
    elsewhere. What is there already is only brought up to date.

    \b
    Examples:
      facebench report runs/ours
      facebench report runs/ours --track
      facebench report runs/ours runs/mean-face --published --out ours.html
      facebench report runs/ours runs/mean-face --format markdown > table.md
    """
    from ..results.tables.basis import refuse_unfinished
    from ..results.tables.published import published_results, read_results
    from ..results.tracking.run import open_runs

    literature = published_results() if published else ()
    literature += tuple(row for path in imports for row in read_results(path))
    with open_runs(runs) as folders:
        for folder in folders:
            refuse_unfinished(folder)
        if form == "html":
            from ..results.report import write_report

            # The folder of a run fetched from MLflow is removed when the block ends, and that of
            # one in an object store holds what the store has and nothing else.
            here = Path(runs[0]).is_dir() and not address_of(runs[0])
            page = out or Path(runs[0] if here else ".") / "report.html"
            click.echo(write_report(folders[0], folders[1:], literature, page))
        else:
            _write(_first_table(folders, literature, form), out)
        if track:
            _track(folders)


def _track(folders: Sequence[RunFolder]) -> None:
    from ..results.tables.basis import MLFLOW_ID
    from ..results.tables.scenes import run_label
    from ..results.tracking.benchmark import track_run
    from ..results.tracking.store import connect

    for folder in folders:
        if MLFLOW_ID.fullmatch(folder.root.name):
            continue  # it comes from there
        if address_of(folder.root):
            # The run's key in MLflow is kept in its folder, which is only read here.
            raise FacebenchError(
                f"{folder.root} is in an object store, and --track writes to the folder",
                "copy it to this machine, or give the command that measured it again",
            )
        record = folder.record()
        # Runs of one dataset share an experiment, where MLflow can compare them.
        connect(record.dataset)
        run_id = track_run(folder, run_label(record))
        click.echo(f"MLflow run {run_id}: {folder.root}", err=True)


def _first_table(folders: Sequence[RunFolder], literature: Sequence[Published], form: str) -> str:
    from ..results.tables.scenes import scene_rows
    from ..results.tables.writers import csv_text, markdown, terminal_text

    content = scene_rows(folders, literature)
    if form == "csv":
        # For machines: every field, not rounded as in the table that people read.
        return csv_text(content.numbers())
    return markdown(content.table()) if form == "markdown" else terminal_text([content.table()])


def _write(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    from ..results.files import write_text

    write_text(out, click.unstyle(text))
    click.echo(out)
