"""`facebench prepare`: photographs to training shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import count_of
from ..recon.files.stores import shown
from . import _options
from ._options import options_file
from ._tables import print_json, print_table

if TYPE_CHECKING:
    from ..distributed.prepare import PreparationJob
    from ..recon.preparation.folder import Part


@click.command("prepare")
@click.argument("photographs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder."
)
@_options.detector
@click.option(
    "--landmarks",
    default="best",
    metavar="NAME|FILE",
    help="Landmark network: 'embedded', 'face-api-68', 'fan' (face-alignment), a weights file, or "
    "'none'; 'best' is the best that is here, see 'facebench weights'.",
)
@click.option(
    "--parser",
    metavar="NAME|FILE",
    help="Parsing network: 'embedded', a weights file, or 'none'.  [default: embedded, if there]",
)
@click.option("--image-size", type=click.IntRange(32), default=224)
@click.option("--all-faces", is_flag=True, help="Keep every face of a photograph.")
@click.option(
    "--folders-are-subjects", is_flag=True, help="The folder of a photograph names its person."
)
@click.option(
    "--mask-order",
    type=click.Choice(["bisenet", "celebamask-hq"]),
    default="bisenet",
    help="Order of the classes in mask files.",
)
@click.option(
    "--face-px",
    type=click.FloatRange(0),
    default=64.0,
    help="Smallest face: longer side of its landmarks' box, px.",
)
@click.option(
    "--sharpness",
    type=click.FloatRange(0),
    default=20.0,
    help="Least sharpness; 0 keeps blurred faces.",
)
@click.option(
    "--duplicates",
    "radius",
    type=click.IntRange(-1, 32),
    default=6,
    help="Faces whose 64-bit hashes differ in at most so many bits are duplicates; -1 keeps all.",
)
@click.option("--limit", type=click.IntRange(1), help="At most this many photographs.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that run the networks.  [default: one per GPU or CPU]",
)
@click.option("--cluster", is_flag=True, help="Use a running Ray cluster.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@options_file
def command(**options: Any) -> int:
    """Turn PHOTOGRAPHS into training shards: framed faces, 68 landmarks, masks.

    PHOTOGRAPHS are folders (with all below them), .zip and .tar archives, or single files. Beside
    NAME.jpg may lie NAME.pts (iBUG) or NAME.txt with its landmarks and NAME_mask.png with its
    classes; they replace the networks. OUT gets faces-*.parquet, which 'facebench train' reads,
    dropped.parquet with everything left out and why, and summary.json. The same command continues
    after an interruption and takes in photographs that were added. The exit code is 1 when no
    face was kept.

    \b
    Examples:
      facebench prepare CelebA/img_celeba --out shards --landmarks fan --parser 79999_iter.pth
      facebench prepare photographs/ more.tar --out shards --all-faces --workers 4
      facebench prepare labelled/ --out shards --landmarks none --parser none --limit 100
    """
    from ..distributed.prepare import PreparationJob
    from ..recon.preparation.candidates import PreparationSettings
    from ..recon.preparation.labelling import NetworkChoice, default_parser
    from ..recon.preparation.listing import list_photographs
    from ..recon.weights.catalogue import resolve_choice

    out, as_json = options["out"], options["as_json"]
    of_faces = ("face_px", "sharpness", "image_size", "all_faces", "mask_order")
    job = PreparationJob(
        listing=list_photographs(options["photographs"]).first(options["limit"]),
        out=out,
        settings=PreparationSettings(**{name: options[name] for name in of_faces}),
        # Resolved here: the folder's plan must name what labelled its faces, not a default.
        networks=NetworkChoice(
            resolve_choice("landmarks", options["landmarks"]),
            options["parser"] or default_parser(),
            resolve_choice("detector", options["detector"]),
        ),
        radius=options["radius"],
        folders_are_subjects=options["folders_are_subjects"],
        workers=options["workers"],
    )
    try:
        summary = _prepare(job, options["cluster"], quiet=as_json)
    except KeyboardInterrupt:
        click.echo("Interrupted; what is done is kept, the same command continues.", err=True)
        raise
    _print(summary, out, as_json)
    # Photographs without any face are an answer, not an error of usage.
    return 0 if summary["faces"] else 1


def _prepare(job: PreparationJob, cluster: bool, quiet: bool) -> dict[str, Any]:
    """Counted on a bar; the summary."""
    from ..distributed.prepare import prepare
    from ._progress import progress_bar

    with progress_bar("photographs", len(job.listing.photographs), quiet=quiet) as advance:
        faces = 0

        def begin(total: int, done: int) -> None:
            advance(total=total, completed=done)

        def count(part: Part) -> None:
            nonlocal faces
            # In the note and not the bar: the number of faces is not known before.
            faces += part.faces
            advance(part.photographs, note=count_of(faces, "face"))

        return prepare(job, cluster, begin, count)


def _print(summary: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        print_json({"out": shown(out), **summary})
        return
    from rich.table import Table

    table = Table("left out because", "number", box=None)
    table.columns[1].justify = "right"
    for reason, number in summary["dropped"].items():
        table.add_row(reason, f"{number:,}")
    if summary["dropped"]:
        print_table(table)
    shards = len(summary["shards"])
    faces, photographs = summary["faces"], summary["photographs"]
    told = f"{count_of(faces, 'face')} of {count_of(photographs, 'photograph')}"
    click.echo(f"{told} in {count_of(shards, 'shard')}: {shown(out)}")
    # On the error stream: what scripts read stays the one line above.
    for note in _notes(summary, out):
        click.echo(note, err=True)


def _notes(summary: dict[str, Any], out: Path) -> Iterator[str]:
    if summary["without_mask"]:
        yield (
            f"Without a mask: {summary['without_mask']:,}. Training counts all that the model "
            "covers as skin there, occluders too; --parser FILE and another --out give masks."
        )
    if summary["lost"]:
        yield f"Lost with their worker: {summary['lost']:,}. The same command tries them again."
    if sum(summary["dropped"].values()):
        yield f"Everything left out, with its reason: {shown(out / 'dropped.parquet')}"
