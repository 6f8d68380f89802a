"""Records from plain values (TOML, JSON), under the types and bounds that their fields state.

A record is a frozen dataclass or a pydantic model. Bounds are part of a field's type, as in
`Annotated[float, Field(gt=0)]`, choices a `Literal`; what joins two fields is `__post_init__`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from ...errors import FacebenchError, did_you_mean

Record = TypeVar("Record")
Schema = Mapping[str, Any]
"""A JSON schema, or a part of one."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]

_BOUNDS = {
    "multipleOf": "a multiple of {}",
    "exclusiveMinimum": "more than {}",
    "minimum": "{} or more",
    "maximum": "{} or less",
    "exclusiveMaximum": "below {}",
}
_TYPES = {
    "integer": "int",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "array": "list",
}
_LONGEST = 100
_BOUND_ERRORS = {
    *("greater_than", "greater_than_equal", "less_than", "less_than_equal"),
    *("multiple_of", "finite_number"),
}


def bind(model: type[Record], table: Mapping[str, Any], where: str) -> Record:
    """A record of nested plain values, each of exactly the stated type; an int may be a float.

    Args:
        model: the record's class.
        table: its values by field name; fields that are left out keep their defaults.
        where: what they describe, for the message.

    Raises:
        FacebenchError: an unknown key (with the nearest name), a missing one, or a value of another
            type or outside of the field's bounds (with what the field allows).
    """
    # As an object: mypy does not see that the class behind a type variable can be hashed.
    key: object = model
    adapter: TypeAdapter[Record] = _adapter(key)
    schema = _schema(key)
    # Keys first: a mistyped one would otherwise be reported as missing or dropped in silence.
    for path, key, known in _unknown_keys(schema, schema, table, ""):
        raise FacebenchError(f"{where}: unknown key '{path}{key}'", did_you_mean(key, known))
    try:
        # By way of JSON: there strict types still take a table for a record and a list for a tuple.
        return adapter.validate_json(json.dumps(table, default=_refuse), strict=True)
    except ValidationError as error:
        raise _one_error(error, schema, where) from error
    except (TypeError, ValueError) as error:
        raise FacebenchError(f"{where}: {error}", "give text, numbers and tables") from error


def _refuse(value: object) -> str:
    raise TypeError(f"'{value}' is a {type(value).__name__}")  # a date or time of TOML


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


@cache
def _schema(model: object) -> Schema:
    return _adapter(model).json_schema()


def _unknown_keys(
    schema: Schema, part: Schema, value: Any, path: str
) -> Iterator[tuple[str, str, list[str]]]:
    """Path, name and known names of every key that no field has."""
    part = _resolve(schema, part)
    if isinstance(value, Mapping):
        known = part.get("properties")
        for key, inner in value.items():
            if known is not None and key not in known:
                yield path, str(key), list(known)
            yield from _unknown_keys(schema, _child(part, key), inner, f"{path}{key}.")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from _unknown_keys(schema, _child(part, index), inner, f"{path}{index}.")


def _resolve(schema: Schema, part: Schema) -> Schema:
    """A part with its reference followed; of alternatives, the one with most to say."""
    if reference := part.get("$ref"):
        part = schema["$defs"][reference.rsplit("/", 1)[1]]
    if alternatives := part.get("anyOf"):
        return max((_resolve(schema, one) for one in alternatives), key=len)
    return part


def _child(part: Schema, step: str | int) -> Schema:
    """What the schema says of a record's field, a table's value or a list's element."""
    if isinstance(step, int):
        places = part.get("prefixItems", ())
        found = places[step] if step < len(places) else part.get("items", {})
    else:
        found = part.get("properties", {}).get(step, part.get("additionalProperties", {}))
    return found if isinstance(found, Mapping) else {}


def _one_error(error: ValidationError, schema: Schema, where: str) -> FacebenchError:
    """The first mistake, with what its field allows."""
    first = error.errors(include_url=False)[0]
    kind, value, part = first["type"], first["input"], schema
    for step in first["loc"]:
        part = _child(_resolve(schema, part), step)
    part = _resolve(schema, part)
    path = ".".join(map(str, first["loc"]))
    if kind == "missing":
        return FacebenchError(f"{where}: '{path}' is missing", "give it a value")
    shown = text if len(text := repr(value)) <= _LONGEST else f"{text[:_LONGEST]}…"
    said = f"{where}: {path} is {shown}" if path else f"{where} is {shown}"
    if known := _choices(part):
        return FacebenchError(said, did_you_mean(str(value), known))
    if kind in _BOUND_ERRORS:
        finite = "a finite number, " if kind == "finite_number" else ""
        return FacebenchError(said, f"give {finite}{_allowed_values(part)}")
    if kind == "string_too_short":
        return FacebenchError(said, "give text that is not empty, or leave it out")
    if kind == "value_error":
        return FacebenchError(said, str(first["ctx"]["error"]))
    return FacebenchError(
        said, f"expected a value of type {_TYPES.get(str(part.get('type')), 'table')}"
    )


def _choices(part: Schema) -> list[str]:
    """The only values a field may have, where it says so."""
    return [str(one) for one in part.get("enum", [part["const"]] if "const" in part else [])]


def _allowed_values(part: Schema) -> str:
    """A field's bounds in words."""
    low, high = part.get("minimum"), part.get("maximum")
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    bounds = [text.format(f"{part[key]:g}") for key, text in _BOUNDS.items() if key in part]
    return " and ".join(bounds) or "no infinity"
