"""`facebench demo` and `table1`: several commands as one, each step as a user would type it."""

from __future__ import annotations

import shlex
import time
import webbrowser
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import FacebenchError, some, with_addresses
from ..recon.files.stores import shown
from ._options import NOTHING_SCORED, command_line, measured_part, model, options_file, protocol
from .main import run_step, try_step
from .run import request_of, workers_for

if TYPE_CHECKING:
    from ..distributed.plan import RunRequest
    from ..distributed.table_plan import Entry

METHODS = ("ours", "mean-face", "fitting", "mofa", "genova", "tran", "richardson")
"""Those of the paper, with the baseline that every table should show."""

FORMS = ("table", "markdown", "latex", "csv", "json")


@click.command(name="demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"))
@click.option("--subjects", default=12, help="Subjects to measure.")
@click.option("--frames", default=12, help="Frames of each video.")
@click.option("--faces", default=1200, help="Training photographs.")
@click.option("--steps", default=150, help="Training steps from scratch.")
@click.option("--seed", default=7)
@click.option("--open", "opened", is_flag=True, help="Show the report in a browser at the end.")
def demo(
    out: Path, subjects: int, frames: int, faces: int, steps: int, seed: int, opened: bool
) -> None:
    """Synthesise, train, measure, compare and report, on this machine and without any download.

    Trains `ours` from scratch for a short while, then measures three methods on subjects that no
    network has seen: the mean face, the network of those few steps, and the embedded checkpoint.

    \b
    Examples:
      facebench demo --open
      facebench demo --out /tmp/demo --subjects 4 --frames 8 --steps 50
    """
    from ..recon.files.writing import lock_folder

    start = time.monotonic()
    # Two demos in one folder would train into each other's files.
    with lock_folder(out, "demo", ("micc-truth/plan.json",)):
        for arguments in demo_commands(out, subjects, frames, faces, steps, seed):
            run_step(arguments)
    _print_result(out)
    click.echo(f"\nDone in {(time.monotonic() - start) / 60:.1f} minutes.")
    report = out / "ours" / "report.html"
    click.echo(f"Look at {report} and {out / 'training' / 'fits.png'}.")
    if opened:
        show_page(report)


def show_page(page: Path) -> None:
    """Open a page in the user's browser; say so where there is none."""
    if not webbrowser.open(page.resolve().as_uri()):
        click.echo(f"No browser was found: open {page} yourself.", err=True)


def demo_commands(
    out: Path, subjects: int, frames: int, faces: int, steps: int, seed: int
) -> list[list[str]]:
    """The commands of the demo, in order, without the leading `facebench`."""
    data, shards, training = str(out / "micc"), str(out / "faces"), str(out / "training")
    # Of the training below; the embedded weights are what "ours" has without a checkpoint.
    short = str(out / "training" / "weights.pt")

    def micc(name: str, *method: str) -> list[str]:
        # Not the best that is here: the table is to be the same on every machine.
        finder = ["--detector", "embedded"]
        return ["micc", "--data", data, *method, *finder, "--out", str(out / name)]

    seeded = ["--seed", str(seed)]
    people = ["--subjects", str(subjects), "--frames", str(frames)]
    photographs = ["--subjects", str(faces), "--frames", "1", "--image-size", "112"]
    # The recipe adds the pixels after most of its steps; in so few they must act at once.
    recipe = ["--recipe", "ours-embedded", "--set", "loss.pixel_from=0.0", "--steps", str(steps)]
    # Another number of threads adds up in another order: numbers would depend on the machine.
    threads = ["--threads", "2"]
    short_run = ["--checkpoint", short, "--name", f"ours, {steps} steps"]
    return [
        ["synth", "micc", "--out", data, *people, *seeded],
        ["synth", "faces", "--out", shards, *photographs, *seeded],
        ["train", "--data", shards, *recipe, "--out", training, *seeded, *threads],
        micc("mean-face", "--method", "mean-face"),
        micc("ours-short", "--method", "ours", *short_run),
        micc("ours", "--method", "ours"),
        # The first run's page; the others stand beside it.
        ["report", *(str(out / name) for name in ("ours", "ours-short", "mean-face"))],
    ]


def _print_result(out: Path) -> None:
    from ..results.compare import compare, comparison_text
    from ..results.run.folder import RunFolder

    runs = [RunFolder(out / name) for name in ("mean-face", "ours-short", "ours")]
    click.echo(comparison_text(compare(runs), "table"), nl=False)


