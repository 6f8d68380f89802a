"""Rules from a TOML file, every mistake told with its key."""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ...bench.protocol.values import nearest
from ...errors import FacebenchError
from ...recon.files.text import toml_of
from ..tables.published import by_method, published_results
from .rules import KINDS, Paper, Rule

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
            raise FacebenchError(f"{path}: no kind of rule '{kind}'", nearest(kind, KINDS))
    rules = [rule for kind, entries in tables.items() for rule in _entries(path, kind, entries)]
    if not rules:
        raise FacebenchError(f"{path} holds no rules", EXAMPLE)
    return tuple(rules)


def _read(path: Path) -> dict[str, Any]:
    try:
        return toml_of(path)
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
            raise FacebenchError(f"{where}: unknown key '{key}'", nearest(key, known))
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
            raise FacebenchError(f"{where}: unknown '{value}'", nearest(str(value), get_args(hint)))
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
        raise FacebenchError(said, nearest(rule.published, known))
