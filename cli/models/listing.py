"""`facebench models` and `models show`: which face models there are, and what one holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._tables import print_json, print_table

if TYPE_CHECKING:
    from ...recon.morphable.model import MorphableModel

_MARK = "facebench models show"
"""In the pictures that this command draws unasked, so that it replaces no other."""

KINDS = (
    ("embedded", "made by code, MIT; also 'procedural'", "nothing: --model embedded"),
    ("human", "people, from MakeHuman's heads, CC0", "nothing: --model human"),
    (
        "NAME.npz",
        "our own format",
        (
            "mean_shape, identity_basis, expression_basis, triangles, "
            "landmarks; region and albedo are derived when absent"
        ),
    ),
    (
        "FaceXModel/",
        "ICT-FaceKit, MIT",
        "its folder with the neutral mesh, any of the modes and vertex_indices.json",
    ),
    (
        "import basel-2009",
        "BFM 2009, own licence",
        "01_MorphableModel.mat; Exp_Pca.bin, std_exp.txt and the BFM_*_idx.mat for expressions",
    ),
    (
        "import basel-2017",
        "BFM 2017, own licence",
        "its .h5; a table of landmarks for more than the 12 it names",
    ),
    ("import basel-2019", "BFM 2019, own licence", "as basel-2017"),
    (
        "import flame",
        "FLAME, own licence",
        "generic_model.pkl or an .npz of it; landmark_embedding.npy for its landmarks",
    ),
    (
        "import surrey",
        "Surrey, own licence",
        "eos' sfm_shape_3448.bin, expression_blendshapes_3448.bin, ibug_to_sfm.txt",
    ),
)
"""What `--model` takes, or what makes it an `.npz` first; what it is, what it needs."""

_MODES_LISTED = 10


@click.group(name="models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List what --model takes; show, make, import, fit and export face models.

    \b
    Examples:
      facebench models
      facebench models show human --picture human.png
      facebench models make human --out human.npz
      facebench models import basel-2009 01_MorphableModel.mat --side-files BFM --out bfm.npz
      facebench models import ict ICT-FaceKit/FaceXModel --out ict.npz
      facebench models fit ict.npz scan.ply --out fitted
      facebench models export embedded --vertices 35000 --seed 0 --out face35k.npz
    """
    # The bare word lists; with a subcommand listing would build the models for nothing.
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    from ...recon.morphable import EMBEDDED, HUMAN
    from ...recon.morphable.load import load_model

    packaged = {name: _counts(load_model(name)) for name in (EMBEDDED, HUMAN)}
    if as_json:
        kinds = [dict(zip(("model", "what", "needs"), kind, strict=True)) for kind in KINDS]
        print_json({**packaged, "kinds": kinds})
        return
    from rich.table import Table

    table = Table(box=None)
    for heading in ("--model", "what", "needs"):
        table.add_column(heading, overflow="fold")  # the name of a file is not to be cut
    for kind in KINDS:
        table.add_row(*kind)
    print_table(table)
    click.echo()
    for name, counts in packaged.items():
        shown = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
        click.echo(f"{name}: {shown}")


def _counts(model: MorphableModel) -> dict[str, int]:
    from ...recon.morphable.measures import mode_counts

    modes = {f"{kind}_modes": count for kind, count in mode_counts(model).items()}
    return {"vertices": model.n_vertices, "triangles": len(model.triangles), **modes}


@click.command()
@click.argument("model")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A PNG of the mean face and the first modes at ±3 standard deviations.  "
    "[default: beside MODEL; none for a model of the package]",
)
@click.option(
    "--modes", type=click.IntRange(1), default=6, help="How many of each kind the picture shows."
)
@click.option("--no-picture", is_flag=True, help="Draw nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(model: str, picture: Path | None, modes: int, no_picture: bool, as_json: bool) -> None:
    """Show the counts, ranges, modes (mm), landmarks, regions, licence and digest of MODEL.

    \b
    Examples:
      facebench models show embedded --picture embedded.png
      facebench models show human --picture human.png --modes 52
      facebench models show bfm.npz
      facebench models show ict.npz --json --no-picture
    """
    from ...recon.morphable import PACKAGED_MODELS
    from ...recon.morphable.load import load_model
    from ...recon.morphable.measures import model_facts

    loaded = load_model(model)
    facts = model_facts(loaded)
    if picture is None and model not in PACKAGED_MODELS:
        # Beside the model: a picture in the working folder would be lost among other files.
        picture = Path(model).with_suffix(".png")
        if picture.exists() and not _is_drawn_here(picture):
            said = f"note: {picture} is another picture and stays; --picture FILE.png draws one"
            click.echo(said, err=True)
            picture = None
    if picture is not None and not no_picture:
        _draw(loaded, picture, modes)
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _print(facts: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (*_general(facts), *_modes(facts)):
        table.add_row(name, value)
    print_table(table)


def _general(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [(name, str(facts[name])) for name in ("name", "licence", "digest", "unit")]
    rows += [(name.replace("_", " "), str(count)) for name, count in facts["counts"].items()]
    rows.append(("landmarks", f"{facts['landmarks']} of 68"))
    for axis, (low, high) in facts["extent_mm"].items():
        rows.append((f"extent {axis}", f"{low:.1f} to {high:.1f} mm"))
    rows += [(name, f"{length:.1f} mm") for name, length in facts["lengths_mm"].items()]
    low, high = facts["mean_albedo"]
    rows.append(("mean albedo", f"{low:.3f} to {high:.3f}"))
    regions = ", ".join(f"{name} {count}" for name, count in facts["region_vertices"].items())
    return [*rows, ("region vertices", regions)]


def _modes(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What one standard deviation of the first modes moves, and of all modes together."""
    rows = []
    for kind, modes in facts["modes_mm"].items():
        if modes["rms"]:
            values = " ".join(f"{value:.2f}" for value in modes["rms"][:_MODES_LISTED])
            shown = f"first {_MODES_LISTED}" if len(modes["rms"]) > _MODES_LISTED else "each"
            rows.append((f"{kind} std", f"{modes['together']:.2f} mm RMS, all modes together"))
            rows.append((f"{kind} modes", f"{shown}: {values} mm RMS"))
            rows.append(("", f"farthest vertex {max(modes['largest']):.2f} mm"))
    return rows


def _is_drawn_here(picture: Path) -> bool:
    """Whether `_draw` wrote a file: by its mark."""
    from PIL import Image

    try:
        with Image.open(picture, formats=["PNG"]) as opened:
            return opened.info.get("Software") == _MARK
    except (OSError, ValueError):
        return False


def _draw(model: MorphableModel, out: Path, modes: int) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from ...errors import FacebenchError
    from ...recon.export.sheet import model_sheet
    from ...recon.files.writing import atomic_write

    picture, facts = Image.fromarray(model_sheet(model, modes)), PngInfo()
    facts.add_text("Software", _MARK)
    try:
        with atomic_write(out) as draft:
            picture.save(draft, format="PNG", pnginfo=facts)
    except OSError as error:
        raise FacebenchError(
            f"{out}: cannot write the picture ({error.strerror})",
            "give --picture FILE.png, or --no-picture",
        ) from error
    click.echo(f"picture: {out}", err=True)