@click.command(name="table1")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the set.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder."
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=METHODS,
    metavar="NAME[=WEIGHTS][ as LABEL]",
    help="Once per method; the others are compared with the first.",
)
@model
@click.option(
    "--train",
    type=click.Path(path_type=Path),
    metavar="SHARDS",
    help="Train each method that has a recipe and is given no weights, on these photographs.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    metavar="METHOD=RECIPE",
    help="What a method is trained by.  [default: the recipe of its name]",
)
@click.option("--steps", type=click.IntRange(1), help="Of each training, instead of the recipe's.")
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="MINUTES",
    help="Of each training, with the fits that it learns from, instead of steps.",
)
@measured_part
@protocol
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option(
    "--side-by-side",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Methods that are trained or measured at a time, each in a process of its own.",
)
@click.option(
    "--all-pairs", is_flag=True, help="Compare every two methods, not each with the first."
)
@click.option("--no-published", is_flag=True, help="Leave out the literature's rows.")
@click.option(
    "--format", "form", type=click.Choice(FORMS), default="table", help="What is printed."
)
@options_file
@click.pass_context
def table1(context: click.Context, /, **options: Any) -> None:
    """Train and measure every method, and print the paper's Table 1.

    Each method gets a run folder OUT/LABEL, as 'facebench micc' writes it. What is finished is
    kept: the same command continues after an interruption, and trains and measures only what is
    missing, so that methods can be added later. A step that fails costs its method's row, not the
    others. Weights come from NAME=WEIGHTS, from --train, or with the method.

    The table has the mean error and its standard deviation in each scene with the 95 % interval
    over subjects, subjects scored and faces found, processor seconds a face and training minutes;
    the published rows stand below and are marked. The differences from the first method are paired
    over subjects, p-values corrected for all of them (Holm); more pairs make each harder to show.
    OUT/table1.md, .tex, .csv and .json hold the same.

    \b
    Examples:
      facebench table1 --data data --out table --method ours --method mean-face --method fitting
      facebench table1 --data MICC --model bfm.npz --train shards --budget 60 --out table
      facebench table1 --data MICC --model bfm.npz --out table --method ours=a/weights.pt \\
        --method "ours=b/weights.pt as no identity term" --method meshes:theirs
      facebench table1 --options table.toml --format latex
    """
    from ..recon.files.writing import lock_folder

    try:
        # The steps lock the folders below by themselves, as they do when a user types them.
        with lock_folder(options["out"], "table1", ("table1.*", "*/run.json", "training/*/*")):
            entries, request = _plan(options)
            # One connection for all steps; and who starts several asks how many there is room for.
            with workers_for(False, options["cluster"]):
                trained = _train(entries, options)
                rows = _measure(trained, request, options)
            if rows:
                _show_table(rows, request, options)
            _check_rows(entries, rows)
    except (KeyboardInterrupt, click.Abort):
        again = command_line(context)
        click.echo(f"\nInterrupted; what is done is kept. Continue with:\n  {again}", err=True)
        raise


def _plan(options: dict[str, Any]) -> tuple[tuple[Entry, ...], RunRequest]:
    """Every mistake in the options is reported here, before anything long starts."""
    if options["steps"] and options["budget"]:
        raise click.UsageError("--steps and --budget both say how long: give one")
    from ..bench.method.registry import method_choices
    from ..distributed.table_plan import entries, ready
    from ..recon.recipes.files import load_any_recipe

    request = request_of(options)
    choices = method_choices(options["methods"])
    planned = entries(choices, options["out"], bool(options["train"]), _recipes(options["recipes"]))
    for entry in planned:
        # Its weights are not there yet: of these the recipe is all that can be checked.
        if entry.awaits_training:
            load_any_recipe(entry.recipe)
        else:
            ready(entry, request)
    return planned, request


