"""`facebench evaluate` of two folders: every pair, a table, and a folder that can be continued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ..errors import FacebenchError, one_line
from ._options import NOTHING_SCORED, command_line

if TYPE_CHECKING:
    from rich.table import Table

    from ..bench.pairs.measure_pair import PairRuler
    from ..bench.pairs.sets import PairSet
    from ..results.pairs.folder import GroupSummary, PairsFolder

_SHOWN_REASONS = 20
_OF_ONE_PAIR = ("prediction_landmarks", "scan_landmarks", "nose_tip")


def evaluate_set(context: click.Context) -> None:
    """Find the pairs of the command's two folders, measure them, show what they sum up to."""
    from ..results.pairs.folder import PairsFolder
    from ..results.run.folder import RunFolder

    options = context.params
    _check(options)
    found, ruler = _find(options)
    folder, again = PairsFolder(options["out"]), command_line(context)
    with RunFolder(options["out"]).locked():
        folder.begin(again, found.name, ruler)
        try:
            _measure(found, ruler, folder, options)
        except KeyboardInterrupt:
            click.echo(f"\nInterrupted; what is done is kept. Continue with:\n  {again}", err=True)
            raise
        groups = folder.summarise(ruler)
    _show(folder, ruler, groups, options["as_json"])
    if not any(group.n_scored for group in groups.values()):
        raise click.exceptions.Exit(NOTHING_SCORED)


def _check(options: Mapping[str, Any]) -> None:
    if not (options["prediction"].is_dir() and options["scan"].is_dir()):
        one = options["scan"] if options["prediction"].is_dir() else options["prediction"]
        raise FacebenchError(f"{one} is no folder", "give two mesh files, or two folders")
    if options["out"] is None:
        raise FacebenchError("two folders need --out", "it keeps what is done")
    for name in _OF_ONE_PAIR:
        if options[name] is not None:
            raise FacebenchError(
                f"--{name.replace('_', '-')} is for one pair", "put NAME.txt beside each mesh"
            )


def _find(options: Mapping[str, Any]) -> tuple[PairSet, PairRuler]:
    from dataclasses import replace

    from ..bench.datasets.now import find_now_pairs, is_now_folder
    from ..bench.datasets.pairs import find_pairs
    from ..bench.pairs.measure_pair import PairRuler
    from ..bench.protocol.record import read_settings

    protocol = read_settings(options["protocol"], options["settings"])
    if protocol.alignment.scale == "global":
        raise FacebenchError(
            "one scale for all predictions is not known for folders",
            "set alignment.scale=per_mesh or none",
        )
    find = find_now_pairs if is_now_folder(options["scan"]) else find_pairs
    found = find(options["prediction"].absolute(), options["scan"].absolute())
    unit = options["unit"]
    ruler = PairRuler(protocol, options["prediction_unit"] or unit, options["scan_unit"] or unit)
    return replace(found, pairs=found.pairs[: options["limit"]]), ruler


def _measure(
    found: PairSet, ruler: PairRuler, folder: PairsFolder, options: Mapping[str, Any]
) -> None:
    from ..distributed.cluster import connected
    from ..distributed.pairs import measure_pairs
    from ._progress import progress_bar

    rows = folder.done(found.pairs)
    known = {row["name"] for row in rows}
    missing = [pair for pair in found.pairs if pair.name not in known]
    if not missing:
        folder.write_rows(rows)
        return
    with (
        connected(options["cluster"]),
        progress_bar("pairs", len(found.pairs), len(known), quiet=options["as_json"]) as advance,
    ):
        for measured in measure_pairs(missing, ruler):
            rows.append(measured.row)
            folder.keep(rows, measured)
            advance()


def _show(
    folder: PairsFolder, ruler: PairRuler, groups: Mapping[str, GroupSummary], as_json: bool
) -> None:
    if as_json:
        summary = json.loads((folder.root / "summary.json").read_text("utf-8"))
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    for line in _reasons(folder):
        click.echo(line, err=True)
    Console(highlight=False, markup=False).print(_table(ruler, groups))
    click.echo(f"{folder.root}: {groups['all'].n_scored} scored, {groups['all'].n_failed} not")


def _table(ruler: PairRuler, groups: Mapping[str, GroupSummary]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    protocol = ruler.protocol
    over = "over all points" if protocol.reduction.subjects == "pooled" else "over pairs"
    title = f"Error in mm, {over}, protocol {protocol.name} ({protocol.digest[:12]})"
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("pairs")
    for name in ("median", "mean", "std", "rmse", "scored"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, group in groups.items():
        numbers = (group.median_mm, group.mean_mm, group.std_mm, group.rmse_mm)
        scored = f"{group.n_scored}/{group.n_scored + group.n_failed}"
        table.add_row(Text(name), *(f"{number:.3f}" for number in numbers), scored)
    return table


def _reasons(folder: PairsFolder) -> list[str]:
    """What failed or is doubtful, one line each."""
    rows = folder.rows()
    told = [(row.name, row.reason or row.note) for row in rows.itertuples(index=False)]
    lines = [one_line(f"{name}: {said}") for name, said in told if said]
    hidden = len(lines) - _SHOWN_REASONS
    more = [f"… and {hidden} more, see {folder.root / 'pairs.parquet'}"] if hidden > 0 else []
    return lines[:_SHOWN_REASONS] + more
