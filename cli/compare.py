"""`facebench compare`: runs side by side, with what tells them apart and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _options

if TYPE_CHECKING:
    from ..results.compare import Comparison

FORMS = ("table", "markdown", "latex", "csv", "json")
"""Of `results.compare.FORMS`; kept here so that help imports nothing."""
_NO_PARTS = (
    "no run has errors by part of the face: parts are found by the 68 landmarks of a prediction, "
    "for a mesh in NAME.txt beside it"
)


@click.command(name="compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@_options.other_numbers
@click.option("--all-pairs", is_flag=True, help="Every two runs, not each with the first.")
@click.option("--split", is_flag=True, help="A table for every protocol and dataset.")
@click.option(
    "--tie-mm",
    type=click.FloatRange(0),
    default=0.01,
    help="Errors of a subject that differ by no more are a tie.",
)
@click.option(
    "--common-region",
    is_flag=True,
    help="Errors and differences on the part of the scans that all runs cover, too.",
)
@click.option(
    "--regions", is_flag=True, help="Errors by part of the face; in CSV and JSON curves, too."
)
@click.option("--track", is_flag=True, help="Log the comparison to MLflow, for 'facebench ui'.")
@click.option("--format", "form", type=click.Choice(FORMS), default="table")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
def command(runs: tuple[str, ...], form: str, out: Path | None, **options: Any) -> None:
    """Compare benchmark runs, each a folder or the id of an MLflow run.

    The first table has the mean error and its standard deviation, below it the 95 % interval of
    the mean over subjects, subjects scored, faces found, and frames per second; the lowest error
    of a scene is bold. The second compares each run with the first RUN on the subjects that both
    have: the mean difference with its interval, a p-value corrected for all tests of the table
    (Holm), and subjects won, tied and lost.

    Runs of different protocols or datasets are refused, and the settings that differ are told;
    --split gives each kind its own tables instead.

    --common-region adds a table of the errors, from scan to prediction, on the part of the scans
    that all runs cover, with its share, and takes the differences there: for runs of unlike
    completeness, between which no difference is judged otherwise.

    --import adds numbers of other people. FILE has the columns method, scene and mean_mm (std_mm),
    or subject and error_mm with a line per subject or scan; title, source, dataset are optional.
    They are marked, and tested against the first RUN only where the file gives every subject and
    states this protocol's digest in a column protocol.

    --track makes one MLflow run of the comparison, its runs below it with the same names for the
    same numbers; the same comparison again updates it.

    \b
    Examples:
      facebench compare runs/mean-face runs/ours runs/theirs
      facebench compare runs/mean-face runs/ours --track
      facebench compare runs/ours runs/theirs --all-pairs --published
      facebench compare runs/ours runs/face-only --common-region
      facebench compare runs/ours runs/theirs --regions --format latex
      facebench compare runs/ours --import paper.csv
      facebench compare runs/ours 3f0c9f2e4b7a4d6c8e1a5b9d7c2f4e60 --format markdown
      facebench compare runs/* --split --format latex --out table.tex
    """
    common_region, regions = options["common_region"], options["regions"]
    if common_region and options["track"]:
        raise click.UsageError("--track keeps the protocol's own numbers: give no --common-region")
    from ..results.compare import compare, comparison_text, refuse_groups
    from ..results.tables.published import published_results, read_results
    from ..results.tracking.run import open_runs

    with open_runs(runs) as folders:
        # Only when asked for: they were measured by other protocols.
        literature = published_results() if options["published"] else ()
        literature += tuple(row for path in options["imports"] for row in read_results(path))
        comparison = compare(
            folders,
            literature,
            all_pairs=options["all_pairs"],
            tie_mm=options["tie_mm"],
            on_common_region=common_region,
            regions=regions,
        )
        # Before it is tracked: what may not be compared shall not stand in MLflow.
        if not options["split"]:
            refuse_groups(comparison)
        if options["track"]:
            _track(comparison)
    if regions and not any(any(group.parts.values()) for group in comparison.groups):
        click.echo(_NO_PARTS, err=True)
    text = comparison_text(comparison, form)
    if out is None:
        click.echo(text, nl=False)
    else:
        # A file is no terminal: without the codes that make the lowest error bold.
        _write(out, click.unstyle(text))


def _track(comparison: Comparison) -> None:
    from ..results.tracking.benchmark import EXPERIMENT, track_comparison
    from ..results.tracking.store import connect

    connect(EXPERIMENT)
    for run_id in track_comparison(comparison):
        click.echo(f"MLflow run {run_id}: look with 'facebench ui'", err=True)


def _write(out: Path, text: str) -> None:
    from ..errors import FacebenchError
    from ..recon.files.text import write_text

    try:
        write_text(out, text)
    except OSError as error:
        raise FacebenchError(f"{out} cannot be written: {error.strerror}") from error
    click.echo(out)
