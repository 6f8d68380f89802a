"""Text and JSON, and files of them that are either the old ones or the new ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..errors import visible
from ..recon.files.writing import atomic_write

__all__ = ["atomic_write", "finite", "json_text", "write_json", "write_text"]


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
