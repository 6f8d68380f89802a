"""Scores of one subject and scene, of several frames or scans, as one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..surface.triangles import Float64Array
from .score import Score, ScoredPair

LABELS = ("subject", "scene", "status", "reason", "protocol", "protocol_digest")
"""Fields of a score that are the same for all that are combined."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """What of a scored pair can be averaged; without its meshes, so that thousands can be held.

    Attributes:
        score: the numbers.
        curve: (101,) share of the points within each threshold of `distance.CURVE_MM`.
    """

    score: Score
    curve: Float64Array

    @classmethod
    def of(cls, pair: ScoredPair) -> Numbers:
        """The numbers of a pair."""
        return cls(pair.score, pair.curve)


def mean_numbers(parts: Sequence[Numbers]) -> Numbers:
    """The mean of every number; NaN counts where all have it.

    What is counted (`n_points`) adds up, steps are those of the longest alignment, `converged` is
    whether all did, and words that differ stand beside each other.
    """
    rows = [asdict(part.score) for part in parts]
    names = [name for name in rows[0] if name not in LABELS]
    values: dict[str, Any] = {n: _combined(n, [row[n] for row in rows]) for n in names}
    curve = np.mean([part.curve for part in parts], axis=0)
    return Numbers(replace(parts[0].score, **values), np.asarray(curve))


def with_numbers(pair: ScoredPair, numbers: Numbers) -> ScoredPair:
    """A pair's picture and distances under other numbers."""
    return replace(pair, score=numbers.score, curve=numbers.curve)


def median_index(values: Sequence[float]) -> int:
    """Which of the values is their median; of an even number, the lower of the middle two."""
    return int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])


def _combined(name: str, values: list[str | float | int | bool]) -> str | float | int | bool:
    if isinstance(values[0], bool):
        return all(values)
    if isinstance(values[0], str):
        return ", ".join(dict.fromkeys(str(value) for value in values if value))
    if isinstance(values[0], int):
        counts = [int(value) for value in values]
        return sum(counts) if name.startswith("n_") else max(counts)
    known = [float(value) for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")
