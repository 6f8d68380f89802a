"""Settings bound to a record's fields from text, TOML and JSON, with the fields' own bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ...errors import FacebenchError, did_you_mean, nearest_name

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Settings = TypeVar("Settings")


def bind(settings: Settings, values: Sequence[tuple[str, Any]]) -> Settings:
    """A frozen record of records with some values changed.

    Args:
        settings: a dataclass whose fields, but for `name`, are dataclasses of plain values.
        values: pairs of `section.field` and a value as text, or as TOML or JSON gave it.

    Raises:
        FacebenchError: for an unknown key, with the nearest known one, or for a value that its
            field does not allow, with what it allows.
    """
    kinds = {
        f"{section.name}.{name}": kind
        for section in dataclasses.fields(settings)  # type: ignore[arg-type]
        if section.name != "name"
        for name, kind in get_type_hints(
            type(getattr(settings, section.name)), include_extras=True
        ).items()
    }
    for key, value in values:
        if key not in kinds:
            raise FacebenchError(f"unknown protocol setting '{key}'", _nearest_key(key, kinds))
        section, name = key.split(".")
        # One by one, so that the first wrong one is named, in the order in which they were given.
        part = dataclasses.replace(
            getattr(settings, section), **{name: _bound(key, kinds[key], value)}
        )
        settings = dataclasses.replace(settings, **{section: part})  # type: ignore[type-var]
    return settings


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


def subject_radii(text: str) -> dict[str, float]:
    """Radii (mm) by subject in lower case, of text like `subject_28=60, subject_30=80`.

    Raises:
        FacebenchError: for text of another form.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    radii = [_subject_radius(part) for part in parts]
    if len(twice := [name for name, _ in radii]) > len(set(twice)):
        one = next(name for name in twice if twice.count(name) > 1)
        raise FacebenchError(
            f"protocol setting crop.exceptions_mm: two radii for '{one}'", "give each subject one"
        )
    return dict(radii)


def _subject_radius(part: str) -> tuple[str, float]:
    subject, _, radius = (word.strip() for word in part.partition("="))
    try:
        value = float(radius)
    except ValueError:
        value = math.nan
    # `not above`, not `below or equal`: NaN is neither.
    if not subject or not value > 0:
        raise FacebenchError(
            f"protocol setting crop.exceptions_mm: '{part}'", "expected subject_28=60, in mm"
        )
    return subject.lower(), value


def _nearest_key(key: str, known: Iterable[str]) -> str:
    """A hint for `section.field`: the nearest whole, else the nearest last part."""
    names = list(known)
    # `radius_mm` and `cropp.radius_mm` both mean `crop.radius_mm`.
    last = {name.rpartition(".")[2]: name for name in names}
    near = nearest_name(key, names) or last.get(
        nearest_name(key.rpartition(".")[2], last) or "", ""
    )
    return f"did you mean '{near}'?" if near else did_you_mean(key, names)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # Only for a value: an unknown name is refused without this import.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _bound(key: str, kind: Any, value: Any) -> Any:
    # TOML's true is 1 to pydantic, and a text "1" a bool: neither is what somebody meant.
    mistaken = isinstance(value, bool) and kind is not bool
    text = str(value).lower() if kind is bool else value
    try:
        if mistaken or (kind is bool and text not in ("true", "false")):
            raise ValueError
        return _adapter(kind).validate_python(text)
    except ValueError as error:  # pydantic's own is one
        choices = _choices(kind)
        near = nearest_name(str(value), choices) if choices else None
        hint = f"did you mean '{near}'? " if near else ""
        raise FacebenchError(
            f"protocol setting {key}: '{value}' is not {allowed(kind)}", hint.strip()
        ) from error


def _choices(kind: Any) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    return ("true", "false") if kind is bool else ()


def allowed(kind: Any) -> str:
    """What a field's type allows, in words: `one of a, b`, `a number above 0`."""
    choices = _choices(kind)
    if choices:
        return f"one of {', '.join(choices)}"
    # The field's own bounds, from where they are checked: nothing is said twice.
    schema = _adapter(kind).json_schema()
    if schema.get("type") == "string":
        return "a text"
    number = "a whole number" if schema.get("type") == "integer" else "a number"
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    bounds = [
        f"above {above:g}" if above is not None else "",
        f"of at least {low:g}" if low is not None else "",
        f"up to {schema['maximum']:,.10g}" if "maximum" in schema else "",
    ]
    return " ".join([number if "type" in schema else "allowed", " and ".join(filter(None, bounds))])
