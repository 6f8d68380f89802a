"""`facebench models show`: what a face model holds, in numbers and in a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ...recon.morphable.model import MorphableModel

_MODES_LISTED = 10


@click.command()
@click.argument("model")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A PNG of the mean face and the first modes at ±3 standard deviations.  "
    "[default: beside MODEL; none for 'embedded']",
)
@click.option("--no-picture", is_flag=True, help="Draw nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(model: str, picture: Path | None, no_picture: bool, as_json: bool) -> None:
    """Show the counts, ranges, modes (mm), landmarks, regions, licence and digest of MODEL.

    \b
    Examples:
      facebench models show embedded --picture embedded.png
      facebench models show bfm.npz
      facebench models show ict.npz --json --no-picture
    """
    from ...recon.morphable.facts import model_facts
    from ...recon.morphable.load import EMBEDDED, load_model

    loaded = load_model(model)
    facts = model_facts(loaded)
    if picture is None and model != EMBEDDED:
        picture = Path(model).with_suffix(".png")
    if picture is not None and not no_picture:
        _draw(loaded, picture)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (*_general(facts), *_modes(facts)):
        table.add_row(name, value)
    Console(highlight=False, markup=False).print(table)


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


def _draw(model: MorphableModel, out: Path) -> None:
    from PIL import Image

    from ...errors import FacebenchError
    from ...recon.export.model_sheet import model_sheet
    from ...recon.files.replace import replacing

    picture = Image.fromarray(model_sheet(model))
    try:
        with replacing(out) as draft:
            picture.save(draft, format="PNG")
    except OSError as error:
        raise FacebenchError(
            f"{out}: cannot write the picture ({error.strerror})",
            "give --picture FILE.png, or --no-picture",
        ) from error
    click.echo(f"picture: {out}", err=True)
