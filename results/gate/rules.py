"""The rules of a gate, and how a TOML file states them."""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ...errors import FacebenchError, did_you_mean
from ...recon.files.text import read_toml
from ..run.record import RunRecord
from ..tables.published import by_method, published_results

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


EXAMPLE = "write for example: [[limit]] max_mm = 1.5"


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, kind by kind in the file's order.

    Each is a table of an array that is named for its kind: `[[limit]]`, `[[regression]]`,
    `[[coverage]]`, `[[speed]]`, `[[paper]]`; their keys are the fields of `rules`.

    Raises:
        FacebenchError: the file cannot be read, holds no rules, or a key or value is wrong.
    """
    tables = _read(path)
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
        raise FacebenchError(f"{path}: cannot be read as TOML: {error}") from error


def _entries(path: Path, kind: str, entries: Any) -> list[Rule]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FacebenchError(f"{path}: '{kind}' is not a list of tables", f"write [[{kind}]]")
    return [
        _rule(f"{path}: [[{kind}]] {number}", KINDS[kind], entry)
        for number, entry in enumerate(entries, start=1)
    ]


def _rule(where: str, kind: type[Rule], entry: dict[str, Any]) -> Rule:
    known = {item.name: item for item in fields(kind)}
    hints = get_type_hints(kind)
    for key in entry:
        if key not in known:
            raise FacebenchError(f"{where}: unknown key '{key}'", did_you_mean(key, known))
    for name, item in known.items():
        if item.default is MISSING and name not in entry:
            raise FacebenchError(f"{where}: lacks the key '{name}'", f"write {name} = NUMBER")
    rule = kind(**{k: _value(f"{where}: {k}", hints[k], known[k], v) for k, v in entry.items()})
    _check_published(where, rule)
    return rule


def _value(where: str, hint: Any, item: Field[Any], value: Any) -> Any:
    if hint is float:
        return _bounded(where, item, value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise FacebenchError(
                f"{where}: unknown '{value}'", did_you_mean(str(value), get_args(hint))
            )
        return value
    if hint is str:
        if not isinstance(value, str):
            raise FacebenchError(f"{where}: {value!r} is not a name", "put it in quotes")
        return value
    return _names(where, value)


def _bounded(where: str, item: Field[Any], value: Any) -> float:
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not number or not math.isfinite(value):
        raise FacebenchError(f"{where}: {value!r} is not a number")
    least, most = item.metadata["least"], item.metadata["most"]
    if not least <= value <= most:
        bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise FacebenchError(f"{where}: {value} is out of range", f"expected {bounds}")
    return float(value)


def _names(where: str, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise FacebenchError(f"{where}: {value!r} is not a list of names", 'write ["…", "…"]')
    return tuple(names)


def _check_published(where: str, rule: Rule) -> None:
    known = by_method(published_results())
    if isinstance(rule, Paper) and rule.published and rule.published not in known:
        said = f"{where}: published: nothing is known of '{rule.published}'"
        raise FacebenchError(said, did_you_mean(rule.published, known))
