"""The words of a comparison, the same in every form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..tables.scenes import SceneRow
from ..tables.writers import paired_texts
from .comparison import Comparison, RunGroup, RunPair

PAIR_TITLE = "Differences in mm, subject by subject; negative: the first has the lower error"
PAIR_HEAD = (
    *("difference of", "scene", "subjects", "mean", "95 % interval", "p (Holm)"),
    *("won/tied/lost", "error"),
)
APART_TITLE = "Not in one table: the runs differ in"


def pair_rows(pairs: Sequence[RunPair]) -> list[list[str]]:
    """Cells of every pair, the names at its first scene only."""
    rows = [[f"{pair.first} − {pair.second}", *pair_cells(pair)] for pair in pairs]
    for (before, here), cells in zip(pairwise(pairs), rows[1:], strict=True):
        if (before.first, before.second) == (here.first, here.second):
            cells[0] = ""
    return rows


def ends_of_pairs(pairs: Sequence[RunPair]) -> list[bool]:
    """Whether a pair's last scene is in the row."""
    names = [(pair.first, pair.second) for pair in pairs]
    return [here != after for here, after in zip(names, [*names[1:], None], strict=True)]


def apart_head(comparison: Comparison) -> list[str]:
    """The field, then a column for every group."""
    names = (", ".join(run.place for run in group.runs) for group in comparison.groups)
    return ["field", *names]


def apart_rows(comparison: Comparison) -> list[list[str]]:
    """Every field that keeps the groups apart."""
    return [[item.name, *item.values] for item in comparison.differing]


def scenes_title(group: RunGroup) -> str:
    """What stands above the errors."""
    return f"Error in mm, mean ± std over {group.scenes.over}, {group.basis.title}"


def first_published(rows: Sequence[SceneRow]) -> int:
    """Number of measured rows, which come first."""
    return sum(row.measured for row in rows)


def pair_cells(pair: RunPair) -> list[str]:
    """The cells of `PAIR_HEAD` behind the names."""
    scene, subjects, mean, interval, _, p_holm, verdict = paired_texts(pair.result)
    tally = pair.tally
    counts = f"{tally.wins}/{tally.ties}/{tally.losses}"
    return [scene, subjects, mean, interval, p_holm, counts, verdict]
