"""`facebench reconstruct`: photographs and videos to meshes, textures, pictures, coefficients."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import count_of
from . import _options
from ._options import options_file
from ._tables import print_json, print_table

if TYPE_CHECKING:
    from ..recon.portraits.results import ResultLedger, SourceResult
    from ..recon.portraits.source_reconstructor import SourceReconstructor
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
@_options.photograph_method
@_options.detector
@_options.landmarks
@click.option(
    "--formats", default=",".join(FORMATS), callback=parse_formats, help="Mesh files to write."
)
@click.option(
    "--texture-size",
    type=click.IntRange(64, 8192),
    default=1024,
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
    help="Photographs that go through the network together.",
)
@click.option("--redo", is_flag=True, help="Reconstruct again what is there already.")
@click.option("--device", default="cpu", help="As PyTorch names it.")
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

    Folders are searched with everything below them. Of each source NAME it writes to --out:

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

    The face model 'human' is fitted to each photograph, unless --method, --model or --checkpoint
    say otherwise. Further faces of a photograph (--all-faces) are called NAME_face2, NAME_face3 ...
    A box file NAME.boxes.csv beside a source is taken instead of the detector. NAME.json says which
    networks were used. A source without a face gets a row with the reason, and the others go on.
    The same command again keeps what is there and goes on. The exit code is 1 when nothing could be
    reconstructed.

    \b
    Examples:
      facebench reconstruct portrait.jpg --out faces
      facebench reconstruct photographs/ talk.mp4 --out faces --formats glb --frames 200
      facebench reconstruct group.jpg --out faces --all-faces
      facebench reconstruct me.jpg --out faces --detector mtcnn --landmarks face-api-68
      facebench reconstruct p.jpg --out faces --model bfm.npz --checkpoint train/weights.pt
      facebench reconstruct p.jpg --out faces --method ours
    """
    from ..recon.files.writing import lock_folder
    from ..recon.portraits.sources import find_sources

    # Else the sheets and overlays of an earlier command would be reconstructed too.
    found = find_sources(sources, leave_out=out)[:limit]
    reconstructor = _reconstructor(out, options)
    ledger = _ledger(reconstructor, options, redo)
    start = time.perf_counter()
    with lock_folder(out, "reconstruct", ("portraits.jsonl",), sources):
        results = _reconstruct(reconstructor, found, ledger, quiet=as_json)
    seconds = time.perf_counter() - start
    if as_json:
        print_json(_table(results, out, seconds))
    else:
        _print(results, out, seconds)
    # No face in any of them is an answer, not an error of usage.
    return 0 if any(result.files for result in results) else 1


def _reconstructor(out: Path, options: dict[str, Any]) -> SourceReconstructor:
    from ..recon.face.coefficients import Origin
    from ..recon.morphable.load import load_model
    from ..recon.portraits.reconstructor import choose_method, make_reconstructor
    from ..recon.portraits.results import FaceFiles, SheetRenderer
    from ..recon.portraits.source_reconstructor import SourceReconstructor
    from ..recon.vision.detect import make_detector
    from ..recon.weights.catalogue import choice_identity, resolve_choice

    asked = (options[name] for name in ("method", "model", "checkpoint", "landmarks"))
    choice, device = choose_method(*asked), options["device"]
    finder = resolve_choice("detector", options["detector"])
    model = load_model(choice.model)
    reconstructor, name, digest = make_reconstructor(model, choice, device, options["texture_size"])
    networks = choice_identity("detector", finder), choice_identity("landmarks", choice.landmarks)
    origin = Origin(model.name, model.digest, name, digest, *networks)
    return SourceReconstructor(
        reconstructor,
        SheetRenderer(model, device),
        make_detector(finder, device, tilted=True),
        FaceFiles(out, options["formats"], origin),
        all_faces=options["all_faces"],
        batch=options["batch"],
        frames=options["frames"],
        smoothing=not options["no_smoothing"],
        frame_meshes=options["frames_meshes"],
    )


def _ledger(
    reconstructor: SourceReconstructor, options: dict[str, Any], redo: bool
) -> ResultLedger:
    """What is there counts when it was made by the same weights with the same options."""
    from ..recon.fitting.refinement import REFINING
    from ..recon.portraits.results import ResultLedger

    settings = options | asdict(reconstructor.files.origin) | {"refining": REFINING}
    # Of weights and model the digests count, whatever their files are called and wherever they
    # lie, and of a method its name, given or not.
    for name in ("batch", "device", "checkpoint", "model", "method"):
        del settings[name]
    return ResultLedger(reconstructor.files.out, settings, forget=redo)


def _reconstruct(
    reconstructor: SourceReconstructor,
    sources: Sequence[Source],
    ledger: ResultLedger,
    quiet: bool,
) -> list[SourceResult]:
    """Faces in the order of the sources; the work begins with what is there already."""
    from ._progress import count_on_bar

    steps = reconstructor.reconstruct_all(sources, ledger)
    done = count_on_bar(steps, "reconstructing", len(sources), quiet)
    # The finished ones come first, which is no order that a reader knows.
    order = {source.name: number for number, source in enumerate(sources)}
    return sorted(done, key=lambda result: order[result.name])


def _new_faces(results: Sequence[SourceResult]) -> int:
    """Faces reconstructed now: those that were there already would flatter the speed."""
    return sum(result.faces for result in results if not result.kept)


def _table(results: Sequence[SourceResult], out: Path, seconds: float) -> dict[str, Any]:
    faces = _new_faces(results)
    return {
        "out": str(out),
        "portraits": [asdict(result) for result in results],
        "faces": faces,
        "seconds": round(seconds, 3),
        "faces_per_second": round(faces / seconds, 3) if seconds else 0.0,
    }


def _print(results: Sequence[SourceResult], out: Path, seconds: float) -> None:
    from rich.table import Table

    from ..errors import one_line

    table = Table(box=None)
    for heading in ("source", "faces / frames", "files", "remark"):
        table.add_column(heading, overflow="fold")  # a path is not to be cut
    for result in results:
        faces = f"{result.faces} / {result.frames}"
        remark = result.reason or ("there already" if result.kept else "")
        row = (result.source, faces, f"{len(result.files)}", remark)
        # A file's name may hold a line break, which would tear the row.
        table.add_row(*map(one_line, row))
    print_table(table)
    done = sum(bool(result.files) for result in results)
    click.echo(f"{done} of {len(results)} reconstructed into {out}")
    if new := _new_faces(results):
        click.echo(f"{count_of(new, 'face')} in {seconds:.1f} s: {new / seconds:.2f} faces/s")
