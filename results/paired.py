"""Two runs compared subject by subject, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from ..bench.statistics import PairedDifference, holm, paired_difference
from .record import RunFolder
from .scene_rows import refuse_mixture, run_label, table_title
from .subject_errors import scene_column


@dataclass(frozen=True)
class ScenePair:
    """Two runs in one scene.

    Attributes:
        scene: which.
        difference: first − second over the subjects that both have a number for.
        p_holm: the p-value corrected for the number of scenes.
    """

    scene: str
    difference: PairedDifference
    p_holm: float

    @property
    def verdict(self) -> str:
        """`lower`, `higher` or `no difference shown`, of the first run's error.

        Shown is what the interval excludes zero for.
        """
        if not self.difference.ci95_mm.excludes(0.0) or self.difference.n_subjects < 2:
            return "no difference shown"
        return "lower" if self.difference.mean_mm < 0 else "higher"


@dataclass(frozen=True)
class PairedRows:
    """The whole table.

    Attributes:
        first, second: labels of the runs.
        title: protocol and dataset with their short digests.
        rows: one a scene.
    """

    first: str
    second: str
    title: str
    rows: tuple[ScenePair, ...]


def paired_rows(first: RunFolder, second: RunFolder) -> PairedRows:
    """Compare two runs of one protocol on one dataset in the scenes both have.

    Raises:
        FacebenchError: the runs differ in protocol or dataset.
    """
    records = (first.record(), second.record())
    refuse_mixture(records)
    scenes = [scene for scene in records[0].scenes if scene in records[1].scenes]
    differences = [_difference(first, second, scene, records[0].seed) for scene in scenes]
    adjusted = holm([difference.p_value for difference in differences])
    rows = zip(scenes, differences, adjusted.tolist(), strict=True)
    return PairedRows(
        first=run_label(records[0]),
        second=run_label(records[1]),
        title=table_title(records[0]),
        rows=tuple(ScenePair(*row) for row in rows),
    )


def _difference(first: RunFolder, second: RunFolder, scene: str, seed: int) -> PairedDifference:
    ours, theirs = (scene_column(run.subjects(), scene) for run in (first, second))
    both = sorted(ours.keys() & theirs.keys())
    return paired_difference([ours[s] for s in both], [theirs[s] for s in both], seed)
