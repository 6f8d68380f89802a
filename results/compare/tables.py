"""A comparison as tables, in the forms it is written in, and the paper's Table 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ...bench.dataset.interface import OVERALL
from ...bench.landmarks import FACE_PARTS
from ...bench.scoring.distance import CURVE_MM
from ...recon.files.text import json_text, write_text
from ..run.folder import RunFolder
from ..run.record import COST_HEADS, COST_NOTE, MethodCost
from ..tables.published import published_results
from ..tables.scenes import NUMBERS, SceneRow, scene_values
from ..tables.table import (
    Cell,
    Table,
    Value,
    interval_text,
    number_text,
    p_text,
    text_rows,
    value_cell,
)
from ..tables.writers import csv_text, in_cell, latex, markdown, terminal_text
from .common_region import CommonCell
from .comparison import UNLIKE, Comparison, RunGroup, RunPair, compare, refuse_groups

_BASIS = ("protocol", "protocol_digest", "dataset", "dataset_digest")
_PAIR = (
    *("compared_with", "difference_mm", "difference_ci95_low_mm", "difference_ci95_high_mm"),
    *("shared_subjects", "p_value", "p_holm", "wins", "ties", "losses", "verdict"),
)
COLUMNS = (*_BASIS, *NUMBERS, *_PAIR)
"""Of the CSV file."""

TABLE1_FILES = MappingProxyType(
    {
        "markdown": "table1.md",
        "latex": "table1.tex",
        "csv": "table1.csv",
        "json": "table1.json",
    }
)
_FACTS = ("method", "method_digest", "commit", "dirty", "started", "ended", "command")
_REASONS = MappingProxyType(
    {
        "no difference shown": "no difference that could be told from chance",
        "too few subjects": "too few subjects to tell",
        "unlike completeness": f"not judged, {UNLIKE}",
    }
)
_COSTS = ("seconds_per_face", "training_minutes")
_COMMON = ("common_mean_mm", "common_std_mm", "common_subjects", "common_share")

_OF_PART = ("mean_mm", "ci95_low_mm", "ci95_high_mm")
_PARTS = tuple(f"{part}_{name}" for part in FACE_PARTS for name in _OF_PART)
_WITHIN = {f"share_within_{mm:g}mm": mm for mm in (0.5, 1, 1.5, 2, 2.5, 3, 4, 5)}
"""Columns of the cumulative curve; JSON has all of it."""

Costs = Mapping[str, MethodCost]


def comparison_text(comparison: Comparison, form: str, costs: Costs | None = None) -> str:
    """A comparison as text, ending in a new line.

    Args:
        comparison: what is written.
        form: one of `FORMS`.
        costs: of the methods by label, for further columns of CSV.
    """
    return FORMS[form](comparison, costs or {})


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """What keeps the groups apart, then each group's errors and differences."""
    if comparison.differing:
        yield _apart_table(comparison)
    for group in comparison.groups:
        yield group.scenes.table()
        if group.common:
            yield group.common.table(group.scenes)
        if group.pairs:
            yield pairs_table(group)
        for scene in group.scenes.scenes if group.parts else ():
            # A table without a row has nothing to say; the command says why there is none.
            if (table := regions_table(group, scene)).rows:
                yield table


def regions_table(group: RunGroup, scene: str) -> Table:
    """Errors by part of the face in a scene: one row per part, one column per run."""
    columns = {run.label: group.parts.get((run.label, scene), {}) for run in group.runs}
    parts = dict.fromkeys(part for errors in columns.values() for part in errors)
    rows = (
        (Cell(part), *(_part_cell(errors.get(part)) for errors in columns.values()))
        for part in parts
    )
    title = f"Error by part of the face in mm, {scene}; below it the 95 % interval over subjects"
    return Table(title, ("part", *columns), tuple(rows), tuple(group.scenes.unranked((scene,))))


def _part_cell(error: tuple[float, float, float] | None) -> Cell:
    mean, low, high = error or (math.nan,) * 3
    return Cell(number_text(mean), (interval_text(low, high),))


