"""Points that people have put on faces, as the many programs write them: 68, 51, 7 or 5 of them.

One reader for two and three dimensions: `.pts` of iBUG, text and CSV with or without a header, and
NumPy arrays with an axis too many or the axes exchanged.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ..files.tables import read_npy_array
from ..files.text import read_bytes

MOST_BYTES = 2**20
FARTHEST = 1e30
"""In any unit that somebody may have meant; sums of squares stay far from the end of float64."""

_MARK = "\ufeff"
_HEADER_LINES = 5
_BRACES = re.compile(r"\{([^{}]*)\}")
_SEPARATORS = re.compile(r"[\s,;]+")

Points = NDArray[np.float64]


def read_points(path: Path, axes: int) -> Points:
    """The points (N, axes) of a label file, in its own order and numbers.

    `.npy` holds an array (N, axes), (axes, N) or either with axes of length 1. Everything else is
    text: one point a line, or all in one line, numbers separated by blanks, tabs, commas or
    semicolons; a line may begin with a name or number of its point where every line does. Lines
    without numbers at the top, empty lines and those that begin with `#` or `//` do not count. Of
    `.pts` the part in braces counts.

    Raises:
        FacebenchError: the file cannot be read, or a line is no point.
    """
    if path.suffix.lower() == ".npy":
        array = read_npy_array(path, MOST_BYTES)
        return _near_enough(_points_of_array(array, axes, str(path)), str(path))
    try:
        text = decode_text(read_bytes(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        raise FacebenchError(
            f"{path}: cannot be read as landmarks ({error_line(error)})"
        ) from error
    return _near_enough(points_of_text(text, axes, str(path)), str(path))


def _near_enough(points: Points, name: str) -> Points:
    # Squares of such numbers are infinite, on which a decomposition need not end; NaN is unknown.
    far = np.flatnonzero((np.abs(points) > FARTHEST).any(axis=1))
    if len(far):
        value = float(np.nanmax(np.abs(points[far[0]])))
        raise FacebenchError(
            f"{name}: point {far[0] + 1} has the coordinate {value:.3g}, beyond any face",
            "correct the number, or leave the file out",
        )
    return points


def decode_text(content: bytes) -> str:
    """Text of any of the encodings that spreadsheets and editors write.

    Raises:
        ValueError: it is no text.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16")
    else:
        text = content.decode("utf-8-sig")
    if "\0" in text:
        raise ValueError("no text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def points_of_text(text: str, axes: int, name: str) -> Points:
    """The points (N, axes) of a label file's text; see `read_points`.

    Raises:
        FacebenchError: a line is no point.
    """
    text = text.removeprefix(_MARK)
    braces = _BRACES.search(text)
    first = 1
    if braces is not None:
        first += text.count("\n", 0, braces.start(1))
        text = braces[1]
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=first)]
    lines = [(n, line) for n, line in lines if line and not line.startswith(("#", "//"))]
    rows = [(number, line, _SEPARATORS.split(line.strip(",; \t"))) for number, line in lines]
    # What a table is headed by has no numbers; a row further down that has none is a fault.
    heads = 0
    while heads < min(len(rows), _HEADER_LINES) and not any(map(_is_number, rows[heads][2])):
        heads += 1
    # Words that no number follows head nothing: then the first line is the fault, not the sixth.
    if rows and (heads == len(rows) or not any(map(_is_number, rows[heads][2]))):
        heads = 0
    # The count of the points is none of them either, alone on a line or after its name.
    if heads < len(rows) and rows[heads][2][-1] == str(len(rows) - heads - 1):
        heads += len(rows[heads][2]) == 1 or rows[heads][2][0].endswith(":")
    return _table(rows[heads:], axes, name)


def _table(rows: list[tuple[int, str, list[str]]], axes: int, name: str) -> Points:
    if len(rows) == 1 and len(rows[0][2]) > axes + 1 and not len(rows[0][2]) % axes:
        # All points in a line: x0 y0 x1 y1 ...
        number, line, words = rows[0]
        parts = zip(*(iter(words),) * axes, strict=True)
        rows = [(number, line, list(part)) for part in parts]
    width = len(rows[0][2]) if rows else axes
    # A first column of names or of numbers that count is none of the coordinates.
    labelled = width == axes + 1 and _counts_or_names([words[0] for _, _, words in rows])
    points = []
    for number, line, words in rows:
        values = words[1:] if labelled else words
        if len(values) != axes or not all(map(_is_number, values)):
            wanted = " ".join("xyz"[:axes])
            count = {2: "two", 3: "three"}[axes]
            shown = line if len(line) <= 60 else f"{line[:59]}…"
            raise FacebenchError(
                f"{name}: line {number}: '{shown}' is not {count} numbers", f"expected {wanted}"
            )
        points.append([float(value) for value in values])
    return np.array(points, np.float64).reshape(-1, axes)


def _counts_or_names(column: list[str]) -> bool:
    if not any(map(_is_number, column)):
        return True
    whole = [word for word in column if word.isdecimal()]
    if len(whole) < len(column) or len(column) < 2:
        return False
    numbers = [int(word) for word in whole]
    return numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word  # Python takes 1_000, nobody means it


def _points_of_array(array: NDArray[np.generic], axes: int, name: str) -> Points:
    """An array as (N, axes), whichever way its axes lie."""
    shape = array.shape
    if array.dtype.kind not in "fiu":
        raise FacebenchError(f"{name}: is {array.dtype} {shape}", "expected numbers")
    flat = array.reshape([length for length in shape if length != 1])
    if flat.ndim == 2 and flat.shape[1] == axes:
        return np.asarray(flat, np.float64)
    if flat.ndim == 2 and flat.shape[0] == axes:
        return np.asarray(flat.T, np.float64)
    raise FacebenchError(f"{name}: an array {shape}", f"expected (N, {axes})")