def _recipes(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, sign, recipe in pairs:
        if not (name and sign and recipe):
            raise click.BadParameter(f"'{name}{sign}{recipe}': write METHOD=RECIPE")
    return {name: recipe for name, _, recipe in pairs}


def _train(entries: Sequence[Entry], options: dict[str, Any]) -> list[Entry]:
    """Train what has no weights yet; those that have some then."""
    missing = [entry for entry in entries if entry.awaits_training]
    # So many minutes of this machine would be fewer beside others; on a cluster each has a worker.
    alone = options["budget"] and not options["cluster"]
    most = 1 if alone else _room(options, len(missing))[0]
    done = _steps([_training_words(entry, options) for entry in missing], most)
    failed = [entry for entry, well in zip(missing, done, strict=True) if not well]
    return [entry for entry in entries if entry not in failed]


def _room(options: dict[str, Any], steps: int) -> tuple[int, int | None]:
    """How many steps run side by side, and the workers of each."""
    most, workers = min(options["side_by_side"], steps), options["workers"]
    if most <= 1:
        return most, workers
    from ..distributed.cluster import is_connected
    from ..distributed.frames import one_actor_each

    if not is_connected():
        return most, workers
    # A stream leaves half of the processors to its readers: together they must ask for no more
    # than one alone would, or each would wait for what the others hold.
    all_workers = one_actor_each()
    most = min(most, all_workers)
    return most, max(1, min(workers or all_workers, all_workers) // most)


def _steps(steps: Sequence[list[str]], most: int, allowed: Sequence[int] = (0,)) -> list[bool]:
    """Which steps went well; one that fails says why, and the others go on."""
    if most <= 1:
        return [try_step(words, allowed) for words in steps]
    from ..distributed.cluster import environment_of_steps
    from ..processes import commands_beside
    from ._progress import count_on_bar

    # Each finds what is in a store by its address, and holds its own folder there.
    commands = [[with_addresses(word) for word in words] for words in steps]
    well = [False] * len(steps)
    with closing(commands_beside(commands, most, environment_of_steps())) as ended:
        for place, status, printed in count_on_bar(ended, "steps", len(steps), False):
            click.secho(f"\n$ facebench {shlex.join(commands[place])}", bold=True, err=True)
            killed = f"facebench: killed by signal {-status}" if status < 0 else ""
            click.echo(f"{printed.rstrip()}\n{killed}".rstrip(), err=True)
            well[place] = status in allowed
    return well


def _training_words(entry: Entry, options: dict[str, Any]) -> list[str]:
    words = ["train", "--data", str(options["train"]), "--recipe", entry.recipe]
    words += ["--model", options["model"], "--out", str(entry.training)]
    # Words as a user would type them: the step is printed, and can be run alone.
    for name, value in ("steps", "steps"), ("minutes", "budget"), ("seed", "seed"):
        words += _option_words(f"--{name}", options[value])
    return words + (["--cluster"] if options["cluster"] else [])


def _measure(entries: Sequence[Entry], request: RunRequest, options: dict[str, Any]) -> list[Entry]:
    """Measure what is missing; those that then have a row."""
    from ..distributed.table_plan import is_finished, is_measured, ready

    missing, needed = [], False
    for entry in entries:
        # Again, now that every method has its weights; the first missing one is reported at once.
        benchmark = ready(entry, request)
        if not is_measured(entry, benchmark, request):
            missing.append(entry)
            needed = needed or benchmark.needs_workers
    if not missing:
        return list(entries)
    # One start of Ray for all methods: each step finds it running.
    with workers_for(needed, options["cluster"]):
        most, workers = _room(options, len(missing))
        words = [_measuring_words(entry, options | {"workers": workers}) for entry in missing]
        # A method that scores nothing is a row of the table, and no end of the others.
        done = _steps(words, most, (0, NOTHING_SCORED))
    pairs = zip(missing, done, strict=True)
    failed = [entry for entry, well in pairs if not (well and is_finished(entry))]
    return [entry for entry in entries if entry not in failed]


def _check_rows(entries: Sequence[Entry], rows: Sequence[Entry]) -> None:
    """Raises a FacebenchError where a method has no row: its step failed, and said why."""
    lost = [entry.choice.label for entry in entries if entry not in rows]
    if lost:
        raise FacebenchError(
            f"the table has no row for {some(lost)}: the cause stands above",
            "the same command does only what is missing",
        )


def _measuring_words(entry: Entry, options: dict[str, Any]) -> list[str]:
    words = ["micc", "--data", str(options["data"]), "--method", entry.choice.name]
    words += _option_words("--checkpoint", entry.checkpoint)
    words += ["--model", options["model"], "--out", str(entry.run), "--name", entry.choice.label]
    for name in ("scenes", "subjects", "exclude", "limit", "detector", "workers", "protocol"):
        words += _option_words(f"--{name}", options[name])
    words += _option_words("--seed", options["seed"])
    words += ["--tracking"] if options["tracking"] else []
    words += [word for item in options["settings"] for word in ("--set", item)]
    return words + (["--cluster"] if options["cluster"] else [])


def _option_words(name: str, value: object) -> list[str]:
    return [] if value is None or value == "" else [name, str(value)]


def _show_table(entries: Sequence[Entry], request: RunRequest, options: dict[str, Any]) -> None:
    from ..distributed.table_plan import cost_of
    from ..results.compare import comparison_text
    from ..results.compare.tables import table1, write_table1
    from ..results.run.folder import RunFolder

    costs = {entry.choice.label: cost_of(entry, request) for entry in entries}
    comparison = table1(
        [RunFolder(entry.run) for entry in entries],
        costs,
        all_pairs=options["all_pairs"],
        published=not options["no_published"],
    )
    for path in write_table1(comparison, costs, options["out"]):
        click.echo(shown(path), err=True)
    click.echo(comparison_text(comparison, options["form"], costs), nl=False)
