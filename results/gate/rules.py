"""The rules of a gate: what a run must keep to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..run.record import RunRecord

Statistic = Literal["mean_mm", "median_mm", "rmse_mm", "p90_mm", "std_mm", "mean_with_failures_mm"]


def _number(least: float, most: float = float("inf"), **more: Any) -> Any:
    """A field whose value a rules file must keep within bounds."""
    return field(metadata={"least": least, "most": most}, **more)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One table of a rules file.

    Attributes:
        methods, protocols, datasets: names of the runs it is for; none stands for all.
    """

    methods: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    def unconcerned(self, record: RunRecord) -> str:
        """Why the rule is not for a run, or empty."""
        wanted = {
            "method": self.methods,
            "protocol": self.protocols,
            "dataset": self.datasets,
        }
        for name, names in wanted.items():
            if names and getattr(record, name) not in names:
                return f"for {name} {', '.join(names)}, the run's is {getattr(record, name)}"
        return ""


@dataclass(frozen=True, kw_only=True)
class SceneRule(Rule):
    """A rule that is checked scene by scene.

    Attributes:
        scenes: that must keep to it; none stands for all of the run and of the baseline.
    """

    scenes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Limit(SceneRule):
    """A statistic of a scene must not be above a limit.

    Attributes:
        max_mm: the limit, mm.
        statistic: a number of the summary.
    """

    max_mm: float = _number(0)
    statistic: Statistic = "mean_mm"


@dataclass(frozen=True, kw_only=True)
class Regression(SceneRule):
    """The errors must not be higher than the baseline's on the same subjects.

    Attributes:
        tolerance_mm: what the mean of the differences may be above zero.
    """

    tolerance_mm: float = _number(0)


@dataclass(frozen=True, kw_only=True)
class Coverage(SceneRule):
    """How much must have been measured, or the other numbers of the scene mean nothing.

    Attributes:
        subjects: least share of the subjects asked for that have a score.
        faces: least share of the frames read in which a face was found.
    """

    subjects: float = _number(0, 1, default=1.0)
    faces: float = _number(0, 1, default=0.0)


@dataclass(frozen=True, kw_only=True)
class Speed(Rule):
    """The run must not be slower than the baseline by more than a ratio.

    Attributes:
        min_ratio: least frames per second, in those of the baseline.
    """

    min_ratio: float = _number(0)


@dataclass(frozen=True, kw_only=True)
class Paper(SceneRule):
    """A warning where the mean is above a published one.

    Attributes:
        tolerance_mm: by how much it may be, mm.
        published: name of the method in the literature's table; that of the run by default.
    """

    tolerance_mm: float = _number(0, default=0.0)
    published: str = ""


KINDS: dict[str, type[Rule]] = {
    "limit": Limit,
    "regression": Regression,
    "coverage": Coverage,
    "speed": Speed,
    "paper": Paper,
}
"""The tables of a rules file."""


def kind_of(rule: Rule) -> str:
    """What a rules file calls it."""
    return type(rule).__name__.lower()
