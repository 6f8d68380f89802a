"""Text, JSON and TOML of files that anybody may have written: small, shallow, or refused.

Most functions raise only `OSError` and `ValueError`, whose texts are for a user; what the file
should have been is for the reader to say.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from ...errors import FacebenchError

MOST_JSON_BYTES = 32 * 2**20
MOST_TOML_BYTES = 2**20
DEEPEST = 50
"""Levels of lists and tables in each other; the package's own files have eight."""


def bytes_of(path: Path, most: int) -> bytes:
    """A file's content, at most so many bytes.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is larger, or a device or pipe that may never end.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"larger than {most / 2**20:g} MiB")
    return content


def text_of(path: Path, most: int = MOST_JSON_BYTES) -> str:
    """The UTF-8 text of a file.

    Raises:
        OSError, ValueError: it cannot be read, is larger, or no such text.
    """
    text = bytes_of(path, most).decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def json_of(path: Path, most: int = MOST_JSON_BYTES) -> Any:
    """What a JSON file holds.

    Raises:
        OSError, ValueError: it cannot be read, or is no JSON of at most `DEEPEST` levels.
    """
    return parsed_json(text_of(path, most))


def parsed_json(text: str) -> Any:
    """What JSON text holds.

    Raises:
        ValueError: it is no JSON of at most `DEEPEST` levels.
    """
    try:
        value = _shallow(json.loads(text))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if "\\ud" in text.lower():  # half of a pair, which no file could take again
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def plan_in(note: Path) -> dict[str, Any]:
    """The plan that a folder's work was begun with, in its `plan.json`.

    Raises:
        FacebenchError: it cannot be read.
    """
    try:
        plan = json_of(note)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{note} cannot be read ({error})", _ANOTHER_OUT) from error
    if not isinstance(plan, dict):
        raise FacebenchError(f"{note} holds no plan", _ANOTHER_OUT)
    return plan


def toml_of(path: Path, most: int = MOST_TOML_BYTES) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        OSError, ValueError: it cannot be read, or is no TOML of at most `DEEPEST` levels.
    """
    return parsed_toml(text_of(path, most))


def parsed_toml(text: str) -> dict[str, Any]:
    """What TOML text holds.

    Raises:
        ValueError: it is no TOML of at most `DEEPEST` levels.
    """
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError("a key of too many parts")
    try:
        table: dict[str, Any] = _shallow(tomllib.loads(text))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return table


_ANOTHER_OUT = "give another --out, or remove that folder"
_TOO_DEEP = f"more than {DEEPEST} levels deep"
_MOST_DOTS = 2000
"""The parser takes time in the square of a key's parts."""


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
