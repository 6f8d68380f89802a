"""Text, JSON and TOML: read of files that anybody may have written, small, shallow, or refused; and
written in one step.

Most functions raise only `OSError` and `ValueError`, whose texts are for a user; what the file
should have been is for the reader to say.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ...errors import FacebenchError, visible
from .contents import START_BYTES, not_the_file
from .writing import atomic_write

MOST_JSON_BYTES = 32 * 2**20
MOST_TOML_BYTES = 2**20
DEEPEST = 50
"""Levels of lists and tables in each other; the package's own files have eight."""

SPREADSHEET = "cp1252"
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")

_ANOTHER_OUT = "give another --out, or remove that folder"
_TOO_DEEP = f"more than {DEEPEST} levels deep"
_MOST_DOTS = 2000
"""The parser takes time in the square of a key's parts."""

Record = TypeVar("Record")


def read_bytes(path: Path, most: int) -> bytes:
    """A file's content, at most so many bytes.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is larger, a device or pipe that may never end, or what stands in the place
            of a file that was never fetched.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"larger than {most / 2**20:g} MiB")
    if instead := not_the_file(content[:START_BYTES]):
        raise ValueError(f"{instead[0]}; {instead[1]}")
    return content


def read_text(path: Path, most: int = MOST_JSON_BYTES) -> str:
    """The text of a file, UTF-8 or with the mark of UTF-16.

    Raises:
        OSError, ValueError: it cannot be read, is larger, or no such text.
    """
    return decode_text(read_bytes(path, most))


def decode_text(content: bytes, fallback: str = "utf-8") -> str:
    """Text of any of the encodings that editors, shells and spreadsheets write, with line feeds.

    Args:
        content: UTF-8, or UTF-16 with its mark.
        fallback: encoding of what is neither; that of spreadsheets in Europe is `SPREADSHEET`.

    Raises:
        ValueError: it is no text.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16")
    else:
        try:
            text = content.decode("utf-8-sig")  # a mark is no content
        except UnicodeDecodeError as error:
            if fallback == "utf-8":
                line = content[: error.start].count(b"\n") + 1
                found = f"byte 0x{content[error.start]:02x} in line {line:,}"
                raise ValueError(f"no UTF-8 text ({found}); save it as UTF-8") from None
            text = content.decode(fallback, "replace")
    if "\0" in text:
        raise ValueError("no text, or UTF-16 without its mark")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_utf8(name: str) -> bool:
    """Whether a file's name can be written down: bytes that are no UTF-8 are lone surrogates."""
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def decimal_point(word: str) -> str:
    """A number with a decimal point where it has a decimal comma; any other word as it is."""
    return word.replace(",", ".") if _DECIMAL_COMMA.fullmatch(word) else word


def table_rows(text: str) -> list[tuple[int, list[str]]]:
    """Rows of a CSV table with their lines, from 1, whatever a spreadsheet's country separates by.

    Cells are parted by what the first line has of semicolons, tabs and commas, or by what a line
    `sep=;` above it says; they may be quoted. Numbers get a decimal point. Rows of empty cells do
    not count.

    Raises:
        ValueError: a cell of more than 128 KiB.
    """
    lines = text.split("\n")
    told = re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE)
    if told:
        lines[0] = ""  # numbers of lines stay
    first = next((line for line in lines if line.strip()), "")
    separator = told[1] if told else next((one for one in ";\t" if one in first), ",")
    rows = [(number, split_cells(line, separator)) for number, line in enumerate(lines, start=1)]
    return [(number, cells) for number, cells in rows if any(cells)]


