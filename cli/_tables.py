"""What commands print: tables, JSON, a measured pair with its diagnosis, findings of a check."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from ..errors import Finding, Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from ..bench.scoring.evaluate import Evaluation
    from ..bench.scoring.result import Score

_SIGNS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.WARNING: ("⚠", "yellow"),
    Verdict.FAILED: ("✗", "bold red"),
}
"""Sign and style of a verdict."""
MEASURES = ("point_to_plane", "point_to_surface")
DIRECTIONS = ("scan_to_prediction", "prediction_to_scan", "symmetric")


def print_table(*tables: RenderableType) -> None:
    """Print tables as they are: no name in them is markup of Rich's, or a picture as `:x:` is."""
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(*tables, sep="\n")


_ANSWERS: ContextVar[TextIO | None] = ContextVar("answers", default=None)


@contextmanager
def only_answers() -> Iterator[None]:
    """Meanwhile the output is for `print_answer` alone, so that programs can read it.

    What methods, datasets and libraries print themselves goes to the error stream.
    """
    kept = _ANSWERS.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _ANSWERS.reset(kept)


def print_answer(text: str) -> None:
    """Print what a command was asked for, ending in a new line."""
    click.echo(text, nl=False, file=_ANSWERS.get())


def print_json(value: object) -> None:
    """Print a value of plain types as JSON; a number that is not known becomes null."""
    from ..recon.files.text import json_text

    print_answer(json_text(value))


def facts_table(lines: Iterable[tuple[str, ...]]) -> Table:
    """A row per fact, its name in bold."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for first, *rest in lines:
        table.add_row(Text(first, style="bold"), *map(Text, rest))
    return table


def print_findings(kind: str, name: str, findings: Sequence[Finding], as_json: bool) -> int:
    """Print what a check of a method or dataset found; exit code 1 with any failure, else 0."""
    n_failed = sum(finding.verdict is Verdict.FAILED for finding in findings)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        print_json({kind: name, "conforms": not n_failed, "findings": rows})
    else:
        print_table(findings_table(findings))
        click.echo(f"{name} can be measured." if not n_failed else f"{n_failed} to repair, see ✗.")
    return 1 if n_failed else 0


def pair_report(result: Evaluation) -> Iterator[RenderableType]:
    """A table of the numbers, then the findings, those that speak against the numbers marked."""
    from rich.text import Text

    yield _table(result)
    yield _directions(result.score)
    for finding in result.diagnosis:
        mark, style = ("!", "bold yellow") if finding.doubtful else ("·", "")
        yield Text(f"{mark} {finding.text}", style=style)


def _table(result: Evaluation) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = f"{Path(result.prediction).name} on {Path(result.scan).name}"
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column(result.protocol.label)
    table.add_column("", justify="right", no_wrap=True)
    for name, value in (*_numbers(result.score), *_parts(result.score)):
        table.add_row(Text(name), Text(value))
    return table


def _numbers(score: Score) -> Iterator[tuple[str, str]]:
    yield "mean", _mm(score.mean_mm)
    # Of corresponding points alone: how far the mean may be from the true one.
    if math.isfinite(score.deviation_mm):
        yield "deviation of the mean", _mm(score.deviation_mm)
    yield "median", _mm(score.median_mm)
    yield "root mean square", _mm(score.rmse_mm)
    yield "standard deviation", _mm(score.std_mm)
    yield "90th percentile", _mm(score.p90_mm)
    yield "within 1 / 2 / 3 mm", " / ".join(_shares(score))
    yield "scale", f"{score.scale:.4f}"
    # Only of protocols that leave a face its size.
    if math.isfinite(score.size_error):
        yield "size error", f"{abs(score.size_error):.1%}"
    # Without it an error of half a face reads like one of a whole; `now` overlaps wherever it is.
    if math.isfinite(score.completeness):
        yield "completeness", f"{score.completeness:.1%}"
    yield "overlap", f"{score.overlap:.1%}"
    if math.isfinite(score.normal_error_deg):
        yield "normal error", f"{score.normal_error_deg:.1f}°"
    if math.isfinite(score.f_score_1mm):
        yield "F-score at 1 mm", f"{score.f_score_1mm:.1%}"
    if math.isfinite(score.noise_floor_mm):
        yield "noise floor of the scan", _mm(score.noise_floor_mm)
    yield "points", f"{score.n_points:,}"


def _directions(score: Score) -> RenderableType:
    """The mean by each measure in each direction, whatever the protocol's own."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("mean, mm", *(name.replace("_", " ") for name in DIRECTIONS)):
        # Numbers to the right, one below the other; the first column holds their names.
        table.add_column(heading, justify="right" if table.columns else "left")
    for measure in MEASURES:
        values = (getattr(score, f"{measure}_{direction}_mm") for direction in DIRECTIONS)
        table.add_row(measure.replace("_", " "), *(f"{value:.3f}" for value in values))
    return table


def _parts(score: Score) -> Iterator[tuple[str, str]]:
    from ..bench.landmarks import FACE_PARTS

    values = {part: float(getattr(score, f"{part}_mm")) for part in FACE_PARTS}
    # Equal to itself: NaN, a part that the scan does not show, is not.
    return ((part, _mm(value)) for part, value in values.items() if value == value)


def _shares(score: Score) -> Iterator[str]:
    return (f"{getattr(score, f'share_within_{mm}mm'):.1%}" for mm in (1, 2, 3))


def _mm(value: float) -> str:
    return f"{value:.3f} mm"


def findings_table(findings: Iterable[Finding]) -> Table:
    """One row per finding: its sign, the thing, what was found and below it what to do."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(overflow="fold")
    for finding in findings:
        sign, style = _SIGNS[finding.verdict]
        detail = Text(finding.detail)
        if finding.advice:
            detail.append(f"\n→ {finding.advice}", style="dim")
        table.add_row(Text(sign, style=style), Text(finding.check), detail)
    return table
