"""The runs of a table, a comparison or a page: each read once, with a label and a letter; and the
numbers by subject that tables and charts compare.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...bench.landmarks import FACE_PARTS
from ...bench.scoring.distance import CURVE_MM
from ...bench.scoring.statistics import UNKNOWN, bootstrap_means, percentile_interval, subject_means
from ...errors import FacebenchError
from ...recon.files.stores import shown
from ..run.folder import RunFolder, RunRecord
from ..run.items import item_names, of_scene, schema
from ..run.summary import SceneSummary
from .basis import Basis, differences_text, differing_fields, place_of, short_digest

N_COLOURS = 6
"""Colours of the style sheet, `--series-0` onwards; more runs share them."""

DASHES = ("none", "7 4", "2 3", "10 3 2 3", "4 2", "1 4")
"""Of the lines in charts, so that they can be told apart in grey."""

ERROR = "value_mm"
"""The protocol's own statistic of a subject, the number that tables show."""

CURVE = "curve"
"""Share of a subject's points within each threshold of `CURVE_MM`."""

ERROR_COLUMNS = ("item", "subject", "scene", ERROR)
"""What pairs and tables of subjects are made of."""
CURVE_COLUMNS = ("scene", ERROR, CURVE)
"""What `cumulative_curves` is made of."""

COMPLETENESS_TOLERANCE = 0.05
"""Rows whose shares of the scan's region differ by more are not ranked against each other: what is
left out is what is hard, so that the error of less face is lower."""

LEAST_COMPLETENESS = 0.5
"""Of a single scan: what covers less is no face any more."""

TORN_BELOW = 0.15
"""A face that covers so much less than the run's median, or than another run's of the same person,
is named, and left out of the difference: a mean over many hides it."""

PartErrors = dict[str, tuple[float, float, float]]
"""Part of the face to the mean, and the low and high end of its interval, mm."""


@dataclass(frozen=True, eq=False)
class Series:
    """One run of several.

    Attributes:
        run: its folder.
        record: `run.json`.
        label: unique among the runs.
        number: its place among them, 0 for the one that the others are compared with.
        summary: scene to summary.
        subjects: the table of scores, without its lists.
    """

    run: RunFolder
    record: RunRecord
    label: str
    number: int
    summary: dict[str, SceneSummary]
    subjects: pd.DataFrame

    @cached_property
    def curves(self) -> dict[str, NDArray[np.float64]]:
        """Scene to mean cumulative curve, see `cumulative_curves`."""
        return cumulative_curves(self.run.scores.parts(CURVE_COLUMNS))

    @property
    def place(self) -> str:
        """What the run was asked for by: its folder, or the MLflow run's id."""
        return place_of(self.run)

    @property
    def colour(self) -> str:
        """CSS colour."""
        return f"var(--series-{self.number % N_COLOURS})"

    @property
    def dashes(self) -> str:
        """Lengths of strokes and gaps."""
        return DASHES[self.number % len(DASHES)]

    @property
    def letter(self) -> str:
        """A, B, … in charts; the number where there are more runs than letters."""
        return chr(ord("A") + self.number) if self.number < 26 else str(self.number)


def read_series(runs: Sequence[RunFolder]) -> tuple[Series, ...]:
    """Read runs; equal labels get their folder's name added.

    Raises:
        FacebenchError: no runs, runs of different protocols or datasets, or one without a summary.
    """
    records = [run.record() for run in runs]
    refuse_mixture(records)
    # Two runs of one method would share a label, and every legend with it.
    labels = _unique_labels(runs, records)
    # Of the lists only the curves' means are shown: they take most of a table's memory.
    plain = [item.name for item in schema() if not pa.types.is_list(item.type)]
    return tuple(
        Series(run, record, label, number, run.summary(), run.items(plain))
        for number, (run, record, label) in enumerate(zip(runs, records, labels, strict=True))
    )


def _unique_labels(runs: Sequence[RunFolder], records: Sequence[RunRecord]) -> list[str]:
    """A label each; equal ones are distinguished by the folder's name, or else its whole path."""
    labels = [record.label for record in records]
    # The folder's name, which people know; the whole path only where that is equal too.
    for places in ([run.root.name for run in runs], [shown(run.root) for run in runs]):
        taken = Counter(labels)
        labels = [
            label if taken[label] == 1 else f"{record.label} ({place})"
            for label, record, place in zip(labels, records, places, strict=True)
        ]
    return labels


def refuse_mixture(records: Sequence[RunRecord]) -> None:
    """Numbers of different protocols or datasets never share a column.

    Raises:
        FacebenchError: shows the values that differ; or there are no runs.
    """
    if not records:
        raise FacebenchError("no runs to show", "give at least one run folder")
    for kind in ("protocol", "dataset"):
        # The digest decides, not the name: one setting more makes another protocol.
        found = {getattr(r, f"{kind}_digest"): r for r in records}
        if len(found) > 1:
            names = (f"{getattr(r, kind)} ({short_digest(d)})" for d, r in found.items())
            differing = differing_fields([Basis.of(record) for record in found.values()])
            raise FacebenchError(
                f"these runs differ in their {kind}: {' and '.join(names)}",
                f"{differences_text([d for d in differing if d.kind == kind])}; "
                f"only runs of one {kind} can be compared",
            )


