"""Whether a record made of a file's values holds what its fields say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def checked(record: Record) -> Record:
    """A dataclass of plain values, itself.

    Raises:
        TypeError: a field holds something else than it is annotated with.
    """
    hints = get_type_hints(type(record))
    for item in fields(record):  # type: ignore[arg-type]
        value = getattr(record, item.name)
        if not _fits(hints[item.name], value):
            raise TypeError(f"{item.name} is {str(value)[:60]!r}")
    return record


def _fits(hint: Any, value: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(one, value) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and _all_fit(inner, value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            isinstance(key, str) and _fits(inner[1], item) for key, item in value.items()
        )
    return _is_a(hint, value)


def _all_fit(hints: tuple[Any, ...], values: tuple[Any, ...]) -> bool:
    if hints[-1] is Ellipsis:
        return all(_fits(hints[0], value) for value in values)
    return len(hints) == len(values) and all(map(_fits, hints, values))


def _is_a(kind: Any, value: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return type(value) is int
    return isinstance(value, NoneType if kind is None else kind)
