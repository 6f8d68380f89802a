"""Runs compared subject by subject: groups that may share a table, and the pairs in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...bench.scoring.statistics import holm, paired_difference
from ...errors import FacebenchError
from ..run.folder import RunFolder, RunRecord
from ..tables.basis import Basis, FieldDifference, differences_text, differing_fields
from ..tables.paired import TOO_FEW, ScenePair
from ..tables.published import Published
from ..tables.scenes import SceneRows, scene_rows, unique_labels
from ..tables.subject_errors import shared_values
from ..tracking.open_runs import place_of, refuse_unfinished


@dataclass(frozen=True)
class RunFacts:
    """A measured run beside its numbers.

    Attributes:
        label: unique in its group, as in the tables.
        place: the folder, or the MLflow run's id.
        method: the method's name.
        method_digest: of weights and model.
        commit, dirty: state of the code that measured it.
        started, ended: UTC; `ended` is empty while it is unfinished.
        command: that gives the run again.
    """

    label: str
    place: str
    method: str
    method_digest: str
    commit: str
    dirty: bool
    started: str
    ended: str
    command: str


@dataclass(frozen=True)
class Tally:
    """Over the subjects that two runs share: on how many the first has the lower error.

    Attributes:
        wins, ties, losses: subjects of the first run; a tie is a difference within the margin.
        margin_mm: below which two errors count as equal.
    """

    wins: int
    ties: int
    losses: int
    margin_mm: float

    @property
    def subjects(self) -> int:
        """That both runs have a number for."""
        return self.wins + self.ties + self.losses


@dataclass(frozen=True)
class RunPair:
    """Two runs in one scene.

    Attributes:
        first, second: labels; the difference is first − second.
        result: the paired difference with its p-value, corrected for all pairs of the group.
        tally: subject by subject.
    """

    first: str
    second: str
    result: ScenePair
    tally: Tally


@dataclass(frozen=True)
class RunGroup:
    """Runs of one protocol on one dataset: these may share a table.

    Attributes:
        basis: what their numbers stand on.
        runs: the measured runs, in the order of the table's measured rows.
        scenes: the table of errors; published rows come last and are marked.
        pairs: pair by pair, its scenes in table order; none for a single run.
        notes: what must be known of the pairs.
    """

    basis: Basis
    runs: tuple[RunFacts, ...]
    scenes: SceneRows
    pairs: tuple[RunPair, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """All groups, in the order of their first runs.

    Attributes:
        groups: one where all runs can be compared.
        differing: the fields that keep the groups apart, one value a group.
    """

    groups: tuple[RunGroup, ...]
    differing: tuple[FieldDifference, ...] = ()


TIE_MM = 0.01
"""The last digit that tables show of an error."""


def compare(
    runs: Sequence[RunFolder],
    published: Sequence[Published] = (),
    *,
    all_pairs: bool = False,
    tie_mm: float = TIE_MM,
) -> Comparison:
    """Compare runs; those of different protocols or datasets come into groups of their own.

    Args:
        runs: in table order; in each group the others are compared with the first.
        published: rows of the literature, shown below every group's own and marked.
        all_pairs: compare every two runs of a group.
        tie_mm: two errors of a subject that differ by no more count as equal.

    Raises:
        FacebenchError: no runs, one that has no summary, or the same run twice.
    """
    _refuse_repeated(runs)
    for run in runs:
        refuse_unfinished(run)
    groups = tuple(
        _group(members, published, all_pairs, tie_mm) for members in _alike(runs).values()
    )
    return Comparison(groups, differing_fields([group.basis for group in groups]))


def refuse_groups(comparison: Comparison) -> None:
    """One table for all, or none.

    Raises:
        FacebenchError: the runs differ in protocol or dataset; tells the fields with all values.
    """
    if len(comparison.groups) < 2:
        return
    kinds = " and ".join(dict.fromkeys(item.kind for item in comparison.differing))
    places = " / ".join(group.runs[0].place for group in comparison.groups)
    raise FacebenchError(
        f"these runs differ in their {kinds} ({places}): {differences_text(comparison.differing)}",
        "give --split for a table each",
    )


def _alike(runs: Sequence[RunFolder]) -> dict[tuple[str, str], list[RunFolder]]:
    groups: dict[tuple[str, str], list[RunFolder]] = {}
    for run in runs:
        groups.setdefault(Basis.of(run.record()).key, []).append(run)
    return groups


def _refuse_repeated(runs: Sequence[RunFolder]) -> None:
    if not runs:
        raise FacebenchError("no runs to compare", "give at least one run folder")
    places = [run.root.resolve() for run in runs]
    for run, place in zip(runs, places, strict=True):
        if places.count(place) > 1:
            raise FacebenchError(f"{run.root} is given twice", "give each run once")


def _group(
    runs: Sequence[RunFolder], published: Sequence[Published], all_pairs: bool, tie_mm: float
) -> RunGroup:
    records = [run.record() for run in runs]
    labels = unique_labels(runs, records)
    content = scene_rows(runs, published)
    tables = dict(zip(labels, (run.subjects() for run in runs), strict=True))
    chosen = list(combinations(labels, 2)) if all_pairs else [(x, labels[0]) for x in labels[1:]]
    pairs = _pairs(tables, chosen, content.scenes, records[0].seed, tie_mm)
    return RunGroup(
        basis=Basis.of(records[0]),
        runs=tuple(_facts(*item) for item in zip(runs, records, labels, strict=True)),
        scenes=content,
        pairs=pairs,
        notes=tuple(_notes(pairs, tie_mm)),
    )


def _pairs(
    tables: dict[str, pd.DataFrame],
    chosen: Sequence[tuple[str, str]],
    scenes: Sequence[str],
    seed: int,
    tie_mm: float,
) -> tuple[RunPair, ...]:
    keys = [(first, second, scene) for first, second in chosen for scene in scenes]
    values = [shared_values(tables[first], tables[second], scene) for first, second, scene in keys]
    differences = [paired_difference(ours, theirs, seed) for ours, theirs in values]
    corrected = holm([difference.p_value for difference in differences]).tolist()
    return tuple(
        RunPair(first, second, ScenePair(scene, difference, p_holm), tally(*both, tie_mm))
        for (first, second, scene), both, difference, p_holm in zip(
            keys, values, differences, corrected, strict=True
        )
    )


def tally(ours: NDArray[np.float64], theirs: NDArray[np.float64], tie_mm: float) -> Tally:
    """Wins, ties and losses of (S,) errors against (S,) of the same subjects, mm."""
    difference = ours - theirs
    tied = int((np.abs(difference) <= tie_mm).sum())
    wins = int((difference < -tie_mm).sum())
    return Tally(wins, tied, len(difference) - tied - wins, tie_mm)


def _notes(pairs: Sequence[RunPair], tie_mm: float) -> Iterator[str]:
    if not pairs:
        return
    tests = sum(pair.result.difference.testable for pair in pairs)
    yield (
        "Means over the subjects that both runs have a number for, with 95 % bootstrap intervals "
        "over subjects; subjects won, tied and lost by the first of the two, a tie within "
        f"{tie_mm:g} mm; p corrected for {tests} test{'s' * (tests != 1)} (Holm)."
    )
    if tests < len(pairs):
        yield TOO_FEW
    empty: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        if not pair.tally.subjects:
            empty.setdefault((pair.first, pair.second), []).append(pair.result.scene)
    for (first, second), scenes in empty.items():
        yield f"No subject has a number in both {first} and {second}: {', '.join(scenes)}."


def _facts(run: RunFolder, record: RunRecord, label: str) -> RunFacts:
    return RunFacts(
        label=label,
        place=place_of(run),
        method=record.method,
        method_digest=record.method_digest,
        commit=record.commit,
        dirty=record.dirty,
        started=record.started,
        ended=record.ended,
        command=record.command,
    )
