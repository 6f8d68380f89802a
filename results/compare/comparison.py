"""Runs compared subject by subject: groups that may share a table, and the pairs in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...bench.dataset.interface import OVERALL
from ...bench.scoring.statistics import (
    FEWEST_SUBJECTS,
    LEVEL,
    PairedDifference,
    holm,
    paired_difference,
    subject_means,
)
from ...errors import FacebenchError, some
from ..run.folder import RunFolder, RunRecord
from ..tables.basis import (
    Basis,
    FieldDifference,
    differences_text,
    differing_fields,
    refuse_repeated,
    refuse_unfinished,
)
from ..tables.published import Published
from ..tables.scenes import SceneRows, refuse_contradiction, scene_rows
from ..tables.series import (
    COMPLETENESS_TOLERANCE,
    ERROR,
    PartErrors,
    Series,
    errors_by_part,
    read_series,
    scene_column,
    shared_values,
    torn_items,
    unlike_shares,
)
from .common_region import CommonRegion, common_region

TIE_MM = 0.01
"""The last digit that tables show of an error."""

UNLIKE = "one covers less of the scans or does not say how much"
TOO_FEW = (
    f"No p-value with fewer than {FEWEST_SUBJECTS} subjects: even when all of them differ in the "
    f"same direction, chance alone does that in more than {LEVEL:.0%} of comparisons."
)


@dataclass(frozen=True)
class RunPair:
    """Two runs in one scene.

    Attributes:
        first, second: labels; the difference is first − second.
        scene: which.
        difference: of the errors of the subjects that both have a number for, without `left_out`.
        p_holm: the p-value corrected for all pairs of the group; NaN with too few subjects.
        wins, ties, losses: subjects of the first run; a tie is a difference within the margin.
        completeness_gap: how much more of the scans the first covers, see `unlike_shares`; a
            run that does not state it covers infinitely less, NaN where neither does.
        unlike: items of which one covers more by `TORN_BELOW`, the widest gap first.
        left_out: these, where the runs cover like shares as a whole; on a common region none.
        on_common_region: whether the errors are those where both cover the scans.
    """

    first: str
    second: str
    scene: str
    difference: PairedDifference
    p_holm: float
    wins: int
    ties: int
    losses: int
    completeness_gap: float = math.nan
    unlike: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    on_common_region: bool = False

    @property
    def subjects(self) -> int:
        """That both runs have a number for, without `left_out`."""
        return self.wins + self.ties + self.losses

    @property
    def verdict(self) -> str:
        """Whether the first run's error is `lower` or `higher`, or why neither can be said.

        Shown is what the corrected test rejects at `LEVEL`; of runs that cover unlike shares of
        the scans nothing is, but, on their common region, a lower error of the one that covers
        more: each is registered to all that it covers, and less of a face fits closer.
        """
        if not self.difference.testable:
            return "too few subjects"
        if abs(self.completeness_gap) > COMPLETENESS_TOLERANCE and not (
            self.on_common_region and self.difference.mean_mm * self.completeness_gap < 0
        ):
            return "unlike completeness"
        # Not `>=`: without a p-value, NaN, that would be false, and a difference be shown.
        if not self.p_holm < LEVEL:
            return "no difference shown"
        return "lower" if self.difference.mean_mm < 0 else "higher"

    @property
    def shown(self) -> bool:
        """Whether one error is lower beyond chance."""
        return self.verdict in ("lower", "higher")


@dataclass(frozen=True)
class RunGroup:
    """Runs of one protocol on one dataset: these may share a table.

    Attributes:
        basis: what their numbers stand on.
        runs: the measured runs, in the order of the table's measured rows.
        scenes: the table of errors; published rows come last and are marked.
        pairs: pair by pair, its scenes in table order; none for a single run.
        notes: what must be known of the pairs.
        common: the runs on the region that all of them cover, where that was asked for; the pairs
            are then of these errors.
        parts: errors by part of the face, by label and scene, where they were asked for.
        curves: with them, by label and scene, the share of points within each of `CURVE_MM`.
    """

    basis: Basis
    runs: tuple[Series, ...]
    scenes: SceneRows
    pairs: tuple[RunPair, ...]
    notes: tuple[str, ...]
    common: CommonRegion | None = None
    parts: Mapping[tuple[str, str], PartErrors] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """All groups, in the order of their first runs.

    Attributes:
        groups: one where all runs can be compared.
        differing: the fields that keep the groups apart, one value a group.
    """

    groups: tuple[RunGroup, ...]
    differing: tuple[FieldDifference, ...] = ()


def compare(
    runs: Sequence[RunFolder],
    published: Sequence[Published] = (),
    *,
    all_pairs: bool = False,
    tie_mm: float = TIE_MM,
    on_common_region: bool = False,
    regions: bool = False,
) -> Comparison:
    """Compare runs; those of different protocols or datasets come into groups of their own.

    Args:
        runs: in table order; in each group the others are compared with the first.
        published: rows of the literature, shown below every group's own and marked.
        all_pairs: compare every two runs of a group.
        tie_mm: two errors of a subject that differ by no more count as equal.
        on_common_region: score the runs of a group on the region that all of them cover too, and
            judge the pairs there.
        regions: give errors by part of the face, and cumulative curves.

    Raises:
        FacebenchError: no runs, one that has no summary or one of other rows, or the same run
            twice; of a common region, see `common_region`.
    """
    refuse_repeated(runs)
    for run in runs:
        refuse_unfinished(run)
    groups = tuple(
        _group(members, published, all_pairs, tie_mm, on_common_region, regions)
        for members in _comparable_groups(runs).values()
    )
    _refuse_strange(published, groups)
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


def _comparable_groups(runs: Sequence[RunFolder]) -> dict[tuple[str, str], list[RunFolder]]:
    # In the order of their first runs, as a reader gave them.
    groups: dict[tuple[str, str], list[RunFolder]] = {}
    for run in runs:
        groups.setdefault(Basis.of(run.record()).key, []).append(run)
    return groups


def _group(
    runs: Sequence[RunFolder],
    published: Sequence[Published],
    all_pairs: bool,
    tie_mm: float,
    on_common_region: bool,
    regions: bool,
) -> RunGroup:
    series = read_series(runs)
    for one in series:
        refuse_contradiction(one)
    record, labels = series[0].record, [one.label for one in series]
    content = scene_rows(series, published)
    common = common_region(series, content.scenes) if on_common_region else None
    tables = common.tables if common else {one.label: one.subjects for one in series}
    # The first run is what the others are held against, so it is the one that is subtracted.
    chosen = list(combinations(labels, 2)) if all_pairs else [(x, labels[0]) for x in labels[1:]]
    # Of a file that claims this protocol and names its subjects: else nothing could be paired.
    claimed = {} if common else _imported_tables(published, record)
    chosen += [(title, labels[0]) for title in claimed]
    pairs = run_pairs(
        {**tables, **claimed}, chosen, content.scenes, record.seed, tie_mm, common is not None
    )
    return RunGroup(
        basis=Basis.of(record),
        runs=series,
        scenes=content,
        pairs=pairs,
        notes=tuple(_notes(pairs, tie_mm)),
        common=common,
        **(_regions(series) if regions else {}),
    )


def _regions(series: Sequence[Series]) -> dict[str, Any]:
    return {
        "parts": {
            (run.label, scene): errors_by_part(run.subjects, scene, series[0].record.seed)
            for run in series
            for scene in dict.fromkeys(run.subjects["scene"])
        },
        "curves": {run.label: run.curves for run in series},
    }


def _imported_tables(published: Sequence[Published], record: RunRecord) -> dict[str, pd.DataFrame]:
    """Errors by subject and scene of the imported methods that claim a run's protocol, and no other
    dataset, by title."""
    tables: dict[str, list[tuple[str, str, str, float, float]]] = {}
    for row in published:
        claims = row.protocol and record.protocol_digest.startswith(row.protocol)
        # People of two sets may be called alike: `subject_01`.
        if row.errors and claims and row.dataset.lower() in ("", record.dataset.lower()):
            found = tables.setdefault(row.title, [])
            shares = row.completeness or (math.nan,) * len(row.errors)
            found += [
                (name, row.scene, f"{name}/{row.scene}", error, share)
                for (name, error), share in zip(row.errors, shares, strict=True)
            ]
    columns = ["subject", "scene", "item", ERROR, "completeness"]
    return {title: pd.DataFrame(rows, columns=columns) for title, rows in tables.items()}


def _refuse_strange(published: Sequence[Published], groups: Sequence[RunGroup]) -> None:
    """Imported rows belong into the table, and their names into one row each."""
    scenes = {scene for group in groups for scene in group.scenes.scenes}
    labels = {run.label for group in groups for run in group.runs}
    for row in published:
        if row.imported and row.scene not in scenes:
            known = ", ".join(sorted(scenes))
            raise FacebenchError(
                f"{row.title} ({row.source}) has scene {row.scene!r}, the runs have not",
                f"theirs are: {known}",
            )
        if row.imported and row.title in labels:
            raise FacebenchError(
                f"{row.source} calls its method {row.title!r}, as a run is called",
                "give it another title",
            )


def run_pairs(
    tables: dict[str, pd.DataFrame],
    chosen: Sequence[tuple[str, str]],
    scenes: Sequence[str],
    seed: int,
    tie_mm: float,
    on_common_region: bool = False,
) -> tuple[RunPair, ...]:
    """Every chosen pair in every scene, p-values corrected for all of them together.

    Args:
        tables: label to scores.
        chosen: labels of each pair.
        scenes: in table order.
        seed: of the intervals.
        tie_mm: see `compare`.
        on_common_region: whether the errors are those where all runs cover the scans.
    """
    # One seed for all: every pair is judged by the same draws of subjects.
    keys = [(*pair, scene) for pair in chosen for scene in scenes]
    found = [_pair(tables, key, seed, tie_mm, on_common_region) for key in keys]
    # One family of tests: a reader who looks for a difference reads all cells of the table.
    corrected = holm([pair.difference.p_value for pair in found]).tolist()
    return tuple(replace(pair, p_holm=p) for pair, p in zip(found, corrected, strict=True))


def _pair(
    tables: dict[str, pd.DataFrame],
    key: tuple[str, str, str],
    seed: int,
    tie_mm: float,
    on_common_region: bool,
) -> RunPair:
    """Two runs in one scene, without a p-value that is corrected."""
    both, scene = (tables[key[0]], tables[key[1]]), key[2]
    one, other = (scene_column(table, scene) for table in both)
    shares = [scene_column(table, scene, "completeness") for table in both]
    gap, unlike = unlike_shares(shares[0], shares[1], one.keys() & other.keys())
    # An error of half a face beside that of the whole one is no difference of methods.
    left_out = () if on_common_region else torn_items(gap, unlike)
    ours, theirs, subjects = shared_values(*both, scene, left_out)
    difference = paired_difference(ours, theirs, seed, subjects)
    counts = tally(ours, theirs, tie_mm, subjects)
    pair = RunPair(*key, difference, math.nan, *counts, gap, tuple(unlike), left_out)
    return replace(pair, on_common_region=on_common_region)


def tally(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    tie_mm: float,
    subjects: Sequence[str] | None = None,
) -> tuple[int, int, int]:
    """Subjects won, tied and lost of (N,) errors against (N,) of the same items, mm; `subjects`
    (N,) says whose they are."""
    difference, _ = subject_means(ours - theirs, subjects)
    # The margin included: with a margin of 0 equal errors are still a tie.
    tied = int((np.abs(difference) <= tie_mm).sum())
    wins = int((difference < -tie_mm).sum())
    return wins, tied, len(difference) - tied - wins


def _notes(pairs: Sequence[RunPair], tie_mm: float) -> Iterator[str]:
    if not pairs:
        return
    # Only tests that were made share the level: Holm does not count the others.
    tests = sum(pair.difference.testable for pair in pairs)
    tested = (
        f"; p corrected for {tests} test{'s' * (tests != 1)} (Holm). *: p is below "
        f"{LEVEL:.0%}, so that the error is lower, or higher, beyond chance."
    )
    yield (
        "Means over the subjects that both runs have a number for, below them 95 % bootstrap "
        "intervals over subjects; subjects won/tied/lost by the first of the two, a tie within "
        f"{tie_mm:g} mm" + (tested if tests else ".")
    )
    if tests < len(pairs):
        yield TOO_FEW
    nobody = [pair for pair in pairs if not pair.subjects and not pair.left_out]
    unlike = [pair for pair in pairs if pair.verdict == "unlike completeness"]
    yield from _named("No subject has a number in both", nobody)
    yield from _named(f"Not judged, {UNLIKE}:", unlike)
    # One torn face of twenty moves the mean completeness by little, and would win its comparison.
    for pair in pairs:
        if pair.unlike and pair not in unlike:
            cover = f"{pair.first} and {pair.second} cover unlike shares of the scan of"
            where = "" if pair.scene == OVERALL else f" in {pair.scene}"
            so = "left out of the difference" if pair.left_out else "less is not better there"
            yield f"{cover} {some(pair.unlike)}{where}: {so}."


def _named(words: str, pairs: Sequence[RunPair]) -> Iterator[str]:
    """A sentence for every two runs, with the scenes in which it is true."""
    scenes: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        scenes.setdefault((pair.first, pair.second), []).append(pair.scene)
    for (first, second), names in scenes.items():
        # Of a dataset without scenes "all" would be a riddle.
        where = "" if names == [OVERALL] else f": {', '.join(names)}"
        yield f"{words} {first} and {second}{where}."
