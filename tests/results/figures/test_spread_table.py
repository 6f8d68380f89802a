"""The spread of faces on a terminal: whole on a narrow one too."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from facebench.bench.figures.consistency import ALL, Spread
from facebench.results.figures.consistency import spread_table
from facebench.results.tables.writers import TerminalTable


def a_spread(label: str, size: float) -> Spread:
    draw = np.random.default_rng(3)
    people = [size * draw.uniform(1.0, 2.0, 6) for _ in range(4)]
    within = dict(zip((ALL, "pose", "expression", "light"), people, strict=True))
    return Spread(label, within, people[0] * 2, people[1] * 10, 47.25)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_nothing_is_cut_off(width: int) -> None:
    spreads = [a_spread("ours", 1.0), a_spread("a method with a long name", 0.5)]
    console = Console(file=io.StringIO(), width=width)
    console.print(TerminalTable(spread_table(spreads)))
    printed = console.file.getvalue()
    words = printed.split()
    for spread in spreads:
        for values in spread.within_mm.values():
            assert f"{values.mean():.2f}" in words
        assert f"{spread.between_mm.mean():.2f}" in words
        assert f"{spread.within_degrees.mean():.1f}°" in words
    assert words.count("47.2°") == 2 and words.count("ratio") >= 2
    assert "tells a consistent method." in " ".join(words)
