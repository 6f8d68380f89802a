"""`facebench export`: the trained network for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import trained_network
from ._tables import print_json


@click.command(name="export")
@click.option(
    "--onnx",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The ONNX file to write.",
)
@trained_network
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(path: Path, checkpoint: Path | None, model: str, as_json: bool) -> int:
    """Write the network that regresses a face's coefficients from a square crop.

    The file takes RGB crops (batch, 3, S, S) in [0, 1] and gives the coefficients (batch, N). Its
    metadata name the recipe, the face model's digest and where each coefficient stands. It is run
    by onnxruntime and compared with PyTorch before it is kept. Needs the packages of
    'pip install facebench[onnx]'.

    \b
    Examples:
      facebench export --onnx face.onnx
      facebench export --onnx face.onnx --checkpoint train/weights.pt --model bfm.npz
    """
    from ..recon.morphable.load import load_model
    from ..recon.regressors.checkpoint import embedded_weights, load_regressor
    from ..recon.regressors.onnx import export_onnx

    face_model = load_model(model)
    loaded = load_regressor(checkpoint or embedded_weights(), face_model)
    # What is told is what was measured: the file is run before it is kept.
    difference, metadata = export_onnx(loaded, face_model, path)
    size = path.stat().st_size
    if as_json:
        table = {"file": str(path), "bytes": size, "difference": difference}
        print_json({**table, "metadata": metadata})
    else:
        click.echo(f"{path}: {size / 1e6:.1f} MB, differs from PyTorch by {difference:.1e}")
    return 0
