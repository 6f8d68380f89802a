"""`facebench micc`: the benchmark on MICC's layout; `facebench run micc` under its own name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._options import UnitType, measured_run, options_file
from .run import measure_set, request_of


@click.command("micc")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the set.")
@click.option(
    "--method",
    default="ours",
    show_default=True,
    help="A name of 'facebench methods', or meshes:DIR for faces that are files already.",
)
@measured_run
@click.option(
    "--prediction-unit",
    type=UnitType(),
    default="mm",
    show_default=True,
    help="Of the files in DIR.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@options_file
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Measure a method on a folder in MICC's layout.

    Every frame of every video is reconstructed; a subject's faces are averaged, registered to the
    scan and measured. OUT keeps everything, and the same command continues an interrupted run. What
    cannot be read or scored becomes a row with a reason, and the rest is kept. Exit code 3 when
    nothing could be scored.

    With --method meshes:DIR no video is read: DIR/SUBJECT/SCENE.obj (.ply, .npz …) or
    DIR/SUBJECT.obj is the face, of any topology. DIR/landmarks.txt may name its 68 landmark
    vertices, SCENE.txt beside a mesh its landmark points.

    --set changes the protocol, and the table names it with its digest. reduction.average=errors
    measures the face of every frame, so it costs one measurement a frame instead of one a clip,
    and keeps every face's vector: bound it with --limit. alignment.scale=global measures
    everything twice: each face with its own scale, then all with the geometric mean of those.
    reduction.expression=predicted keeps the expression; reduction.scan=best_of_two or each
    measures on every frontal scan.

    \b
    Examples:
      facebench micc --data data --out runs/ours
      facebench micc --data data --method mean-face --out runs/mean --scenes cooperative
      facebench micc --data MICC --model bfm.npz --checkpoint weights.pt --out runs/bfm \\
        --exclude subject_30 --set crop.radius_mm=80
      facebench micc --data MICC --method meshes:theirs --prediction-unit cm --out runs/theirs
      facebench micc --options nightly.toml --out runs/tonight
    """
    measure_set(context, request_of(options))
