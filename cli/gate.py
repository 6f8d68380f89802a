"""`facebench gate`: a run checked against rules, to hold up a pull request that breaks one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import FacebenchError, count_of
from ..recon.files.stores import address_of
from ._tables import print_json

if TYPE_CHECKING:
    from ..results.gate.baseline import Baseline
    from ..results.gate.rules import Rule
    from ..results.gate.verdict import Verdict
    from ..results.run.folder import RunFolder

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(name="gate")
@click.argument("run")
@click.option("--rules", type=_FILE, metavar="FILE.toml", help="The rules.")
@click.option("--baseline", metavar="RUN|FILE.json", help="What the run is compared with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@click.option("--junit", type=_FILE, metavar="FILE.xml", help="Write a JUnit report.")
@click.option(
    "--summary",
    type=_FILE,
    metavar="FILE.md",
    help=f"Write Markdown.  [default: append to ${STEP_SUMMARY}, where that is set]",
)
@click.option("--update-baseline", is_flag=True, help="Write RUN's errors to the baseline file.")
def command(
    run: str,
    rules: Path | None,
    baseline: str | None,
    as_json: bool,
    junit: Path | None,
    summary: Path | None,
    update_baseline: bool,
) -> None:
    """Check RUN, a folder or an MLflow run's id, against rules.

    Exit code 0: every rule is kept. 1: one is not. 2: wrong usage or input. 3: it could not be
    evaluated: a scene or subjects are missing, a number is NaN, too little was covered, the
    files of the run or the baseline contradict each other, the baseline was measured by another
    protocol or on other data, or no rule is for this run. What was not measured never passes.

    A rule is a table of the TOML file. Each may be bound to runs by methods, protocols and
    datasets = ["…"]; all but [[speed]] to scenes.

    \b
      [[limit]]              # a number of the summary, by default mean_mm
      max_mm = 1.5
      [[regression]]         # fails when the mean difference to the baseline, subject by
      tolerance_mm = 0.02    # subject, is above this beyond chance (p of 'facebench compare')
      [[coverage]]           # without it: all subjects
      subjects = 0.95
      faces = 0.8
      [[completeness]]       # share of the scans that is covered; without it: 0.8 and 0.5
      mean = 0.9
      each = 0.7             # of every single subject
      [[speed]]              # frames per second, over the baseline's
      min_ratio = 0.8
      [[paper]]              # warns
      tolerance_mm = 0.1

    \b
    Examples:
      facebench gate runs/ours --rules gates.toml --baseline baseline.json
      facebench gate runs/ours --rules gates.toml --baseline runs/main --junit gate.xml
      facebench gate runs/ours --baseline baseline.json --update-baseline
    """
    if update_baseline:
        _update(run, baseline)
        return
    if rules is None:
        raise click.UsageError("give --rules FILE.toml, or --update-baseline")
    from ..results.tracking.run import open_runs

    with open_runs([run]) as (folder,):
        verdict = _verdict(folder, rules, baseline)
    # Before the exit code ends the command: a failing job needs its reports most.
    _write_reports(verdict, junit, summary)
    _show(verdict, as_json)
    if verdict.exit_code:
        raise click.exceptions.Exit(verdict.exit_code)


def _verdict(folder: RunFolder, rules: Path, baseline: str | None) -> Verdict:
    from ..results.gate.evaluate import evaluate, not_measured
    from ..results.gate.rules import read_rules
    from ..results.tables.basis import command_of, refuse_unfinished

    # The rules first: a mistake in them is one of usage, whatever the run is like.
    wanted: tuple[Rule, ...] = read_rules(rules)
    against = _baseline(baseline, folder) if baseline else None
    record = folder.record()
    # An unfinished run is an answer, code 3, which holds a pull request up; so it must not raise.
    if not record.finished:
        return not_measured(wanted, folder, f"the run is unfinished: {command_of(folder)}")
    refuse_unfinished(folder)
    return evaluate(wanted, folder, against)


def _baseline(place: str, judged: RunFolder) -> Baseline:
    """The baseline of a file, or of a run other than the one that is judged."""
    from ..results.gate.baseline import Baseline
    from ..results.tables.basis import refuse_unfinished
    from ..results.tracking.run import open_runs

    # By its ending too: a missing file is reported as a file, not looked for as a run.
    if place.endswith(".json") or Path(place).is_file():
        return Baseline.read(Path(place))
    with open_runs([place]) as (run,):
        if run.root.resolve() == judged.root.resolve():
            # It would pass whatever became of the method.
            raise FacebenchError(f"{place} is both RUN and --baseline", "give another run")
        refuse_unfinished(run)
        return Baseline.of_run(run)


def _update(run: str, baseline: str | None) -> None:
    # A run's folder may be a baseline to read, never one to write over.
    if baseline is None or not baseline.endswith(".json"):
        raise click.UsageError("--update-baseline needs --baseline FILE.json")
    if address_of(baseline):
        raise click.UsageError("--update-baseline writes a FILE.json of this machine")
    from ..results.gate.baseline import update_baseline
    from ..results.tables.basis import refuse_unfinished
    from ..results.tracking.run import open_runs

    with open_runs([run]) as (folder,):
        refuse_unfinished(folder)
        kept = update_baseline(folder, Path(baseline))
    subjects = len({name for column in kept.errors_mm.values() for name in column})
    click.echo(f"{baseline}: {count_of(subjects, 'subject')} in {', '.join(kept.errors_mm)}")


def _write_reports(verdict: Verdict, junit: Path | None, summary: Path | None) -> None:
    from ..recon.files.text import write_text
    from ..results.gate.verdict import verdict_junit, verdict_markdown

    # Set by GitHub's runners; elsewhere nothing is appended to anything.
    job = os.environ.get(STEP_SUMMARY)
    try:
        if junit is not None:
            write_text(junit, verdict_junit(verdict))
        if summary is not None:
            write_text(summary, verdict_markdown(verdict))
        elif job:
            # Other steps of the job write to it too.
            with Path(job).open("a", encoding="utf-8") as file:
                file.write(f"{verdict_markdown(verdict)}\n")
    except OSError as error:
        raise FacebenchError(f"{error.filename} cannot be written: {error.strerror}") from error


def _show(verdict: Verdict, as_json: bool) -> None:
    from ..results.gate.verdict import verdict_table, verdict_values
    from ..results.tables.writers import terminal_text

    if as_json:
        print_json(verdict_values(verdict))
    else:
        click.echo(terminal_text([verdict_table(verdict)]), nl=False)