def pairs_table(group: RunGroup) -> Table:
    """One row a pair and one column a scene, so that it fits where the first table fits."""
    pairs = groupby(group.pairs, lambda pair: (pair.first, pair.second))
    where = " on the region that all runs cover" if group.common else ""
    return Table(
        title=f"Differences in mm{where}, subject by subject; negative: the first has the lower "
        "error",
        head=("difference of", *group.scenes.scenes),
        rows=tuple(
            (Cell(f"{first} − {second}"), *map(_pair_cell, scenes))
            for (first, second), scenes in pairs
        ),
        notes=group.notes,
    )


def _pair_cell(pair: RunPair) -> Cell:
    difference = pair.difference
    mean = number_text(difference.mean_mm, 3, sign=True)
    interval = interval_text(difference.ci95_mm.low, difference.ci95_mm.high, 3)
    # A p-value would be read as a verdict.
    judged = "not judged" if pair.verdict == "unlike completeness" else f"p {p_text(pair.p_holm)}"
    counts = f"{pair.wins}/{pair.ties}/{pair.losses} · {judged}"
    # The mark beside the style: a reader may see no colour and no weight.
    text = f"{mean} *" if pair.shown else mean
    return Cell(text, (interval, counts), "best" if pair.shown else "")


def verdict_sentences(group: RunGroup) -> Iterator[str]:
    """Whether the group's first run is the better one, by how much and how surely; in words.

    One sentence or two for each run that it was compared with; none for a run alone.
    """
    first = group.runs[0].label
    against = [pair for pair in group.pairs if first in (pair.first, pair.second)]
    others = dict.fromkeys(name for pair in against for name in (pair.first, pair.second))
    for other in others:
        if other != first:
            pairs = [pair for pair in against if other in (pair.first, pair.second)]
            yield from _verdict(first, other, pairs)


def _verdict(first: str, other: str, pairs: Sequence[RunPair]) -> Iterator[str]:
    # Of the run that the reader asks for, whichever side of the subtraction it is on.
    lower = [p for p in pairs if p.shown and (p.difference.mean_mm < 0) == (p.first == first)]
    higher = [p for p in pairs if p.shown and p not in lower]
    # Of a dataset without scenes "in all" would be a riddle.
    alone = [pair.scene for pair in pairs] == [OVERALL]
    for better, worse, shown in ((first, other, lower), (other, first, higher)):
        if shown:
            scenes = "every scene" if len(shown) == len(pairs) > 1 else _scenes(shown)
            where = "" if alone else f" in {scenes}"
            sizes = "; ".join(_size(p) + (f" in {p.scene}" if where else "") for p in shown)
            yield f"{better} is better than {worse}{where}. Its error is lower by {sizes}."
    unshown = [pair for pair in pairs if not pair.shown]
    for reason in dict.fromkeys(pair.verdict for pair in unshown):
        where = "" if alone else f" in {_scenes([p for p in unshown if p.verdict == reason])}"
        yield f"{first} and {other}{where}: {_REASONS[reason]}."


def _scenes(pairs: Sequence[RunPair]) -> str:
    return ", ".join(pair.scene for pair in pairs)


def _size(pair: RunPair) -> str:
    low, high = pair.difference.ci95_mm.low, pair.difference.ci95_mm.high
    # The size has no sign, so neither side of the subtraction has its interval turned round.
    ends = (low, high) if pair.difference.mean_mm > 0 else (-high, -low)
    interval = interval_text(*ends)
    # A p-value below the last digit already says that it is below.
    p_value = p_text(pair.p_holm).removeprefix("< ")
    sign = "<" if pair.p_holm < 0.001 else "="
    return f"{abs(pair.difference.mean_mm):.2f} mm {interval} (p {sign} {p_value})"


def _apart_table(comparison: Comparison) -> Table:
    names = (", ".join(run.place for run in group.runs) for group in comparison.groups)
    # Names and digests: nothing that is compared by its last digit.
    head = ("field", *names)
    rows = text_rows([(item.name, *item.values) for item in comparison.differing])
    return Table("Not in one table: the runs differ in", head, rows, left=tuple(range(len(head))))


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """Everything, nested; NaN where a number is unknown."""
    return {
        "groups": [_group_values(group) for group in comparison.groups],
        "differing": [asdict(item) for item in comparison.differing],
    }