def split_cells(line: str, separator: str | None) -> list[str]:
    """Cells of a line, quoted or not, without blanks around them; numbers get a decimal point.

    Args:
        line: the text.
        separator: what parts them; None for blanks.

    Raises:
        ValueError: a cell of more than 128 KiB.
    """
    parts = line.split(separator)
    if separator and '"' in line:
        import csv

        try:
            parts = next(csv.reader([line], delimiter=separator))
        except csv.Error as error:
            raise ValueError(str(error)) from None
    cells = [part.strip() for part in parts]
    # Between commas `"1,234"` may mean a thousand: it stays as it is, and is no number.
    return [c if separator == "," and _THOUSANDS.fullmatch(c) else decimal_point(c) for c in cells]


def read_json(path: Path, most: int = MOST_JSON_BYTES) -> Any:
    """What a JSON file holds.

    Raises:
        OSError, ValueError: it cannot be read, or is no JSON of at most `DEEPEST` levels.
    """
    return parse_json(read_text(path, most))


def parse_json(text: str) -> Any:
    """What JSON text holds.

    Raises:
        ValueError: it is no JSON of at most `DEEPEST` levels.
    """
    try:
        value = _shallow(json.loads(text, object_pairs_hook=_single_keys))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        _refuse_digits(error)
        raise
    if "\\ud" in text.lower():  # half of a pair, which no file could take again
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def hold_to_plan(note: Path, plan: Mapping[str, Any], *folders: Path) -> None:
    """Note the plan that work in folders is begun with, or check that it is the one it had.

    Args:
        note: the `plan.json`.
        plan: what decides the result, as values that JSON keeps.
        *folders: of the work, for the message; its own first.

    Raises:
        FacebenchError: the work was begun with another plan, or the note cannot be read.
    """
    if not note.exists():
        write_json(note, plan)
        return
    try:
        theirs: Any = read_json(note)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{note} cannot be read ({error})", _ANOTHER_OUT) from error
    if not isinstance(theirs, dict):
        raise FacebenchError(f"{note} holds no plan", _ANOTHER_OUT)
    # Both sides' keys: a setting that only one version knows is a difference, too.
    for key in sorted(plan.keys() | theirs.keys()):
        if theirs.get(key) != plan.get(key):
            raise FacebenchError(
                f"{folders[0]} was begun with {key} {theirs.get(key)}, not {plan.get(key)}",
                f"give another --out, or remove {' and '.join(map(str, folders))}",
            )


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        OSError, ValueError: it cannot be read, or is no TOML of at most `DEEPEST` levels.
    """
    return parse_toml(read_text(path, MOST_TOML_BYTES))


def parse_toml(text: str) -> dict[str, Any]:
    """What TOML text holds.

    Raises:
        ValueError: it is no TOML of at most `DEEPEST` levels.
    """
    import tomllib

    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError("a key of too many parts")
    try:
        table: dict[str, Any] = _shallow(tomllib.loads(text))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        _refuse_digits(error)
        raise
    return table


def _single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON; of a key given twice JSON's own readers keep the last, in silence."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in table if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return table


def _refuse_digits(error: ValueError) -> None:
    """Say in words for a user that Python's own limit for whole numbers ended the reading."""
    if "int_max_str_digits" in str(error):
        most = sys.get_int_max_str_digits()
        raise ValueError(f"a number of more than {most:,} digits") from error


def _shallow(value: Any) -> Any:
    """The value itself; looked at level by level, because what is deep breaks recursion."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def check_fields(record: Record) -> Record:
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


def write_text(path: Path, text: str) -> None:
    """Write text in one step."""
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step; NaN and infinity, which JSON lacks, become null."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """JSON that a terminal may show, ending in a new line: every control character is escaped."""
    text = json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False)
    return "\n".join(map(_escape, text.split("\n"))) + "\n"


def _escape(line: str) -> str:
    # JSON itself escapes what is below 0x20 only. Outside of texts there is none of these.
    if line.isascii() and "\x7f" not in line:
        return line
    return "".join(
        json.dumps(letter)[1:-1] if visible(letter) != letter else letter for letter in line
    ).replace("\x7f", "\\u007f")


def finite(value: Any) -> Any:
    """The same nested lists and dicts with None for every float that is not finite."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
