"""The paper's Table 1: every method's run, the published rows, and what each method cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..files import write_text
from ..run.folder import RunFolder
from ..run.method_cost import HEADS, NOTE, MethodCost
from ..tables.published import published_results
from ..tables.scenes import SceneRow, SceneRows
from ..tables.writers import csv_text
from . import Comparison, compare, refuse_groups, written
from .values import COLUMNS, comparison_lines

FILES = {"markdown": "table1.md", "latex": "table1.tex", "csv": "table1.csv", "json": "table1.json"}
"""What is written, by form."""

_COST_COLUMNS = ("seconds_per_face", "training_minutes")


def table1(
    runs: Sequence[RunFolder],
    costs: Mapping[str, MethodCost],
    *,
    all_pairs: bool = False,
    published: bool = True,
) -> Comparison:
    """The comparison behind the table.

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
    scenes = _with_costs(group.scenes, costs)
    return replace(comparison, groups=(replace(group, scenes=scenes),))


def write_table1(
    comparison: Comparison, costs: Mapping[str, MethodCost], folder: Path
) -> tuple[Path, ...]:
    """Write the table in every form of `FILES`."""
    for form, name in FILES.items():
        text = _csv(comparison, costs) if form == "csv" else written(comparison, form)
        write_text(folder / name, text)
    return tuple(folder / name for name in FILES.values())


def _with_costs(content: SceneRows, costs: Mapping[str, MethodCost]) -> SceneRows:
    rows = tuple(_row(row, costs.get(row.label)) for row in content.rows)
    return replace(content, rows=rows, extra_heads=HEADS, notes=(*content.notes, NOTE))


def _row(row: SceneRow, cost: MethodCost | None) -> SceneRow:
    return replace(row, extra=cost.texts) if cost and row.measured else row


def _csv(comparison: Comparison, costs: Mapping[str, MethodCost]) -> str:
    lines = [line | _cost_cells(line, costs) for line in comparison_lines(comparison)]
    return csv_text(lines, (*COLUMNS, *_COST_COLUMNS))


def _cost_cells(line: dict[str, object], costs: Mapping[str, MethodCost]) -> dict[str, object]:
    cost = None if line.get("remark") == "published" else costs.get(str(line["method"]))
    if cost is None:
        return {}
    values = {name: getattr(cost, name) for name in _COST_COLUMNS}
    return {name: value for name, value in values.items() if value == value}
