"""`facebench models`: what `--model` takes, and where each face model comes from."""

from __future__ import annotations

import json

import click

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
        "import surrey",
        "Surrey, own licence",
        "eos' sfm_shape_3448.bin, expression_blendshapes_3448.bin, ibug_to_sfm.txt",
    ),
)
"""What `--model` takes, or what makes it an `.npz` first; what it is, what it needs."""


@click.group(name="models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List what --model takes; show, import and export face models.

    \b
    Examples:
      facebench models
      facebench models show embedded --picture embedded.png
      facebench models import basel-2009 01_MorphableModel.mat --side-files BFM --out bfm.npz
      facebench models import ict ICT-FaceKit/FaceXModel --out ict.npz
      facebench models export embedded --vertices 35000 --seed 0 --out face35k.npz
    """
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    from ...recon.morphable.load import EMBEDDED, load_model
    from ...recon.morphable.measures import mode_counts

    model = load_model(EMBEDDED)
    embedded = {
        "vertices": model.n_vertices,
        "triangles": len(model.triangles),
        **{f"{kind}_modes": count for kind, count in mode_counts(model).items()},
    }
    if as_json:
        kinds = [dict(zip(("model", "what", "needs"), kind, strict=True)) for kind in KINDS]
        click.echo(json.dumps({"embedded": embedded, "kinds": kinds}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("--model", "what", "needs", box=None)
    for kind in KINDS:
        table.add_row(*kind)
    Console(markup=False).print(table)
    shown = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in embedded.items())
    click.echo(f"\nembedded: {shown}")
