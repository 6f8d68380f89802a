"""`facebench models`: list, show, import and export face models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..recon.morphable.model import MorphableModel

KINDS = (
    ("embedded", "made by code, MIT", "nothing: --model embedded"),
    (
        "NAME.npz",
        "our own format",
        "mean_shape, identity_basis, expression_basis, triangles, "
        "landmarks; region and albedo are derived when absent",
    ),
    (
        "FaceXModel/",
        "ICT-FaceKit, MIT",
        "its folder with the neutral mesh, any of the modes and vertex_indices.json",
    ),
)
"""What `--model` takes, what it is, what it needs."""

_OUT_NPZ = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The .npz."
)


@click.group(name="models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List what --model takes; show, import and export face models.

    \b
    Examples:
      facebench models
      facebench models show embedded --out embedded.png
      facebench models import ict ICT-FaceKit/FaceXModel --out ict.npz
      facebench models export embedded --vertices 35000 --seed 0 --out face35k.npz
    """
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    from ..recon.morphable.load import EMBEDDED, load_model

    embedded = _counts(load_model(EMBEDDED))
    if as_json:
        kinds = [dict(zip(("model", "what", "needs"), kind, strict=True)) for kind in KINDS]
        click.echo(json.dumps({"embedded": embedded, "kinds": kinds}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("--model", "what", "needs", box=None)
    for kind in KINDS:
        table.add_row(*kind)
    Console().print(table)
    shown = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in embedded.items())
    click.echo(f"\nembedded: {shown}")


def _counts(model: MorphableModel) -> dict[str, int]:
    return {
        "vertices": model.n_vertices,
        "triangles": len(model.triangles),
        "identity_modes": model.identity_basis.shape[2],
        "expression_modes": model.expression_basis.shape[2],
        "albedo_modes": model.albedo_basis.shape[2],
    }


@command.command()
@click.argument("model")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A PNG of the mean face and the first modes at ±2.5 standard deviations.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(model: str, out: Path | None, as_json: bool) -> None:
    """Show the counts, extents, digest and lengths (mm) of MODEL.

    \b
    Examples:
      facebench models show embedded --out embedded.png
      facebench models show ict.npz --json
    """
    from ..recon.morphable.load import load_model

    loaded = load_model(model)
    facts = _facts(loaded)
    if out is not None:
        _draw(loaded, out)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)


def _facts(model: MorphableModel) -> dict[str, Any]:
    from ..recon.morphable.measures import face_measures, mode_strengths

    low, high = model.mean_shape.min(axis=0).tolist(), model.mean_shape.max(axis=0).tolist()
    regions = {name: len(model.vertices_of(name)) for name in model.region_names}
    strengths = {
        kind: mode_strengths(getattr(model, f"{kind}_basis")).round(3).tolist()
        for kind in ("identity", "expression")
    }
    return {
        "name": model.name,
        "licence": model.licence,
        "digest": model.digest,
        "unit": "mm",
        "counts": _counts(model),
        "landmarks": int((model.landmarks >= 0).sum()),
        "extent_mm": {axis: [low[i], high[i]] for i, axis in enumerate("xyz")},
        "lengths_mm": face_measures(model),
        "largest_displacement_mm": strengths,
        "region_vertices": {name: count for name, count in regions.items() if count},
    }


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name in ("name", "licence", "digest", "unit"):
        table.add_row(name, str(facts[name]))
    for name, count in facts["counts"].items():
        table.add_row(name.replace("_", " "), str(count))
    table.add_row("landmarks", f"{facts['landmarks']} of 68")
    for axis, (low, high) in facts["extent_mm"].items():
        table.add_row(f"extent {axis}", f"{low:.1f} to {high:.1f} mm")
    for name, length in facts["lengths_mm"].items():
        table.add_row(name, f"{length:.1f} mm")
    for kind, values in facts["largest_displacement_mm"].items():
        if values:
            span = f"{min(values):.2f} to {max(values):.2f} mm per standard deviation"
            table.add_row(f"{kind} modes move", span)
    Console(highlight=False).print(table)


def _draw(model: MorphableModel, out: Path) -> None:
    from PIL import Image

    from ..recon.files import replacing
    from ..recon.model_sheet import model_sheet

    picture = Image.fromarray(model_sheet(model))
    with replacing(out) as draft:
        picture.save(draft, format="PNG")
    click.echo(f"picture: {out}", err=True)


@command.group(name="import")
def import_() -> None:
    """Make our .npz from other projects' files.

    \b
    Examples:
      facebench models import ict ICT-FaceKit/FaceXModel --out ict.npz
      facebench models import npz in_metres.npz --unit m --out face.npz
    """


@import_.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--part",
    "parts",
    multiple=True,
    help="Keep this part, may be repeated.  [default: face, head_neck, mouth_socket, "
    "eye_sockets, eyeballs]",
)
@_OUT_NPZ
def ict(folder: Path, parts: tuple[str, ...], out: Path) -> None:
    """ICT-FaceKit's FaceXModel FOLDER, with as many of its modes as are there.

    \b
    Examples:
      facebench models import ict ICT-FaceKit/FaceXModel --out ict.npz
      facebench models import ict FaceXModel --part face --part eyeballs --out face.npz
    """
    from ..recon.morphable.ict import PARTS, read_ict

    _save(read_ict(folder, parts or tuple(PARTS)), out)


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--unit",
    type=click.Choice(["m", "cm", "mm", "um"]),
    default="mm",
    show_default=True,
    help="What FILE's lengths are in.",
)
@_OUT_NPZ
def npz(file: Path, unit: str, out: Path) -> None:
    """Complete an .npz FILE: lengths to mm, regions and albedo derived where absent.

    \b
    Examples:
      facebench models import npz in_metres.npz --unit m --out face.npz
    """
    from ..recon.morphable.npz import read_npz

    _save(read_npz(file, unit), out)


@command.group()
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
@click.option("--seed", default=0, show_default=True, help="Varies the modes; 0 is the embedded.")
@_OUT_NPZ
def embedded(vertices: int | None, seed: int, out: Path) -> None:
    """Write the embedded model, or one like it at another resolution or seed.

    \b
    Examples:
      facebench models export embedded --vertices 35000 --seed 0 --out face35k.npz
    """
    from ..recon.morphable.procedural import procedural_model

    model = procedural_model(seed, vertices) if vertices else procedural_model(seed)
    _save(model, out)


def _save(model: MorphableModel, out: Path) -> None:
    from ..recon.morphable.npz import save_npz

    if out.suffix != ".npz":
        raise click.BadParameter("its name must end in .npz", param_hint="--out")
    save_npz(model, out)
    shown = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in _counts(model).items())
    click.echo(f"{out}: {shown}, digest {model.digest[:12]}")