def scene_column(subjects: pd.DataFrame, scene: str, column: str = ERROR) -> dict[str, float]:
    """Subject to number in a scene; without those that have none."""
    if column not in subjects:
        return {}
    # A table has a hundred columns, and pandas would filter them all.
    rows = of_scene(subjects[["item", "subject", "scene", column]], scene)
    known = rows[column].notna()
    names = item_names(rows, scene)[known]
    return dict(zip(names, rows[column][known].astype(float), strict=True))


def subject_of(items: pd.DataFrame, scene: str) -> dict[str, str]:
    """The subject of each row of a scene, by the name that `scene_column` gives it."""
    rows = of_scene(items[["item", "subject", "scene"]], scene)
    return dict(zip(item_names(rows, scene), rows["subject"].astype(str), strict=True))


def shared_values(
    first: pd.DataFrame, second: pd.DataFrame, scene: str, without: Sequence[str] = ()
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Errors (N,) and (N,), mm, and subjects (N,) of the items of a scene that both tables have a
    number for, sorted by name."""
    ours, theirs = scene_column(first, scene), scene_column(second, scene)
    owners = subject_of(first, scene)
    # Sorted, so that the bootstrap draws the same subjects whatever order the rows are in.
    both = sorted((ours.keys() & theirs.keys()) - set(without))
    return (
        np.array([ours[name] for name in both], np.float64),
        np.array([theirs[name] for name in both], np.float64),
        [owners[name] for name in both],
    )


def unlike_shares(
    ours: Mapping[str, float], theirs: Mapping[str, float], shared: Iterable[str]
) -> tuple[float, dict[str, float]]:
    """How much more of the scans the first of two runs covers, and the items that are torn in one.

    Args:
        ours, theirs: completeness by item, of those that state it.
        shared: the items that both have an error for.

    Returns:
        The mean over these items, or over those that are not torn where that is wider: infinite
        where one run alone states a share, NaN where neither does. And the items of which one
        covers more by `TORN_BELOW`, the widest gap first, with the gap: their errors are of unlike
        parts of a face, and no difference of methods.
    """
    gaps = {x: ours.get(x, -math.inf) - theirs.get(x, -math.inf) for x in sorted(shared)}
    known = [gap for gap in gaps.values() if not math.isnan(gap)]
    # One that a single run states leaves the mean unknown, whichever of the two it is.
    unstated = next(filter(math.isinf, known), None)
    # A torn face of the one may hide that it covers more of all others, which are what is compared.
    rest = [gap for gap in known if abs(gap) <= TORN_BELOW]
    means = [sum(some) / len(some) for some in (known, rest) if some]
    mean_gap = max(means, key=abs, default=math.nan)
    wide = sorted(
        (x for x, gap in gaps.items() if abs(gap) > TORN_BELOW), key=lambda x: -abs(gaps[x])
    )
    torn = {x: gaps[x] for x in wide if math.isfinite(gaps[x])}
    return (mean_gap if unstated is None else unstated), torn


def torn_items(mean_gap: float, unlike: Mapping[str, float]) -> tuple[str, ...]:
    """What a difference leaves out, of `unlike_shares`: the torn items of runs that cover like
    shares as a whole; others are not judged at all."""
    return () if abs(mean_gap) > COMPLETENESS_TOLERANCE else tuple(unlike)


def cumulative_curves(parts: Iterable[Any]) -> dict[str, NDArray[np.float64]]:
    """Scene to the mean over subjects of their shares of points within each of `CURVE_MM`, (N,).

    Args:
        parts: the `CURVE_COLUMNS` of a run's items, see `ItemsTable.parts`; those of a hundred
            thousand subjects together would take a quarter of a gigabyte.
    """
    sums: dict[str, NDArray[np.float64]] = {}
    counts = Counter[str]()
    for part in parts:
        # A curve of another length has other thresholds, or is empty: nothing was kept of it.
        whole = pc.equal(pc.list_value_length(part[CURVE]), len(CURVE_MM))
        known = part.filter(pc.and_(whole, pc.invert(pc.is_nan(part[ERROR]))))
        curves = pc.list_flatten(known[CURVE]).to_numpy().reshape(-1, len(CURVE_MM))
        scenes = known["scene"].to_numpy()
        for scene in dict.fromkeys(scenes.tolist()):
            mine = curves[scenes == scene]
            counts[scene] += len(mine)
            # Row by row, so that the digits do not depend on where a part begins.
            sums[scene] = np.add.reduce([*([sums[scene]] if scene in sums else []), *mine])
    return {scene: sums[scene] / counts[scene] for scene in sorted(sums)}


def errors_by_part(subjects: pd.DataFrame, scene: str, seed: int) -> PartErrors:
    """Part of the face to its mean error over subjects with its 95 % interval, mm.

    Empty where the run does not tell parts apart.
    """
    columns = {part: scene_column(subjects, scene, f"{part}_mm") for part in FACE_PARTS}
    owners = subject_of(subjects, scene)
    alike: dict[tuple[str, ...], list[str]] = {}
    for part, column in columns.items():
        if column:
            alike.setdefault(tuple(column), []).append(part)
    found: PartErrors = {}
    for names, parts in alike.items():
        values = np.array([[columns[part][one] for part in parts] for one in names])
        # One draw for all parts: of a thousand subjects the draw is what takes the time.
        means, counts = subject_means(values, [owners[one] for one in names])
        drawn = bootstrap_means(means, seed, weights=counts) if len(means) > 1 else None
        for place, part in enumerate(parts):
            interval = UNKNOWN if drawn is None else percentile_interval(drawn[:, place])
            found[part] = (float(values[:, place].mean()), interval.low, interval.high)
    return {part: found[part] for part in columns if part in found}
