"""`facebench figure`: the figures of the paper and those of measured runs, one subcommand each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import _shared, photographs

if TYPE_CHECKING:
    from ...results.tables.series import Series


@click.group()
def command() -> None:
    """Draw the paper's figures, and those of measured runs, as PNG and PDF.

    'curves' and 'heat-maps' show runs. Each of the others works without a folder, on photographs
    made from the face model, and on your own: files, any folder, MoFA-test (a flat folder), LFW
    (NAME/NAME_0001.jpg). Where NAME.boxes.csv or landmarks (NAME.pts, NAME.txt, 68 or 5 points in
    px) lie beside NAME.jpg they say where the face is, else it is detected.

    \b
    Examples:
      facebench figure quality --out figures/quality
      facebench figure quality lfw/ --out figures/lfw --method ours --method fitting
      facebench figure occlusion --out figures/occlusion
      facebench figure consistency --out figures/consistency
      facebench figure parsing photographs/ --parser 79999_iter.pth --out figures/parsing
      facebench figure curves runs/ours runs/mean-face --out figures/curves
      facebench figure heat-maps runs/ours runs/mean-face --out figures/faces
    """


for drawn in (
    photographs.quality,
    photographs.occlusion,
    photographs.consistency,
    photographs.parsing,
):
    command.add_command(drawn)

runs = click.argument("runs", nargs=-1, required=True, metavar="RUN…")


@command.command(name="curves")
@runs
@_shared.out
@_shared.width
@_shared.dpi
def curves(runs: tuple[str, ...], out: Path, width: float, dpi: int) -> None:
    """Cumulative errors of RUNs, a panel per scene: the share of points within each distance.

    Each RUN is a folder or the id of an MLflow run, all of one protocol and dataset. Methods differ
    by stroke as well as by colour.

    \b
    Examples:
      facebench figure curves runs/ours runs/mean-face --out figures/curves
      facebench figure curves runs/ours runs/mean-face --out figures/column --width 3.4
    """
    from ...results.figures.errors import write_curves

    with _series(runs) as series:
        for path in write_curves(series, _shared.plain_stem(out), width, dpi):
            click.echo(path)


@command.command(name="heat-maps")
@runs
@_shared.out
@click.option("--scene", help="Of which.  [default: the first RUN's first]")
@_shared.limit(4, "Subjects to show, spread over the first RUN's errors, the worst first.")
@_shared.width
@_shared.dpi
def heat_maps(runs: tuple[str, ...], scene: str | None, limit: int, **options: Any) -> None:
    """Faces of RUNs coloured by their error: a column per subject, a row per method.

    Each RUN is a folder of one protocol and dataset. A frame of each subject stands above, where
    the dataset is at hand.

    \b
    Examples:
      facebench figure heat-maps runs/ours runs/mean-face --out figures/faces
      facebench figure heat-maps runs/ours --scene indoor --limit 6 --out figures/indoor
    """
    from ...results.figures.errors import error_sheet

    with _series(runs) as series:
        sheet = error_sheet(series, scene or next(iter(series[0].summary)), limit)
    _shared.write(sheet, options)


@contextmanager
def _series(runs: Sequence[str]) -> Iterator[tuple[Series, ...]]:
    """The runs read; folders that come from MLflow are removed afterwards."""
    from ...results.tables.basis import refuse_unfinished
    from ...results.tables.series import read_series
    from ...results.tracking.run import open_runs

    with open_runs(runs) as folders:
        for folder in folders:
            refuse_unfinished(folder)
        yield read_series(folders)
