"""What a comparison of runs says, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from ..tables.basis import Basis, FieldDifference
from ..tables.paired import ScenePair
from ..tables.scene_rows import SceneRows


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
