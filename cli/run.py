"""`facebench run`, `micc`: a dataset measured, to the table in mm; `plan`: what that would cost."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import FacebenchError, count_of, one_line
from ..recon.files.stores import shown
from ._options import (
    NOTHING_SCORED,
    UnitType,
    checkpoint,
    command_line,
    given_options,
    measured_part,
    measured_run,
    model,
    options_file,
    plain_options,
    protocol,
)
from ._tables import facts_table, print_answer, print_json, print_table

if TYPE_CHECKING:
    from ..distributed.benchmark import Benchmark
    from ..distributed.plan import RunRequest
    from ..results.run.folder import RunFolder, RunRecord
    from ..results.tables.series import Series

_SHOWN_REASONS = 20
_FOLDER = click.Path(path_type=Path)

_AS_GIVEN = (
    *("data", "method", "checkpoint", "model", "limit", "workers", "protocol", "settings"),
    *("unit", "prediction_unit", "seed", "detector", "tracking"),
)
"""Options that a request takes as they are, where a command has them."""


@click.command("run")
@click.argument("dataset")
@click.argument("folders", nargs=-1, type=_FOLDER, metavar="[PREDICTIONS DATA]")
@click.option("--data", "--scans", "data", type=_FOLDER, help="Folder of the dataset.")
@click.option(
    "--predictions",
    type=_FOLDER,
    help="Meshes that are there already, as with --method meshes:DIR.",
)
@click.option("--method", help="A name of 'facebench methods', or meshes:DIR.  [default: ours]")
@measured_run
@click.option(
    "--prediction-unit",
    type=UnitType(takes_any=True),
    help="Of the predictions' files; 'any': their landmarks tell the size.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, help="Of the bootstrap behind the intervals."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@options_file
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Measure a method on DATASET, one of 'facebench datasets'.

    Faces that the method makes of videos, or meshes that are there already (--predictions DIR, or
    a second folder), are measured against scans of the same people. OUT keeps everything, and the
    same command continues an interrupted run; meshes that have changed are measured again. What
    cannot be read or scored becomes a row with a reason, and the rest is kept. Exit code 3 when
    nothing could be scored.

    'compare', 'gate', 'report', 'ui' and 'audit --run' take OUT whatever the dataset.

    \b
    Examples:
      facebench run micc --data MICC --method ours --exclude published --out runs/ours
      facebench run now --predictions theirs --scans NoW_Dataset --protocol now --out runs/now
      facebench run pairs predictions scans --out runs/pairs
      facebench run synthetic --data people --method mean-face --out runs/mean
    """
    predictions, data = _folders(options)
    request = request_of(
        options,
        dataset=options["dataset"],
        data=data,
        method=_method(options["method"], predictions),
        scenes=scenes_of(context, options["scenes"]),
    )
    measure_set(context, request)


def request_of(options: Mapping[str, Any], **other: Any) -> RunRequest:
    """What the options of a command ask for; what is given as `other` wins.

    Raises:
        FacebenchError: the folder of the data holds none of it.
    """
    plain = {name: options[name] for name in _AS_GIVEN if name in options}
    lists = {name: names_in(options[name]) for name in ("scenes", "subjects", "exclude")}
    asked = {**plain, **lists, **other}
    # Of predictions that are files the method tells the names. Others: before PyTorch is imported.
    if asked["data"].is_dir() and not str(asked.get("method", "")).startswith("meshes:"):
        from ..bench.dataset.registry import open_dataset

        name, root = asked.get("dataset", "micc"), asked["data"].absolute()
        parts = {key: asked[key] for key in lists}
        asked["listed"] = open_dataset(name, root, hashed=False, **parts)

    from ..distributed.plan import RunRequest

    return RunRequest(**asked)


def measure_set(context: click.Context, request: RunRequest) -> None:
    """Measure what a command asks for, keep it in its `--out`, publish and show it.

    The command has the options `--out`, `--json` and perhaps `--cluster` and `--name`.

    Raises:
        FacebenchError: something that was asked for cannot be used.
        click.exceptions.Exit: nothing was scored.
    """
    from ..bench.dataset.registry import dataset_card
    from ..distributed.plan import prepare
    from ..results.run.folder import RunFolder

    # The cheap mistakes first: a name, a folder, then what takes seconds to load.
    card = dataset_card(request.dataset)
    if not request.data.is_dir():
        raise FacebenchError(f"{request.data}: no such folder", card.layout)
    folder, benchmark = RunFolder(context.params["out"]), prepare(request)
    with folder.locked() as damaged:
        for line in damaged:
            click.echo(line, err=True)
        try:
            record = _measure(context, folder, benchmark, request)
        except KeyboardInterrupt:
            again = command_line(context)
            click.echo(f"\nInterrupted; what is done is kept. Continue with:\n  {again}", err=True)
            raise
        # Of a hundred thousand subjects the list of their files is half a gigabyte.
        del benchmark
        # Still locked: the page reads what another command would be changing.
        _publish(folder, record)
    _show(folder, record, context.params["as_json"])
    # After everything is shown: the reasons are what such a run is good for.
    if not record.n_scored:
        raise click.exceptions.Exit(NOTHING_SCORED)


