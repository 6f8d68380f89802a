"""`facebench reconstruct`: photographs and videos to meshes, overlays and coefficients."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..bench.photographs import Source
    from ..bench.portraits import Portrait, Studio

FORMATS = ("obj", "ply", "glb")


def parse_formats(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    """Names out of a comma-separated list."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in value.split(",")))
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise click.BadParameter(f"no format '{unknown[0]}'; known are {', '.join(FORMATS)}")
    return names


@click.command(name="reconstruct")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder."
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Weights of 'facebench train'.  [default: those in the package]",
)
@click.option(
    "--model",
    default="embedded",
    show_default=True,
    help="The face model of the weights: 'embedded', an .npz, or ICT-FaceKit's folder.",
)
@click.option(
    "--formats",
    default=",".join(FORMATS),
    show_default=True,
    callback=parse_formats,
    help="Mesh files to write.",
)
@click.option("--limit", type=click.IntRange(1), help="At most this many photographs and videos.")
@click.option("--frames", type=click.IntRange(1), help="At most this many frames of a video.")
@click.option("--device", default="cpu", show_default=True, help="As PyTorch names it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    sources: tuple[Path, ...],
    out: Path,
    checkpoint: Path | None,
    model: str,
    formats: tuple[str, ...],
    limit: int | None,
    frames: int | None,
    device: str,
    as_json: bool,
) -> int:
    """Reconstruct the face in each photograph or video of SOURCES (files or folders).

    Of each source NAME it writes to --out:

    \b
      NAME.obj .ply .glb  the face, coloured by its albedo. A photograph gives the
                          face with its expression, a video the neutral face of
                          the mean over its frames. OBJ and PLY are in mm, GLB is
                          in metres as glTF demands; the face looks along +z,
                          y is up, x points to the subject's left.
      NAME_overlay.png    photograph, overlay, shape and albedo side by side; of
                          a video, up to six frames
      NAME.json           coefficients; of a photograph also pose (radians and
                          normalised image units), light, face box and 68
                          landmarks in pixels

    A source without a face gets a row with the reason, and the others go on. The exit code is 1
    when nothing could be reconstructed.

    \b
    Examples:
      facebench reconstruct portrait.jpg --out faces
      facebench reconstruct photographs/ talk.mp4 --out faces --formats glb --frames 200
      facebench reconstruct p.jpg --out faces --model bfm.npz --checkpoint train/weights.pt
    """
    from ..bench.photographs import find_sources

    found = find_sources(sources)[:limit]
    studio = _studio(out, checkpoint, model, formats, frames, device)
    portraits = _portray(studio, found, quiet=as_json)
    if as_json:
        rows = [asdict(portrait) for portrait in portraits]
        click.echo(json.dumps({"out": str(out), "portraits": rows}, indent=2))
    else:
        _print(portraits, out)
    return 0 if any(portrait.files for portrait in portraits) else 1


def _studio(
    out: Path,
    checkpoint: Path | None,
    model_source: str,
    formats: tuple[str, ...],
    frames: int | None,
    device: str,
) -> Studio:
    from ..bench.portraits import Studio
    from ..recon.morphable.load import load_model
    from ..recon.network.checkpoint import embedded_weights, load_regressor
    from ..recon.reconstruct import Reconstructor
    from ..recon.vision.detect import CascadeDetector

    model = load_model(model_source)
    loaded = load_regressor(checkpoint or embedded_weights(), model)
    facts = {
        "unit": "mm",
        "model": model.name,
        "model_digest": model.digest,
        "checkpoint_digest": loaded.digest,
    }
    reconstructor = Reconstructor(model, loaded.regressor, device)
    return Studio(reconstructor, CascadeDetector(), out, formats, facts, frames)


def _portray(studio: Studio, sources: Sequence[Source], quiet: bool) -> list[Portrait]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        steps = progress.track(sources, description="reconstructing")
        return [studio.portray(source) for source in steps]


def _print(portraits: Sequence[Portrait], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("source", "faces / frames", "files", "remark", box=None)
    for portrait in portraits:
        faces = f"{portrait.faces} / {portrait.frames}"
        table.add_row(portrait.source, faces, " ".join(portrait.files), portrait.reason)
    console = Console(highlight=False)
    console.print(table)
    done = sum(bool(portrait.files) for portrait in portraits)
    console.print(f"{done} of {len(portraits)} reconstructed into {out}")
