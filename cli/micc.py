"""`facebench micc`: the benchmark, from videos and scans to the table in millimetres."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import one_line
from ._options import (
    NOTHING_SCORED,
    command_line,
    given_options,
    measured_part,
    options_file,
    plain_options,
    protocol,
)

if TYPE_CHECKING:
    from ..distributed.benchmark import Benchmark
    from ..distributed.plan import RunRequest
    from ..results.run.folder import RunFolder, RunRecord

EXPERIMENT = "micc"
_NAMES = ("scenes", "subjects", "exclude")
_OTHER = ("out", "name", "cluster", "as_json")
_SHOWN_REASONS = 20
UNIT = click.Choice(["mm", "cm", "m"])


@click.command("micc")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the set.")
@click.option(
    "--method",
    default="ours",
    show_default=True,
    help="A name of 'facebench methods', or meshes:DIR for faces that are files already.",
)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Weights.  [default: embedded]")
@click.option("--model", default="embedded", show_default=True, help="Face model, name or file.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--name", help="What tables call the run.  [default: the method's name]")
@measured_part
@protocol
@click.option("--unit", type=UNIT, default="mm", show_default=True, help="Of the scans' files.")
@click.option(
    "--prediction-unit", type=UNIT, default="mm", show_default=True, help="Of the files in DIR."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@options_file
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Measure a method on a folder in MICC's layout.

    Every frame of every video is reconstructed; a subject's faces are averaged, laid on the scan
    and measured. OUT keeps everything, and the same command continues an interrupted run. What
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
    from ..distributed.plan import prepare
    from ..results.run.folder import RunFolder

    folder, request = RunFolder(options["out"]), _request(options)
    benchmark = prepare(request)
    with folder.locked() as damaged:
        for line in damaged:
            click.echo(line, err=True)
        try:
            record = _run(context, folder, benchmark, request)
        except KeyboardInterrupt:
            again = command_line(context)
            click.echo(f"\nInterrupted; what is done is kept. Continue with:\n  {again}", err=True)
            raise
        _publish(folder, record)
    _show(folder, record, options["as_json"])
    if not record.n_scored:
        raise click.exceptions.Exit(NOTHING_SCORED)


def _run(
    context: click.Context, folder: RunFolder, benchmark: Benchmark, request: RunRequest
) -> RunRecord:
    from ..distributed.benchmark import run_benchmark, unfinished_tasks
    from ..distributed.cluster import connected
    from ..distributed.plan import describe_run
    from ..results.tracking.store import connect
    from ._progress import benchmark_progress

    given, arguments = given_options(context), plain_options(context)
    folder.begin(describe_run(benchmark, request, command_line(context), given, arguments))
    connect(EXPERIMENT)
    n_clips = len(unfinished_tasks(benchmark.clips, folder.ledger))
    n_subjects = benchmark.passes * len(benchmark.dataset.subjects)
    with (
        connected(context.params["cluster"]),
        benchmark_progress(n_clips, n_subjects, context.params["as_json"]) as listen,
    ):
        run_benchmark(benchmark, folder, listen)
    return folder.record()


def _request(options: dict[str, Any]) -> RunRequest:
    from ..distributed.plan import RunRequest

    values = {name: value for name, value in options.items() if name not in _OTHER}
    names = {name: tuple(filter(None, values[name].replace(" ", "").split(","))) for name in _NAMES}
    return RunRequest(**{**values, **names})


def _publish(folder: RunFolder, record: RunRecord) -> None:
    from ..results.report import write_report
    from ..results.tracking.benchmark import track_run

    write_report(folder)
    track_run(folder, str(record.arguments["name"] or record.method))


def _show(folder: RunFolder, record: RunRecord, as_json: bool) -> None:
    if as_json:
        click.echo((folder.root / "summary.json").read_text(encoding="utf-8").strip())
        return
    from ..results.tables.scenes import scene_rows
    from ..results.tables.writers import terminal_text

    for line in _reasons(folder, record):
        click.echo(line, err=True)
    click.echo(terminal_text([scene_rows([folder]).table()]), nl=False)
    click.echo(f"{folder.root}: {record.n_scored} scored, {record.n_unscored} not")


def _reasons(folder: RunFolder, record: RunRecord) -> list[str]:
    """What was left out or is doubtful, one line each."""
    lines = [one_line(f"{problem.where}: {problem.reason}") for problem in record.problems]
    for row in folder.subjects().itertuples():
        said = str(row.reason or row.note)
        lines += [one_line(f"{row.subject}, {row.scene}: {said}")] if said else []
    hidden = len(lines) - _SHOWN_REASONS
    more = [f"… and {hidden} more, see {folder.root / 'subjects.parquet'}"] if hidden > 0 else []
    return lines[:_SHOWN_REASONS] + more
