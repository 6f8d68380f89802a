"""Values of nested settings from text, TOML and JSON, each of its field's type."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ...errors import FacebenchError, did_you_mean, nearest_name

Settings = TypeVar("Settings")


def changed(settings: Settings, key: str, value: Any) -> Settings:
    """A frozen record of records with one value changed.

    Args:
        settings: a dataclass whose fields, but for `name`, are dataclasses of plain values.
        key: `section.field`.
        value: as text, or as TOML or JSON gave it.

    Raises:
        FacebenchError: for an unknown key or a value of another kind, with the nearest known one.
    """
    sections = [field.name for field in dataclasses.fields(settings)]  # type: ignore[arg-type]
    kinds = {
        f"{section}.{name}": kind
        for section in sections
        if section != "name"
        for name, kind in get_type_hints(type(getattr(settings, section))).items()
    }
    if key not in kinds:
        raise FacebenchError(f"unknown protocol setting '{key}'", nearest_key(key, kinds))
    section, name = key.split(".")
    parsed = _parse(key, kinds[key], value)
    part = dataclasses.replace(getattr(settings, section), **{name: parsed})
    return dataclasses.replace(settings, **{section: part})  # type: ignore[type-var]


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested values as pairs of `section.field` and value, in their order."""
    flat: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat += flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same nested values with infinity as the text `inf`, since JSON has no number for it."""
    return {
        key: plain(value) if isinstance(value, Mapping) else "inf" if value == math.inf else value
        for key, value in values.items()
    }


def nearest_key(key: str, known: Iterable[str]) -> str:
    """The same for `section.field`: the nearest whole, else the nearest last part."""
    names = list(known)
    last = {name.rpartition(".")[2]: name for name in names}
    near = None if nearest_name(key, names) else nearest_name(key.rpartition(".")[2], last)
    return f"did you mean '{last[near]}'?" if near else did_you_mean(key, names)


def subject_radii(text: str) -> dict[str, float]:
    """Radii (mm) by subject in lower case, of text like `subject_28=60, subject_30=80`.

    Raises:
        FacebenchError: for text of another form.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return dict(_subject_radius(part) for part in parts)


def _subject_radius(part: str) -> tuple[str, float]:
    subject, _, radius = (word.strip() for word in part.partition("="))
    try:
        value = float(radius)
    except ValueError:
        value = math.nan
    if not subject or not value > 0:
        raise FacebenchError(
            f"protocol setting crop.exceptions_mm: '{part}'", "expected subject_28=60, in mm"
        )
    return subject.lower(), value


def _parse(key: str, kind: Any, value: Any) -> Any:
    if get_origin(kind) is Literal:
        return _choice(key, get_args(kind), value)
    if kind is bool:
        return _choice(key, ("true", "false"), str(value).lower()) == "true"
    return str(value) if kind is str else _positive(key, kind, value)


def _choice(key: str, choices: tuple[str, ...], value: Any) -> str:
    if value not in choices:
        raise FacebenchError(
            f"protocol setting {key}: unknown value '{value}'", did_you_mean(str(value), choices)
        )
    return str(value)


def _positive(key: str, kind: type[int] | type[float], value: Any) -> float:
    try:
        number = float(str(value))
    except ValueError as error:
        raise FacebenchError(f"protocol setting {key}: '{value}' is not a number") from error
    if not number > 0:
        raise FacebenchError(f"protocol setting {key}: {value} is not above zero")
    if kind is int and not number.is_integer():
        raise FacebenchError(f"protocol setting {key}: {value} is not a whole number")
    return kind(number)
