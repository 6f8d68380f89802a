"""The rules of a gate, and how a TOML file states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from ...errors import FacebenchError, did_you_mean, error_line
from ...recon.files.records import Amount, Share, bind
from ...recon.files.text import read_toml
from ..run.record import RunRecord
from ..tables.published import by_method, published_results
from ..tables.series import LEAST_COMPLETENESS

Statistic = Literal["mean_mm", "median_mm", "rmse_mm", "p90_mm", "std_mm", "mean_with_failures_mm"]
Names = tuple[Annotated[str, Field(min_length=1)], ...]

EXAMPLE = "write for example: [[limit]] max_mm = 1.5"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One table of a rules file.

    Attributes:
        methods, protocols, datasets: names of the runs it is for; none stands for all.
    """

    methods: Names = ()
    protocols: Names = ()
    datasets: Names = ()

    def skip_reason(self, record: RunRecord) -> str:
        """Why the rule is not for a run, or empty."""
        wanted = {"method": self.methods, "protocol": self.protocols, "dataset": self.datasets}
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

    scenes: Names = ()


@dataclass(frozen=True, kw_only=True)
class Limit(SceneRule):
    """A statistic of a scene must not be above a limit.

    Attributes:
        max_mm: the limit, mm.
        statistic: a number of the summary.
    """

    max_mm: Amount
    statistic: Statistic = "mean_mm"


@dataclass(frozen=True, kw_only=True)
class Regression(SceneRule):
    """The errors must not be higher than the baseline's on the same subjects.

    Attributes:
        tolerance_mm: what the mean of the differences may be above zero.
        beyond_chance: fail only where the paired test over subjects tells the difference from
            chance too; false lets the mean alone decide.
    """

    tolerance_mm: Amount
    beyond_chance: bool = True


@dataclass(frozen=True, kw_only=True)
class Coverage(SceneRule):
    """How much must have been measured, or the other numbers of the scene mean nothing.

    Attributes:
        subjects: least share of the subjects asked for that have a score.
        faces: least share of the frames read in which a face was found.
    """

    subjects: Share = 1.0
    faces: Share = 0.0


@dataclass(frozen=True, kw_only=True)
class Completeness(SceneRule):
    """How much of the scans the predictions must cover, or their errors mean nothing.

    Handing in less of a face leaves out what is hard, so a lower error of it is no better face.

    Attributes:
        mean: least share of the scan's region that is covered, mean over subjects.
        each: least share of every single subject; one torn mesh is lost in a mean.
    """

    mean: Share = 0.8
    each: Share = LEAST_COMPLETENESS


@dataclass(frozen=True, kw_only=True)
class Speed(Rule):
    """The run must not be slower than the baseline by more than a ratio.

    Attributes:
        min_ratio: least frames per second, in those of the baseline.
    """

    min_ratio: Amount


@dataclass(frozen=True, kw_only=True)
class Paper(SceneRule):
    """A warning where the mean is above a published one.

    Attributes:
        tolerance_mm: by how much it may be, mm.
        published: name of the method in the literature's table; that of the run by default.
    """

    tolerance_mm: Amount = 0.0
    published: str = ""


KINDS: Mapping[str, type[Rule]] = MappingProxyType(
    {
        "limit": Limit,
        "regression": Regression,
        "coverage": Coverage,
        "completeness": Completeness,
        "speed": Speed,
        "paper": Paper,
    }
)
"""The tables of a rules file."""


def kind_of(rule: Rule) -> str:
    """What a rules file calls it."""
    return type(rule).__name__.lower()


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, kind by kind in the file's order.

    Each is a table of an array that is named for its kind, `[[limit]]` for one; its keys are the
    fields of the kind's record.

    Raises:
        FacebenchError: the file cannot be read, holds no rules, or a key or value is wrong.
    """
    tables = _read(path)
    # Before any table is read: a misspelt kind would be a rule that is never checked.
    for kind in tables:
        if kind not in KINDS:
            raise FacebenchError(f"{path}: no kind of rule '{kind}'", did_you_mean(kind, KINDS))
    rules = [rule for kind, entries in tables.items() for rule in _entries(path, kind, entries)]
    if not rules:
        raise FacebenchError(f"{path} holds no rules", EXAMPLE)
    return tuple(rules)


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except FileNotFoundError:
        raise FacebenchError(f"{path}: no such file", "give a TOML file of rules") from None
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as TOML: {error_line(error)}") from error


def _entries(path: Path, kind: str, entries: Any) -> list[Rule]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FacebenchError(f"{path}: '{kind}' is not a list of tables", f"write [[{kind}]]")
    places = ((f"{path}: [[{kind}]] {n}", entry) for n, entry in enumerate(entries, start=1))
    return [_rule(where, KINDS[kind], entry) for where, entry in places]


def _rule(where: str, kind: type[Rule], entry: dict[str, Any]) -> Rule:
    lists = ("methods", "protocols", "datasets", "scenes")
    # A single name needs no brackets.
    table = {k: [v] if k in lists and isinstance(v, str) else v for k, v in entry.items()}
    rule = bind(kind, table, where)
    # A misspelt method would never have a number, and the rule never an answer.
    known = by_method(published_results())
    if isinstance(rule, Paper) and rule.published and rule.published not in known:
        said = f"{where}: published: nothing is known of '{rule.published}'"
        raise FacebenchError(said, did_you_mean(rule.published, known))
    return rule
