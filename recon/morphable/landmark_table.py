"""Files that say at which vertex each iBUG landmark lies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.text import parsed_toml, text_of

_MOST_BYTES = 2**20
_EXPECTED = (
    "expected 68 vertex numbers counted from 0 (-1: none), or a TOML table of "
    "'iBUG number = vertex' like eos' ibug_to_sfm.txt, iBUG counted from 1"
)


def read_landmark_table(path: Path, n_vertices: int) -> NDArray[np.int64]:
    """Vertex (68,) of each landmark, -1 where the file names none.

    Raises:
        FacebenchError: the file is missing, of another form, or names vertices that are not there.
    """
    try:
        text = text_of(path, _MOST_BYTES)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: unreadable landmarks", _EXPECTED) from error
    landmarks = _from_toml(text, path) if "=" in text else _from_list(text, path)
    if landmarks.max() >= n_vertices or landmarks.min() < -1 or (landmarks < 0).all():
        raise FacebenchError(
            f"{path}: landmarks name vertices {landmarks.min()} to {landmarks.max()}",
            f"the model's vertices are 0 to {n_vertices - 1}; is it another model's table?",
        )
    return landmarks


def _from_list(text: str, path: Path) -> NDArray[np.int64]:
    try:
        numbers = np.array(text.split(), np.int64)
    except (ValueError, OverflowError) as error:
        raise FacebenchError(f"{path}: no landmark table", _EXPECTED) from error
    if numbers.shape != (68,):
        raise FacebenchError(f"{path}: {numbers.size} landmarks", _EXPECTED)
    return numbers


def _from_toml(text: str, path: Path) -> NDArray[np.int64]:
    """The table whose keys are landmark numbers, at the top level or one level down."""
    try:
        parsed = parsed_toml(text)
    except ValueError as error:
        raise FacebenchError(f"{path}: no landmark table ({error})", _EXPECTED) from error
    landmarks = np.full(68, -1, np.int64)
    for number, vertex in _entries(parsed):
        landmarks[number - 1] = vertex
    if (landmarks < 0).all():
        raise FacebenchError(f"{path}: no landmark in it", _EXPECTED)
    return landmarks


def _entries(parsed: dict[str, Any]) -> list[tuple[int, int]]:
    tables = [parsed, *(value for value in parsed.values() if isinstance(value, dict))]
    return [
        (int(key), vertex)
        for table in tables
        for key, vertex in table.items()
        if re.fullmatch(r"[0-9]{1,2}", key) and 1 <= int(key) <= 68
        if type(vertex) is int and -1 <= vertex < 2**31
    ]