def names_in(text: str) -> tuple[str, ...]:
    """Names that are separated by commas."""
    # `a, b` in quotes is meant as `a,b`; a blank inside of a name belongs to it.
    return tuple(filter(None, map(str.strip, text.split(","))))


def scenes_of(context: click.Context, text: str) -> tuple[str, ...]:
    """The scenes given by --scenes; without any, the dataset's own."""
    # The option's default is MICC's own scenes, which another dataset lacks.
    given = context.get_parameter_source("scenes") is not click.core.ParameterSource.DEFAULT
    return names_in(text) if given else ()


def workers_for(needed: bool, cluster: bool) -> Any:
    """Ray, where it is worth its start."""
    if not (cluster or needed):
        return nullcontext()
    from ..distributed.cluster import ray_connection

    return ray_connection(cluster)


@click.command("micc")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the set.")
@click.option(
    "--method",
    default="ours",
    help="A name of 'facebench methods', or meshes:DIR for faces that are files already.",
)
@measured_run
@click.option("--prediction-unit", type=UnitType(), default="mm", help="Of the files in DIR.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, help="Of the bootstrap behind the intervals."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@options_file
@click.pass_context
def micc(context: click.Context, /, **options: Any) -> None:
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


def _folders(options: dict[str, Any]) -> tuple[Path | None, Path]:
    """Predictions, or None, and data: as options or as two folders behind the dataset."""
    folders: tuple[Path, ...] = options["folders"]
    predictions, data = options["predictions"], options["data"]
    if len(folders) > 2 or (folders and (predictions or data)):
        raise click.UsageError("give PREDICTIONS DATA, or --predictions DIR and --data DIR")
    # One folder alone is the data: a method that reads photographs has no predictions.
    if len(folders) == 1:
        data = folders[0]
    elif folders:
        predictions, data = folders
    if data is None:
        raise click.UsageError("give the folder of the dataset: --data DIR")
    return predictions, data


def _method(method: str | None, predictions: Path | None) -> str:
    if predictions is None:
        return method or "ours"
    if method is not None:
        raise click.UsageError("--predictions and --method are two ways to say the same")
    return f"meshes:{predictions}"


def _measure(
    context: click.Context, folder: RunFolder, benchmark: Benchmark, request: RunRequest
) -> RunRecord:
    from ..distributed.benchmark import item_jobs, run_benchmark, unfinished_tasks
    from ..distributed.plan import describe_run
    from ..results.tracking.store import connect
    from ._progress import benchmark_progress

    given, arguments = given_options(context), plain_options(context)
    # The record before any work: from here on the same command continues.
    folder.begin(describe_run(benchmark, request, command_line(context), given, arguments))
    # Now and not at the end: a store that cannot be written is reported before hours of work.
    connect(request.dataset)
    n_clips = len(unfinished_tasks(benchmark.clips, folder.ledger))
    n_jobs = benchmark.passes * len(item_jobs(benchmark.dataset.items))
    with (
        workers_for(benchmark.needs_workers, context.params.get("cluster", False)),
        benchmark_progress(n_clips, n_jobs, context.params["as_json"]) as listen,
    ):
        run_benchmark(benchmark, folder, listen)
    return folder.record()


def _publish(folder: RunFolder, record: RunRecord) -> None:
    from ..results.report import write_report
    from ..results.tracking.benchmark import track_run

    write_report(folder)
    # After the page, which is one of the files that MLflow keeps.
    track_run(folder, record.label)


def _show(folder: RunFolder, record: RunRecord, as_json: bool) -> None:
    if as_json:
        print_answer((folder.root / "summary.json").read_text(encoding="utf-8").strip() + "\n")
        return
    from ..results.tables.scenes import scene_rows
    from ..results.tables.series import read_series
    from ..results.tables.writers import terminal_text

    (run,) = read_series([folder])
    for line in _reasons(run):
        click.echo(line, err=True)
    click.echo(terminal_text([scene_rows([run]).table()]), nl=False)
    click.echo(f"{shown(folder.root)}: {record.n_scored} scored, {record.n_unscored} not")


def _reasons(run: Series) -> list[str]:
    """What was left out or is doubtful, one line each."""
    from ..results.run.items import item_names

    lines = [one_line(f"{problem.where}: {problem.reason}") for problem in run.record.problems]
    for name, row in zip(item_names(run.subjects), run.subjects.itertuples(), strict=True):
        said = str(row.reason or row.note)
        # An id holds the scene already; a subject's name alone does not say which.
        where = name if name == row.item else f"{name}, {row.scene}"
        lines += [one_line(f"{where}: {said}")] if said else []
    hidden = len(lines) - _SHOWN_REASONS
    # Thousands of reasons would push the table off the screen.
    more = (
        [f"… and {hidden} more, see {shown(run.run.root / 'items.parquet')}"] if hidden > 0 else []
    )
    return lines[:_SHOWN_REASONS] + more


@click.command("plan")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--dataset", default="micc", help="A name of 'facebench datasets'.")
@click.option("--method", default="ours", help="A name of 'facebench methods'.")
@checkpoint
@model
@measured_part
@protocol
@click.option("--unit", type=UnitType(), default="mm", help="Of the scans' files.")
@click.option("--cores", type=click.IntRange(1), help="Of the cluster.  [default: those here]")
@click.option("--gpus", type=click.IntRange(0), default=0, help="Of the cluster.")
@click.option(
    "--seconds", type=click.FloatRange(1.0), default=60.0, help="How long the sample may take."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@options_file
@click.pass_context
def plan(context: click.Context, /, **options: Any) -> None:
    """Say what 'facebench run' would cost on the folder DATA: time, cores, memory, disk, rows.

    A sample of the real job is done on one core: the first chunks of clips from all over the set
    are read and encoded, some subjects measured; nothing of it is kept. The rest follows from the
    files' headers. The error is two standard errors of the sample. With --gpus the network is taken
    off the cores, and what it costs on a GPU is left out.

    \b
    Examples:
      facebench plan MICC --method ours
      facebench plan MICC --cores 64 --tracking --exclude published
      facebench plan people --dataset synthetic --method mean-face --json
    """
    if options["workers"] or options["cluster"]:
        raise click.UsageError("the sample is done by this process alone; give --cores, --gpus.")
    from threadpoolctl import threadpool_limits

    from ..distributed.cost import forecast, measure_sample
    from ..distributed.plan import prepare
    from .doctor import available_cores

    request = request_of(
        options,
        data=options["data"],
        dataset=options["dataset"],
        scenes=scenes_of(context, options["scenes"]),
    )
    benchmark = prepare(request)
    cores = options["cores"] or available_cores()
    # As workers compute: one thread each.
    with threadpool_limits(1):
        sample = measure_sample(benchmark, options["seconds"])
    foretold = forecast(benchmark, sample, cores, options["gpus"])
    if options["as_json"]:
        print_json(foretold)
    else:
        print_table(facts_table(_forecast_table(foretold)))


def _forecast_table(foretold: dict[str, Any]) -> list[tuple[str, ...]]:
    stages, error = foretold["stages"], foretold["error"]
    sampled = foretold["sampled"]
    rows = f"{count_of(foretold['items'], 'item')}, {count_of(foretold['chunks'], 'chunk')}"
    rows += f" of {count_of(foretold['frames'], 'frame')}"
    where = count_of(foretold["cores"], "core")
    where += f", {count_of(foretold['gpus'], 'GPU')}" * bool(foretold["gpus"])
    unsure = (
        "too little was seen to say how sure"
        if error is None
        else f"\N{PLUS-MINUS SIGN} {error:.0%}"
    )
    parts = [(f"  {stage}", _duration(seconds)) for stage, seconds in stages.items() if seconds]
    return [
        ("time", f"{_duration(foretold['seconds'])} on {where} ({unsure})"),
        ("  start", f"{_duration(foretold['start_seconds'])}"),
        ("work of one core", f"{_duration(foretold['core_seconds'])}"),
        *parts,
        ("memory", f"{foretold['memory_bytes'] / 1e9:.1f} GB over all machines"),
        ("disk", f"{foretold['disk_bytes'] / 1e6:,.1f} MB"),
        ("rows", rows),
        ("bottleneck", f"{foretold['bottleneck']}: {foretold['advice']}"),
        ("seen", f"{count_of(sampled['frames'], 'frame')}, {count_of(sampled['items'], 'item')}"),
    ]


def _duration(seconds: float) -> str:
    for length, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
