"""`facebench plan`: what a run will cost, foretold from a minute of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._options import UnitType, checkpoint, measured_part, model, options_file, protocol
from ._tables import facts_table, print_json, print_table


@click.command("plan")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--dataset", default="micc", help="A name of 'datasets'.")
@click.option("--method", default="ours", help="A name of 'methods'.")
@checkpoint
@model
@measured_part
@protocol
@click.option("--unit", type=UnitType(), default="mm", help="Of the scans' files.")
@click.option("--cores", type=click.IntRange(1), help="Of the cluster.  [default: those here]")
@click.option("--gpus", type=click.IntRange(0), default=0, help="Of the cluster.")
@click.option("--seconds", type=click.FloatRange(1.0), default=60.0, help="Do the job for so long.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@options_file
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
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
    from threadpoolctl import threadpool_limits

    from ..distributed.cost import foretell, measure_sample
    from ..distributed.plan import prepare
    from .doctor import available_cores
    from .run import request_of, scenes_of

    if options["workers"] or options["cluster"]:
        raise click.UsageError("the sample is done by this process alone; give --cores, --gpus.")
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
    foretold = foretell(benchmark, sample, cores, options["gpus"])
    if options["as_json"]:
        print_json(foretold)
    else:
        print_table(facts_table(_lines(foretold)))


def _lines(foretold: dict[str, Any]) -> list[tuple[str, ...]]:
    stages, error = foretold["stages"], foretold["error"]
    sampled = foretold["sampled"]
    rows = f"{foretold['items']:,} items, {foretold['chunks']:,} chunks"
    rows += f" of {foretold['frames']:,} frames"
    where = f"{foretold['cores']} cores" + f", {foretold['gpus']} GPUs" * bool(foretold["gpus"])
    unsure = (
        "too little was seen to say how sure"
        if error is None
        else f"\N{PLUS-MINUS SIGN} {error:.0%}"
    )
    parts = [(f"  {stage}", _time(seconds)) for stage, seconds in stages.items() if seconds]
    return [
        ("time", f"{_time(foretold['seconds'])} on {where} ({unsure})"),
        ("  start", f"{_time(foretold['start_seconds'])}"),
        ("work of one core", f"{_time(foretold['core_seconds'])}"),
        *parts,
        ("memory", f"{foretold['memory_bytes'] / 1e9:.1f} GB over all machines"),
        ("disk", f"{foretold['disk_bytes'] / 1e6:,.1f} MB"),
        ("rows", rows),
        ("bottleneck", f"{foretold['bottleneck']}: {foretold['advice']}"),
        ("seen", f"{sampled['frames']:,} frames, {sampled['items']:,} items"),
    ]


def _time(seconds: float) -> str:
    for length, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
