"""`facebench train` and `export`: regressors and networks for photographs; their ONNX file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..errors import FacebenchError, count_of
from ..recon.files.stores import address_of, shown
from ._options import options_file, trained_network
from ._tables import print_json

if TYPE_CHECKING:
    from ..recon.recipes.files import AnyRecipe
    from ..recon.training.run import TrainingJob

EMBEDDED = "embedded"


@click.command("train")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of shards.")
@click.option("--recipe", default="ours", show_default=True, help="A recipe's name or TOML file.")
@click.option("--model", default=EMBEDDED, show_default=True, help="Face model, a name or a file.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to train in.")
@click.option(
    "--steps", type=click.IntRange(1), help="Steps to train for, instead of the recipe's."
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Train for so long: as many steps as fit, instead of the recipe's.",
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--least-workers",
    type=click.IntRange(1),
    help="Go on with as few as these when machines are lost.",
)
@click.option("--cluster", is_flag=True, help="Use a running Ray cluster.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--validation", type=click.Path(path_type=Path), help="Shards of faces held out.")
@click.option(
    "--threads",
    type=click.IntRange(0),
    default=0,
    show_default=False,
    help="PyTorch threads per worker.",
)
@click.option("--limit", type=click.IntRange(1), help="Use this many photographs at most.")
@click.option(
    "--start",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="WEIGHTS",
    help=f"Weights of the same network to begin with, for fine-tuning, or '{EMBEDDED}'.",
)
@click.option("--resume", is_flag=True, help="Go on; refuse where there is nothing to go on from.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@options_file
def command(**options: Any) -> None:
    """Train a regressor on photographs with landmarks and masks, no 3D labels.

    The other methods that 'ours' is compared with: mofa and genova use no labels either, tran first
    fits a face to every photograph (kept in OUT/labels), richardson needs faces of 'facebench synth
    faces', whose coefficients are known.

    With the recipes landmarker, parser and recogniser: the networks that photographs are prepared
    with. A parser also learns from CelebAMask-HQ's own folder; a recogniser needs several faces of
    each subject.

    The folder OUT holds checkpoint.pt, the log and, at the end, weights.pt and fits.png. The same
    command resumes from the newest checkpoint, with --resume or without; a finished training says
    so.

    \b
    Examples:
      facebench train --data faces --recipe ours-embedded --out training
      facebench train --data faces --recipe ours --model bfm.npz --out training --workers 4
      facebench train --data faces --out try --steps 500 --set optimiser.learning_rate=3e-4
      facebench train --data faces --out training --cluster --workers 8 --least-workers 2
      facebench train --data mine --out tuned --model human --recipe ours-human --start embedded \\
        --minutes 20
      facebench train --data faces --recipe mofa --out mofa --minutes 30
      facebench train --data faces --recipe richardson --out richardson
      facebench train --data faces --recipe tran --out tran --workers 4
      facebench train --data CelebAMask-HQ --recipe parser --out parser
      facebench train --data faces --recipe recogniser-embedded --validation others --out who
    """
    steps, minutes, out = options["steps"], options["minutes"], options["out"]
    if steps and minutes:
        raise click.UsageError("--steps and --minutes both say how long: give one")
    if options["cluster"] and address_of(out):
        # The checkpoint is published by this machine, and its writer may be on another.
        raise FacebenchError(
            f"{out}: a training on a cluster needs a folder that all of its machines see",
            "give such a folder as --out; --data and --validation may be addresses",
        )
    from ..recon.files.publishing import watching
    from ..results.tracking.training import is_kept, keep_training

    job = _job(options)
    workers = _Workers(options["workers"], options["least_workers"], options["cluster"])
    # Two commands in one folder would each overwrite the other's checkpoint.
    with job.folder.locked(), watching(out):
        # Read before anything is fitted or tried: a folder of another recipe or seed is refused.
        if not job.steps_done() and options["resume"]:
            raise FacebenchError(f"no checkpoint in {out}", "leave out --resume to begin there")
        if minutes:
            job = _within(job, minutes, workers)
        done, last = job.steps_done(), job.recipe.training.steps
        # Also where only the last step is missing: weights and pictures are written after it.
        if done < last or not is_kept(job):
            advice = "" if steps or minutes else "Stop it and add --minutes 60 to end in an hour."
            _run(job, done, workers, advice)
            keep_training(job)
        elif not options["as_json"]:
            click.echo(f"{shown(job.out)} is already trained to step {done}; nothing to do.")
    _show(job, options["as_json"])


class _Workers(NamedTuple):
    """The processes that share each batch; see `distributed.train.train`."""

    number: int
    least: int | None
    cluster: bool


def _job(options: dict[str, Any]) -> TrainingJob:
    """The training that the options ask for."""
    from ..recon.recipes.files import load_any_recipe
    from ..recon.training.run import TrainingJob

    steps, start = options["steps"], options["start"]
    # Last, so that --steps wins over a --set of the same.
    changes = [*options["settings"], *([f"training.steps={steps}"] if steps else [])]
    recipe = load_any_recipe(options["recipe"], changes)
    if start == Path(EMBEDDED) and not start.exists():
        start = _embedded(recipe, options["model"])
    as_given = ("data", "model", "out", "seed", "validation", "limit", "threads")
    return TrainingJob(recipe=recipe, start=start, **{name: options[name] for name in as_given})


def _embedded(recipe: AnyRecipe, model: str) -> Path:
    """The package's own weights of a recipe's kind of network."""
    from ..recon.network.vision_weights import embedded_network
    from ..recon.recipes.vision import VisionRecipe
    from ..recon.regressors.checkpoint import embedded_weights

    if isinstance(recipe, VisionRecipe):
        return embedded_network(recipe.kind)
    return embedded_weights(model)


def _within(job: TrainingJob, minutes: float, workers: _Workers) -> TrainingJob:
    """The job with as many steps as the minutes allow."""
    from ..distributed.train import train
    from ..recon.training.run import within_minutes

    _fit_labels(job, workers)
    number, least, cluster = workers
    budget = within_minutes(
        job, minutes, lambda trial: train(trial, number, cluster, lambda row: None, least)
    )
    times = replace(job.recipe.training, steps=budget.steps)
    rate = f"{budget.images_per_s:.3g} photographs/s"
    click.echo(f"{minutes:g} minutes are {count_of(budget.steps, 'step')} at {rate}.", err=True)
    warmup = job.recipe.optimiser.warmup_steps
    if warmup >= budget.steps:
        click.echo(f"The recipe's warm-up alone takes {warmup} steps; little is learned.", err=True)
    return replace(job, recipe=replace(job.recipe, training=times))


def _run(job: TrainingJob, done: int, workers: _Workers, advice: str) -> None:
    from ..distributed.train import train
    from ._progress import training_progress

    times = job.recipe.training
    if done:
        click.echo(f"Resuming {shown(job.out)} from step {done}.", err=True)
    if (left := times.steps - done) > 0:
        click.echo(
            f"{count_of(left, 'step')} of {count_of(times.batch_size, 'photograph')}.", err=True
        )
    # Before hours of training: what a recipe cannot use is no error, and would not be seen.
    _warn(job)
    try:
        # Here and not in `train`, which would fit them too: only here a bar counts them.
        _fit_labels(job, workers)
        with training_progress(done, times.steps, times.batch_size, advice) as listen:
            train(job, workers.number, workers.cluster, listen, workers.least)
    except KeyboardInterrupt:
        click.echo("Interrupted; the same command resumes.", err=True)
        raise


def _fit_labels(job: TrainingJob, workers: _Workers) -> None:
    """Fit the faces that the method learns from, where they are not there yet."""
    from ..distributed.train import fit_labels, labelling_of
    from ._progress import count_on_bar

    if (labelling := labelling_of(job)) and (missing := labelling.missing()):
        parallel = workers.number > 1 or workers.cluster
        fits = fit_labels(labelling, parallel, workers.cluster, job.threads)
        for _ in count_on_bar(fits, "fitting labels, 64 photographs each", len(missing), False):
            pass


def _warn(job: TrainingJob) -> None:
    from ..recon.training.run import lacks_recogniser
    from ..recon.training.shards import rows_without_mask

    if bare := rows_without_mask(job.data):
        click.echo(
            f"Without a mask: {count_of(bare, 'photograph')}. "
            "All that the model covers counts as skin there.",
            err=True,
        )
    if lacks_recogniser(job.recipe):
        click.echo(
            "The identity term is left out: there is no recogniser. "
            "Give one with --set identity.weights=FILE.",
            err=True,
        )


def _show(job: TrainingJob, as_json: bool) -> None:
    result = _result(job)
    if as_json:
        print_json(result)
        return
    click.echo(f"{shown(job.folder.weights)}: {count_of(result['steps'], 'step')}")
    for name, value in result["log"].items():
        click.echo(f"  {name:12s} {value:.4g}")


def _result(job: TrainingJob) -> dict[str, Any]:
    folder = job.folder
    return {
        "weights": shown(folder.weights),
        "steps": job.steps_done(),
        "log": (folder.read(folder.log) or [{}])[-1],
        "validation": (folder.read(folder.validation) or [{}])[-1],
    }


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
def export(path: Path, checkpoint: Path | None, model: str, as_json: bool) -> int:
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
    loaded = load_regressor(checkpoint or embedded_weights(face_model.name), face_model)
    # The printed error is measured: the file is run before it is kept.
    difference, metadata = export_onnx(loaded, face_model, path)
    size = path.stat().st_size
    if as_json:
        table = {"file": str(path), "bytes": size, "difference": difference}
        print_json({**table, "metadata": metadata})
    else:
        click.echo(f"{path}: {size / 1e6:.1f} MB, differs from PyTorch by {difference:.1e}")
    return 0
