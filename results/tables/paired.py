"""Two runs compared subject by subject, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from ...bench.scoring.statistics import FEWEST_SUBJECTS, PairedDifference, holm, paired_difference
from ..run.folder import RunFolder
from .scenes import refuse_mixture, table_title, unique_labels
from .subject_errors import shared_values

LEVEL = 0.05
"""Of the tests, together: a verdict is wrong in this share of comparisons without a difference."""

TOO_FEW = (
    f"No p-value with fewer than {FEWEST_SUBJECTS} subjects: even when all of them differ in the "
    f"same direction, chance alone does that in more than {LEVEL:.0%} of comparisons."
)


@dataclass(frozen=True)
class ScenePair:
    """Two runs in one scene.

    Attributes:
        scene: which.
        difference: first − second over the subjects that both have a number for.
        p_holm: the p-value corrected for the number of scenes; NaN with too few subjects.
    """

    scene: str
    difference: PairedDifference
    p_holm: float

    @property
    def verdict(self) -> str:
        """`lower`, `higher`, `no difference shown` or `too few subjects`, of the first run's error.

        Shown is what the corrected test rejects at `LEVEL`.
        """
        if not self.difference.testable:
            return "too few subjects"
        if not self.p_holm < LEVEL:
            return "no difference shown"
        return "lower" if self.difference.mean_mm < 0 else "higher"


@dataclass(frozen=True)
class PairedRows:
    """The whole table.

    Attributes:
        first, second: labels of the runs.
        title: protocol and dataset with their short digests.
        rows: one a scene.
        notes: one line each, shown under the table.
    """

    first: str
    second: str
    title: str
    rows: tuple[ScenePair, ...]
    notes: tuple[str, ...] = ()


def paired_rows(first: RunFolder, second: RunFolder) -> PairedRows:
    """Compare two runs of one protocol on one dataset in the scenes both have.

    Raises:
        FacebenchError: the runs differ in protocol or dataset.
    """
    records = (first.record(), second.record())
    refuse_mixture(records)
    labels = unique_labels((first, second), records)
    scenes = [scene for scene in records[0].scenes if scene in records[1].scenes]
    differences = [_difference(first, second, scene, records[0].seed) for scene in scenes]
    adjusted = holm([difference.p_value for difference in differences])
    rows = zip(scenes, differences, adjusted.tolist(), strict=True)
    return PairedRows(
        first=labels[0],
        second=labels[1],
        title=table_title(records[0]),
        rows=tuple(ScenePair(*row) for row in rows),
        notes=() if all(item.testable for item in differences) else (TOO_FEW,),
    )


def _difference(first: RunFolder, second: RunFolder, scene: str, seed: int) -> PairedDifference:
    return paired_difference(*shared_values(first.subjects(), second.subjects(), scene), seed)
