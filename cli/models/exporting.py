"""`facebench models export`: write a model that is made by code."""

from __future__ import annotations

from pathlib import Path

import click

from .saving import OUT_NPZ, save


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
@click.option("--seed", default=0, show_default=True, help="Varies the modes; 0 is the embedded.")
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
