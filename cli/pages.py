"""`facebench report` and `ui`: the pages of runs, in one file or in MLflow's web interface."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import FacebenchError
from ..recon.files.stores import address_of
from . import _options

if TYPE_CHECKING:
    from ..results.run.folder import RunFolder
    from ..results.tables.published import Published
    from ..results.tracking.ui import Page

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, also where a script started it in the background; a plain kill; a closed terminal."""


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
    help="Write the page, or print only its first table.",
)
@click.option("--track", is_flag=True, help="Log the runs to MLflow too.")
def report(
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
        run_id = track_run(folder, record.label)
        click.echo(f"MLflow run {run_id}: {folder.root}", err=True)


def _first_table(folders: Sequence[RunFolder], literature: Sequence[Published], form: str) -> str:
    from ..results.tables.scenes import scene_rows
    from ..results.tables.series import read_series
    from ..results.tables.writers import csv_text, markdown, terminal_text

    content = scene_rows(read_series(folders), literature)
    if form == "csv":
        # For machines: every field, not rounded as in the table that people read.
        return csv_text(content.numbers())
    return markdown(content.table()) if form == "markdown" else terminal_text([content.table()])


def _write(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    from ..recon.files.text import write_text

    write_text(out, click.unstyle(text))
    click.echo(out)


@click.command(name="ui")
@click.argument("runs", nargs=-1, metavar="[RUN…]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    help="Of this machine; 0 takes one that is free.",
)
@click.option("--open", "show", is_flag=True, help="Open the last address in the browser.")
def ui(runs: tuple[str, ...], port: int, show: bool) -> None:
    """Serve MLflow's pages of all runs until Ctrl-C, and print their addresses.

    The store is MLFLOW_TRACKING_URI, by default the file mlflow.db of this folder, where 'facebench
    micc' and 'facebench train' log. The pages can be seen from this machine only.

    With RUNs, each a folder or the id of an MLflow run, the page that compares them is printed too.
    Without, that of the newest comparison that 'facebench compare --track' logged. Runs of every
    method have the same metrics: SCENE.mean_mm and its interval, SCENE.share_within as a curve over
    the threshold in tenths of a millimetre.

    \b
    Examples:
      facebench ui
      facebench ui runs/mean-face runs/ours --open
      facebench compare runs/mean-face runs/ours --track && facebench ui --port 5001
    """
    from ..results.tracking.store import public_address, tracking_uri
    from ..results.tracking.ui import compare_page, open_store, pages

    uri = tracking_uri()
    client = open_store(uri)
    found = [compare_page(client, runs, uri)] if runs else []
    # The page asked for last: it is the one that --open shows.
    found = pages(client) + found
    if uri.startswith(("http://", "https://")):
        # Printed, and given to the browser as an argument: without a password.
        _print(public_address(uri), found, show)
        return
    _serve(uri, port, found, show)


def _serve(uri: str, port: int, found: Sequence[Page], show: bool) -> None:
    from ..results.tracking.store import redact
    from ..results.tracking.ui import mlflow_server

    click.echo(f"MLflow starts on {redact(uri)} …", err=True)
    with _ended_by_signals(), mlflow_server(uri, port) as (address, process):
        _print(address, found, show)
        click.echo("Ctrl-C ends it.", err=True)
        try:
            # Until it ends by itself or by a signal, which all come as KeyboardInterrupt.
            process.wait()
        except KeyboardInterrupt:
            click.echo("\nEnded.", err=True)
            return
    raise click.ClickException("MLflow's server ended by itself")


def _print(address: str, found: Sequence[Page], show: bool) -> None:
    # One address per line, to be clicked.
    width = max(len(title) for title, _ in found)
    for title, path in found:
        click.echo(f"{title:<{width}}  {address}{path}")
    if show:
        click.launch(f"{address}{found[-1][1]}")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let these end the server too, as Ctrl-C does."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
