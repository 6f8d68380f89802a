"""`facebench synth`: training faces, or a dataset in MICC's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._options import options_file
from ._tables import print_json

_MODEL = click.option(
    "--model",
    default="embedded",
    help="'embedded', 'human', an .npz, or ICT-FaceKit's FaceXModel folder.",
)
_OUT = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="New folder."
)
_SEED = click.option("--seed", default=0, help="Decides everything drawn.")
_WORKERS = click.option(
    "--workers", type=click.IntRange(1), help="Processes.  [default: as many as the work is worth]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")


@click.group()
def command() -> None:
    """Synthesise people from a face model, with their truth.

    \b
    Examples:
      facebench synth faces --out faces --subjects 1000 --frames 4 --image-size 112
      facebench synth micc --out data --subjects 8 --frames 40 --seed 1
    """


@command.command()
@_MODEL
@_OUT
@click.option("--subjects", type=click.IntRange(1), default=500)
@click.option("--frames", type=click.IntRange(1), default=4, help="Faces of each subject.")
@click.option("--image-size", type=click.IntRange(32), default=224)
@_SEED
@_WORKERS
@_JSON
@options_file
def faces(out: Path, workers: int | None, as_json: bool, **options: Any) -> None:
    """Training faces as Parquet shards: picture, landmarks, mask, true coefficients.

    Finished shards are kept: the same command continues after an interruption.

    \b
    Examples:
      facebench synth faces --out faces --subjects 1000 --frames 4 --image-size 112 --seed 1
      facebench synth faces --model bfm.npz --out faces --workers 8
    """
    from ..recon.morphable.load import load_model
    from ..recon.synthetic.shards import FacesPlan, write_faces
    from ._progress import progress_bar

    # Kept in the plan: a file of this name may hold another model by the next command.
    plan = FacesPlan(model_digest=load_model(options["model"]).digest, **options)
    with progress_bar("faces", plan.n_faces, quiet=as_json) as advance:
        paths = write_faces(plan, out, workers or _default_workers(plan.n_faces, 200), advance)
    _report(as_json, out, {"faces": plan.n_faces, "shards": [path.name for path in paths]})


@command.command()
@_MODEL
@_OUT
@click.option("--subjects", type=click.IntRange(1, 99), default=8)
@click.option("--frames", type=click.IntRange(1), default=40, help="Frames of each video.")
@click.option(
    "--scenes", default="cooperative,indoor,outdoor", help="Which videos, separated by commas."
)
@click.option("--boxes", is_flag=True, help="Write the true face boxes beside each video.")
@_SEED
@_WORKERS
@_JSON
@options_file
def micc(out: Path, scenes: str, workers: int | None, as_json: bool, **options: Any) -> None:
    """A dataset in MICC's layout: scans in mm and three videos of each subject.

    The truth is kept beside it in OUT-truth. Finished subjects are kept: the same command continues
    after an interruption.

    \b
    Examples:
      facebench synth micc --out data --subjects 8 --frames 40 --seed 1
      facebench synth micc --model bfm.npz --out data --scenes cooperative --boxes
    """
    chosen = _chosen_scenes(scenes)
    from ..bench.synthetic.write import MiccPlan, write_micc
    from ..recon.morphable.load import load_model
    from ._progress import progress_bar

    digest = load_model(options["model"]).digest
    plan = MiccPlan(model_digest=digest, scenes=chosen, **options)
    subjects = plan.subjects
    with progress_bar("subjects", subjects, quiet=as_json) as advance:
        write_micc(plan, out, workers or _default_workers(subjects, 2), advance)
    # As planned, not as made now: after an interruption most were there already.
    clips = subjects * len(chosen)
    _report(as_json, out, {"subjects": subjects, "videos": clips, "frames": clips * plan.frames})


def _chosen_scenes(text: str) -> tuple[str, ...]:
    from ..bench.datasets.micc import CARD

    known = CARD.scenes
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise click.BadParameter(
            f"unknown scene '{', '.join(unknown)}'; known are {', '.join(known)}",
            param_hint="--scenes",
        )
    # In the set's order, so that the same scenes in another order continue the same set.
    return tuple(scene for scene in known if scene in names)


def _default_workers(items: int, per_worker: int) -> int:
    """Processes that pay for their start: one for every `per_worker` items, at most one a CPU."""
    import os

    # A process imports PyTorch and builds the model first: seconds, many times a small job.
    return max(1, min(os.cpu_count() or 1, items // per_worker))


def _report(as_json: bool, out: Path, facts: dict[str, object]) -> None:
    if as_json:
        print_json({"out": str(out), **facts})
        return
    counts = {name: len(v) if isinstance(v, list) else v for name, v in facts.items()}
    told = (f"{n} {name.removesuffix('s') if n == 1 else name}" for name, n in counts.items())
    click.echo(f"{out}: {', '.join(told)}")
