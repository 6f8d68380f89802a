"""`facebench models fit`: a face model registered to a scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._tables import print_json

if TYPE_CHECKING:
    from ...bench.registration.model_fit import ModelFit


@click.command()
@click.argument("model")
@click.argument("scan", type=click.Path(path_type=Path))
@click.option(
    "--landmarks",
    type=click.Path(path_type=Path),
    help="Of the scan: 68 lines 'x y z' in iBUG's order, or the 7 of NoW.  [default: a search]",
)
@click.option("--unit", help="What the scan's lengths are in.  [default: mm]")
@click.option(
    "--fit-size",
    is_flag=True,
    help="Fit a scale too. Leave it out where millimetres can be trusted: size and identity can "
    "hardly be told apart.",
)
@click.option("--neutral", is_flag=True, help="Fit no expression.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of fit.json, fitted.ply and residual.png.",
)
@click.option("--json", "as_json", is_flag=True, help="Print fit.json instead of a summary.")
def fit(
    model: str,
    scan: Path,
    landmarks: Path | None,
    unit: str | None,
    fit_size: bool,
    neutral: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Fit MODEL to a SCAN: identity, expression and pose.

    SCAN is an OBJ, PLY, STL, OFF, GLB or NPZ file in any pose, with or without neck and shoulders.
    --out gets fit.json (coefficients, pose, residuals), fitted.ply (the face in the scan's space
    and the model's topology, with its distance to the scan at each vertex) and residual.png.

    \b
    Examples:
      facebench models fit ict.npz scan.ply --out fitted
      facebench models fit flame.npz scan.obj --landmarks scan.txt --out fitted
      facebench models fit embedded scan_in_any_unit.obj --unit cm --fit-size --out fitted
    """
    from ...bench.landmarks import Landmarks, read_landmark_file
    from ...bench.meshes.checks import read_mesh
    from ...bench.meshes.units import unit_in_mm
    from ...bench.registration.model_fit import fit_model
    from ...recon.files.writing import lock_folder
    from ...recon.morphable.load import load_model
    from ...results.figures.errors import FIT_FILES, fit_values, write_fit

    with lock_folder(out, "models fit", FIT_FILES[:1], (scan,)):
        loaded = load_model(model)
        mesh, removed = read_mesh(scan, unit)
        if str(removed):
            click.echo(f"note: {scan}: {removed} left out", err=True)
        given = None
        if landmarks is not None:
            # In the scan's unit like the scan, whose vertices `read_mesh` has made mm of.
            given = Landmarks(read_landmark_file(landmarks).points * unit_in_mm(unit or "mm"))
        fitted = fit_model(loaded, mesh, given, expression=not neutral, scale=fit_size)
        written = write_fit(out, fitted, loaded, str(scan))
    if as_json:
        print_json(fit_values(fitted, loaded, str(scan)))
    else:
        _tell(fitted, written)
    # A note and no error: the numbers of such a fit are stated, and may be good enough.
    if not fitted.converged:
        click.echo(f"note: after {fitted.steps} steps the face still moved", err=True)


def _tell(fitted: ModelFit, written: tuple[Path, ...]) -> None:
    from ...results.figures.errors import residuals

    found = residuals(fitted.scan_errors)
    click.echo(
        f"scan to face: mean {found['mean']:.3f} mm, median {found['median']:.3f}, "
        f"95 % within {found['p95']:.3f}, over {fitted.overlap:.0%} of the scan's face"
    )
    for path in written:
        click.echo(path)
