"""A comparison as LaTeX, for packages booktabs and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..run.summary import SceneSummary
from ..tables.scenes import SceneRow, SceneRows
from ..tables.writers import detail_texts, error_text, rate_text
from .comparison import Comparison, RunGroup
from .texts import (
    APART_TITLE,
    PAIR_HEAD,
    PAIR_TITLE,
    apart_head,
    apart_rows,
    ends_of_pairs,
    first_published,
    pair_rows,
    scenes_title,
)

_MARKS = {
    "\\": r"\textbackslash{}",
    **{mark: rf"\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "−": r"$-$",
    "·": r"$\cdot$",
    "–": "--",
    "…": r"\ldots{}",
}
_MARK = re.compile("|".join(map(re.escape, _MARKS)))


def comparison_latex(comparison: Comparison) -> str:
    """A `table` environment for each table of the terminal; needs `\\usepackage{booktabs}`."""
    return "\n".join(_parts(comparison))


def escaped(text: str) -> str:
    """Text that LaTeX sets as it stands."""
    return _MARK.sub(lambda match: _MARKS[match.group()], " ".join(text.split()))


def _parts(comparison: Comparison) -> Iterator[str]:
    yield "% needs \\usepackage{booktabs}\n"
    if comparison.differing:
        head, rows = apart_head(comparison), apart_rows(comparison)
        yield _table(APART_TITLE, "l" * len(head), head, [_line(_all_escaped(row)) for row in rows])
    for group in comparison.groups:
        yield _scenes(group)
        if group.pairs:
            yield _pairs(group)


def _all_escaped(cells: Sequence[str]) -> list[str]:
    """Cells that LaTeX sets as they stand."""
    return [escaped(cell) for cell in cells]


def _scenes(group: RunGroup) -> str:
    content = group.scenes
    head = content.heads
    rows = [_scene_lines(content, row) for row in content.rows]
    measured = first_published(content.rows)
    if 0 < measured < len(rows):
        rows.insert(measured, r"\midrule")
    title = f"{scenes_title(group)}. {' '.join(content.notes)}"
    return _table(title, "l" + "r" * (len(head) - 1), head, rows)


def _scene_lines(content: SceneRows, row: SceneRow) -> str:
    """The errors, and in a smaller line below what is known beside them."""
    cells = [row.cells.get(scene) for scene in content.scenes]
    errors = [_error(row.cells.get(s), content.best(s) is row) for s in content.scenes]
    aside = _all_escaped([rate_text(row.frames_per_second), *content.extra(row)])
    first = _line([escaped(row.label), *errors, *aside])
    shown = (" · ".join(detail_texts(cell)) if cell else "" for cell in cells)
    details = [row.remark, *shown, *[""] * len(aside)]
    if not any(details):
        return first
    return f"{first}\n{_line([_small(text) for text in details])}"


def _error(cell: SceneSummary | None, best: bool) -> str:
    text = escaped(error_text(cell)) if cell else "--"
    return rf"\textbf{{{text}}}" if best else text


def _small(text: str) -> str:
    return rf"{{\footnotesize {escaped(text)}}}" if text else ""


def _pairs(group: RunGroup) -> str:
    ends = ends_of_pairs(group.pairs)
    rows = [_line(_all_escaped(cells)) for cells in pair_rows(group.pairs)]
    rows = [
        f"{row}\n\\addlinespace" if end and number < len(rows) - 1 else row
        for number, (row, end) in enumerate(zip(rows, ends, strict=True))
    ]
    return _table(f"{PAIR_TITLE}. {' '.join(group.notes)}", "llrrrrrl", PAIR_HEAD, rows)


def _table(title: str, columns: str, head: Sequence[str], rows: Sequence[str]) -> str:
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _line(_all_escaped(head)),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
