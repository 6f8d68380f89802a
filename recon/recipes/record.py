"""Records of a recipe from nested plain values, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ...errors import FacebenchError, did_you_mean

Record = TypeVar("Record")


def build_record(kind: type[Record], table: Mapping[str, Any], where: str) -> Record:
    """A recipe's record of nested plain values; unknown keys and wrong types are refused.

    Args:
        kind: the dataclass.
        table: its values by field name.
        where: what they describe, for the message.
    """
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise FacebenchError(f"{where}: unknown key '{key}'", did_you_mean(key, hints))
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return build_record(hint, value, where)
    if get_origin(hint) is not None and isinstance(value, Mapping):
        inner = get_args(hint)[1]
        return {key: _convert(inner, item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and type(value) in (int, float):
        return float(value)
    if type(value) is hint:
        return value
    expected = getattr(hint, "__name__", "table")
    raise FacebenchError(f"{where} is {value!r}", f"expected a value of type {expected}")
