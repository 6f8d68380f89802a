"""`facebench report`: the page of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from ..results.published import Published
    from ..results.record import RunFolder


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN…")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page's file.  [default: report.html in the first run's folder]",
)
@click.option("--published", is_flag=True, help="Add the literature's rows, marked as published.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "table", "markdown", "csv"]),
    default="html",
    show_default=True,
    help="Write the page, or print only its first table.",
)
def command(runs: tuple[Path, ...], out: Path | None, published: bool, form: str) -> None:
    """Write the page of the first RUN, the others beside it in tables and charts.

    The page is one file that needs no network. All runs must be of one protocol and one dataset.

    \b
    Examples:
      facebench report runs/ours
      facebench report runs/ours runs/mean-face --published --out ours.html
      facebench report runs/ours runs/mean-face --format markdown > table.md
    """
    from ..results.published import published_results
    from ..results.record import RunFolder

    folders = [RunFolder.existing(path) for path in runs]
    literature = published_results() if published else ()
    if form == "html":
        from ..results.report import write_report

        click.echo(write_report(folders[0], folders[1:], literature, out))
    else:
        _write(_first_table(folders, literature, form), out)


def _first_table(folders: Sequence[RunFolder], literature: Sequence[Published], form: str) -> str:
    from ..results import tables

    if form == "markdown":
        return tables.scene_table_markdown(folders, literature)
    if form == "csv":
        return tables.scene_table_csv(folders, literature)
    return _drawn(tables.scene_table(folders, literature))


def _drawn(table: Table) -> str:
    from rich.console import Console

    console = Console()
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def _write(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    from ..results.files import write_text

    write_text(out, text)
    click.echo(out)