def _group_values(group: RunGroup) -> dict[str, Any]:
    content = group.scenes
    measured = [row for row in content.rows if row.measured]
    printed = [row for row in content.rows if not row.measured]
    return {
        "basis": asdict(group.basis),
        "runs": [
            {
                "label": run.label,
                "place": run.place,
                **{name: getattr(run.record, name) for name in _FACTS},
                **_row_values(row),
            }
            for run, row in zip(group.runs, measured, strict=True)
        ],
        "best": {scene: best.label for scene in content.scenes if (best := content.best(scene))},
        "published": [{"label": row.label, **_row_values(row)} for row in printed],
        "pairs": [
            {"first": pair.first, "second": pair.second, "scene": pair.scene} | _pair_values(pair)
            for pair in group.pairs
        ],
        "notes": [*content.all_notes, *group.notes],
        **({"common_region": _nested(group.common.cells)} if group.common else {}),
        **(_regions_values(group) if group.parts else {}),
    }


def _regions_values(group: RunGroup) -> dict[str, Any]:
    parts: dict[str, dict[str, Any]] = {}
    for (label, scene), errors in group.parts.items():
        named = {part: dict(zip(_OF_PART, e, strict=True)) for part, e in errors.items()}
        parts.setdefault(label, {})[scene] = named
    curves = {
        label: {scene: shares.tolist() for scene, shares in by_scene.items()}
        for label, by_scene in group.curves.items()
    }
    return {"parts": parts, "curves": {"thresholds_mm": CURVE_MM.tolist(), "shares": curves}}


def _nested(cells: Mapping[str, Mapping[str, CommonCell]]) -> dict[str, dict[str, Any]]:
    return {label: {s: asdict(cell) for s, cell in row.items()} for label, row in cells.items()}


def _row_values(row: SceneRow) -> dict[str, Any]:
    # Of a published row the rest of a summary is made of NaN.
    if row.measured:
        scenes = {scene: asdict(cell) for scene, cell in row.cells.items()}
    else:
        known = ("mean_mm", "std_mm", "ci95_mm", "n_subjects")
        scenes = {
            s: {n: getattr(c, n) for n in (known if c.n_subjects else known[:2])}
            for s, c in row.cells.items()
        }
    return {"remark": row.remark, "scenes": scenes}


def _pair_values(pair: RunPair) -> dict[str, Value]:
    difference = pair.difference
    return {
        "difference_mm": difference.mean_mm,
        "difference_ci95_low_mm": difference.ci95_mm.low,
        "difference_ci95_high_mm": difference.ci95_mm.high,
        "shared_subjects": difference.n_subjects,
        "p_value": difference.p_value,
        "p_holm": pair.p_holm,
        "wins": pair.wins,
        "ties": pair.ties,
        "losses": pair.losses,
        "verdict": pair.verdict,
    }


def numbers_table(comparison: Comparison, costs: Costs) -> Table:
    """One row per run and scene; of a run with several pairs (`all_pairs`) one for each."""
    common = any(group.common for group in comparison.groups)
    parts = (*_PARTS, *_WITHIN) if any(group.parts for group in comparison.groups) else ()
    head = (*COLUMNS, *(_COSTS if costs else ()), *(_COMMON if common else ()), *parts)
    lines = (line for group in comparison.groups for line in _number_rows(group, costs))
    return Table("", head, tuple(tuple(value_cell(line.get(n)) for n in head) for line in lines))


