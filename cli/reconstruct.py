"""`facebench reconstruct`: photographs and videos to meshes, textures, pictures, coefficients."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._options import options_file
from ._progress import counted

if TYPE_CHECKING:
    from ..recon.portraits.photographs import SourceReconstructor
    from ..recon.portraits.results import ResultLedger, SourceResult
    from ..recon.portraits.sources import Source

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
@click.option(
    "--texture-size",
    type=click.IntRange(64, 8192),
    default=1024,
    show_default=True,
    help="Side of the texture in pixels.",
)
@click.option("--all-faces", is_flag=True, help="Every face of a photograph, not only one.")
@click.option("--no-smoothing", is_flag=True, help="Keep a video's frames as they were found.")
@click.option("--frames-meshes", is_flag=True, help="A PLY of every frame of a video.")
@click.option("--limit", type=click.IntRange(1), help="At most this many photographs and videos.")
@click.option("--frames", type=click.IntRange(1), help="At most this many frames of a video.")
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="Photographs that go through the network together.",
)
@click.option("--redo", is_flag=True, help="Reconstruct again what is there already.")
@click.option("--device", default="cpu", show_default=True, help="As PyTorch names it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@options_file
def command(
    sources: tuple[Path, ...],
    out: Path,
    redo: bool,
    limit: int | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Reconstruct the faces in the photographs and videos of SOURCES (files or folders).

    Folders are searched with all below them. Of each source NAME it writes to --out:

    \b
      NAME.obj .mtl _texture.png
      NAME.ply  NAME.glb  the face. A photograph gives the face with its
                          expression, a video the neutral face of the mean over
                          its frames. OBJ and PLY are in mm, GLB is in metres;
                          the face looks along +z, y is up, x points to the
                          subject's left. The texture comes from the photograph
                          where it shows the face, from the model elsewhere; PLY
                          has the model's albedo at its vertices
      NAME_sheet.png      photograph, overlay, shape, albedo and side views
      NAME.json           coefficients, pose, light, box and landmarks, with a
                          schema (docs/reconstruct.md)
      NAME_frames.parquet the same of every frame of a video
      NAME_overlay.mp4    a video with the face drawn over it

    Further faces of a photograph (--all-faces) are called NAME_face2, NAME_face3 ... A box file
    NAME.boxes.csv beside a source is taken instead of the detector. A source without a face gets a
    row with the reason, and the others go on. The same command again keeps what is there and
    goes on. The exit code is 1 when nothing could be reconstructed.

    \b
    Examples:
      facebench reconstruct portrait.jpg --out faces
      facebench reconstruct photographs/ talk.mp4 --out faces --formats glb --frames 200
      facebench reconstruct group.jpg --out faces --all-faces
      facebench reconstruct p.jpg --out faces --model bfm.npz --checkpoint train/weights.pt
    """
    from ..recon.files.writing import lock_folder
    from ..recon.portraits.sources import find_sources

    found = find_sources(sources, leave_out=out)[:limit]
    wanted = Wanted(**options)
    studio = _studio(out, wanted)
    ledger = _ledger(studio, wanted, redo)
    start = time.perf_counter()
    with lock_folder(out, "reconstruct", ("portraits.jsonl",), sources):
        portraits = _portray(studio, found, ledger, quiet=as_json)
    speed = Speed.of(portraits, time.perf_counter() - start)
    if as_json:
        click.echo(json.dumps(_table(portraits, out, speed), indent=2))
    else:
        _print(portraits, out, speed)
    return 0 if any(portrait.files for portrait in portraits) else 1


@dataclass(frozen=True)
class Wanted:
    """The options that decide what is written; see the command."""

    checkpoint: Path | None
    model: str
    formats: tuple[str, ...]
    texture_size: int
    all_faces: bool
    no_smoothing: bool
    frames_meshes: bool
    frames: int | None
    batch: int
    device: str


@dataclass(frozen=True)
class Speed:
    """Faces reconstructed in this run, and how long they took from first read to last written."""

    faces: int
    seconds: float

    @classmethod
    def of(cls, portraits: Sequence[SourceResult], seconds: float) -> Speed:
        """Without those that were there already."""
        return cls(sum(portrait.faces for portrait in portraits if not portrait.kept), seconds)

    @property
    def faces_per_second(self) -> float:
        """0 where nothing was done."""
        return self.faces / self.seconds if self.seconds else 0.0


def _studio(out: Path, wanted: Wanted) -> SourceReconstructor:
    from ..recon.face.coefficient_files import Origin
    from ..recon.morphable.load import load_model
    from ..recon.portraits.photographs import ReconstructionSettings, SourceReconstructor
    from ..recon.portraits.reconstructor import Reconstructor
    from ..recon.portraits.results import FaceFiles
    from ..recon.portraits.sheet import SheetRenderer
    from ..recon.portraits.video import VideoSettings
    from ..recon.regressors.checkpoint import embedded_weights, load_regressor
    from ..recon.vision.detect import CascadeDetector

    model = load_model(wanted.model)
    loaded = load_regressor(wanted.checkpoint or embedded_weights(), model)
    origin = Origin(model.name, model.digest, loaded.recipe.name, loaded.digest)
    video = VideoSettings(wanted.frames, not wanted.no_smoothing, wanted.frames_meshes)
    return SourceReconstructor(
        Reconstructor(model, loaded.regressor, wanted.device, wanted.texture_size),
        SheetRenderer(model, wanted.device),
        CascadeDetector(),
        FaceFiles(out, wanted.formats, origin),
        ReconstructionSettings(wanted.all_faces, wanted.batch, video),
    )


def _ledger(studio: SourceReconstructor, wanted: Wanted, redo: bool) -> ResultLedger:
    """What is there counts when it was made by the same weights with the same options."""
    from ..recon.portraits.results import ResultLedger

    options = asdict(wanted) | asdict(studio.files.origin)
    del options["batch"], options["device"], options["checkpoint"], options["model"]
    return ResultLedger(studio.files.out, options, forget=redo)


def _portray(
    studio: SourceReconstructor, sources: Sequence[Source], ledger: ResultLedger, quiet: bool
) -> list[SourceResult]:
    """In the order of the sources; the work begins with what is there already."""
    steps = studio.portray_all(sources, ledger)
    done = counted(steps, "reconstructing", len(sources), quiet)
    order = {source.name: number for number, source in enumerate(sources)}
    return sorted(done, key=lambda portrait: order[portrait.name])


def _table(portraits: Sequence[SourceResult], out: Path, speed: Speed) -> dict[str, Any]:
    return {
        "out": str(out),
        "portraits": [asdict(portrait) for portrait in portraits],
        "faces": speed.faces,
        "seconds": round(speed.seconds, 3),
        "faces_per_second": round(speed.faces_per_second, 3),
    }


def _print(portraits: Sequence[SourceResult], out: Path, speed: Speed) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..errors import one_line

    table = Table("source", "faces / frames", "files", "remark", box=None)
    for portrait in portraits:
        faces = f"{portrait.faces} / {portrait.frames}"
        remark = portrait.reason or ("there already" if portrait.kept else "")
        row = (portrait.source, faces, f"{len(portrait.files)}", remark)
        table.add_row(*map(one_line, row))
    console = Console(highlight=False, markup=False)
    console.print(table)
    done = sum(bool(portrait.files) for portrait in portraits)
    console.print(f"{done} of {len(portraits)} reconstructed into {out}")
    if speed.faces:
        rate = f"{speed.faces_per_second:.2f} faces/s"
        console.print(f"{speed.faces} faces in {speed.seconds:.1f} s: {rate}")