def _number_rows(group: RunGroup, costs: Costs) -> Iterator[dict[str, Value]]:
    shared = {name: getattr(group.basis, name) for name in _BASIS}
    for row in group.scenes.rows:
        cost = costs.get(row.label) if row.measured else None
        paid = {name: getattr(cost, name) for name in _COSTS} if cost else {}
        for scene in (scene for scene in group.scenes.scenes if scene in row.cells):
            line = shared | scene_values(row, scene) | paid | _common_line(group, row.label, scene)
            line |= _parts_line(group, row.label, scene)
            # A line per pair, so that a spreadsheet needs no second table.
            pairs = [p for p in group.pairs if (p.first, p.scene) == (row.label, scene)]
            yield from (
                {**line, "compared_with": pair.second, **_pair_values(pair)} for pair in pairs
            )
            if not pairs:
                yield line


def _common_line(group: RunGroup, label: str, scene: str) -> dict[str, Value]:
    cell = group.common.cells.get(label, {}).get(scene) if group.common else None
    if cell is None:
        return {}
    return dict(zip(_COMMON, (cell.mean_mm, cell.std_mm, cell.n_subjects, cell.share), strict=True))


def _parts_line(group: RunGroup, label: str, scene: str) -> dict[str, Value]:
    """Errors by part of the face, and the shares of points within the errors of `_WITHIN`."""
    errors = group.parts.get((label, scene), {})
    line: dict[str, Value] = {
        f"{part}_{name}": value
        for part, values in errors.items()
        for name, value in zip(_OF_PART, values, strict=True)
    }
    shares = group.curves.get(label, {}).get(scene)
    if shares is not None:
        line |= {n: float(np.interp(mm, CURVE_MM, shares)) for n, mm in _WITHIN.items()}
    return line


def _each(write: Callable[[Table], str], before: str = "") -> Callable[[Comparison, Costs], str]:
    def form(comparison: Comparison, _: Costs) -> str:
        return before + "\n".join(map(write, comparison_tables(comparison)))

    return form


def _markdown(comparison: Comparison, costs: Costs) -> str:
    # Two spaces end a line.
    verdicts = "".join(f"{in_cell(words)}  \n" for words in _verdicts(comparison))
    return (f"{verdicts}\n" if verdicts else "") + _each(markdown)(comparison, costs)


def _verdicts(comparison: Comparison) -> Iterator[str]:
    return (words for group in comparison.groups for words in verdict_sentences(group))


FORMS: MappingProxyType[str, Callable[[Comparison, Costs], str]] = MappingProxyType(
    {
        "table": lambda comparison, _: terminal_text(
            list(comparison_tables(comparison)), list(_verdicts(comparison))
        ),
        "markdown": _markdown,
        "latex": _each(latex, "% needs \\usepackage{booktabs}\n\n"),
        "csv": lambda comparison, costs: csv_text(numbers_table(comparison, costs)),
        "json": lambda comparison, _: json_text(comparison_values(comparison)),
    }
)
"""Each form's writer."""


def table1(
    runs: Sequence[RunFolder],
    costs: Costs,
    *,
    all_pairs: bool = False,
    published: bool = True,
) -> Comparison:
    """The comparison behind the paper's Table 1.

    Args:
        runs: one a method, the first is what the others are compared with.
        costs: by the labels of the runs; a method may have none.
        all_pairs: compare every two methods.
        published: add the literature's rows, marked.

    Raises:
        FacebenchError: the runs differ in protocol or dataset, or one is unfinished.
    """
    literature = published_results() if published else ()
    comparison = compare(runs, literature, all_pairs=all_pairs)
    refuse_groups(comparison)
    (group,) = comparison.groups
    scenes = group.scenes
    rows = tuple(
        replace(row, extra=cost.texts) if row.measured and (cost := costs.get(row.label)) else row
        for row in scenes.rows
    )
    scenes = replace(scenes, rows=rows, extra_heads=COST_HEADS, notes=(*scenes.notes, COST_NOTE))
    return replace(comparison, groups=(replace(group, scenes=scenes),))


def write_table1(comparison: Comparison, costs: Costs, folder: Path) -> tuple[Path, ...]:
    """Write the table in every form of `TABLE1_FILES`."""
    for form, name in TABLE1_FILES.items():
        write_text(folder / name, comparison_text(comparison, form, costs))
    return tuple(folder / name for name in TABLE1_FILES.values())
