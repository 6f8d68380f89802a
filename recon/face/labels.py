"""Points that people have put on faces, as the many programs write them: 68, 51, 7 or 5 of them.

One reader for two and three dimensions: `.pts` of iBUG, text and CSV with or without a header, and
NumPy arrays with an axis too many or the axes exchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError, error_line
from ..files.tables import read_npy_array
from ..files.text import SPREADSHEET, decode_text, read_bytes, split_cells

MOST_BYTES = 2**20
FARTHEST = 1e30
"""In any unit that somebody may have meant; sums of squares stay far from the end of float64."""

_MARK = "\ufeff"
_HEADER_LINES = 5
_MINUS = "\u2212"
_OUTSIDE = re.compile(r"\}[^{}]*\{")
_STATED = re.compile(r"n_points\D{1,3}(\d{1,6})")
_BRACKETS = re.compile(r"\[[^\]]*\]|\([^)]*\)")
"""Around the units of a header, `X [mm]`."""
_AROUND = ",; \t[]()"
_AXIS = {"x": "x", "y": "y", "z": "z", "col": "x", "column": "x", "row": "y"}
_LEAST_PIXELS, MOST_PIXELS = 2.0, 1e6
_SEPARATORS = re.compile(r"[\s,;]+")

FIVE_POINTS = ((36, 39), (42, 45), (30, 30), (48, 48), (54, 54))
"""The iBUG points, counted from 0, in whose middle each of five points lies: eyes, nose tip, mouth
corners, left to right as seen."""
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Those five points in a picture of 112 px: ArcFace's template."""
_ALL = 68
_LEAST_LIKENESS = 0.5
"""Of 94 faces in photographs the least was 0.97; the mean face turned by 90 degrees and tilted by
60 has 0.55. With left and right exchanged, or x and y, or y upwards, it was 0.3 at most."""
_LIKE = 0.93
"""Where all x stand before all y, or the nose last, five points may look half like a face, and
exchanged like one."""
_FARTHEST_POINT = 5.0
"""Of the median distance of the 68 points from their middle: 2.8 at most of the 94 faces, 3.5 of
the mean face however turned."""

Points = NDArray[np.float64]


def read_points(path: Path, axes: int) -> Points:
    """The points (N, axes) of a label file, in its own order and numbers.

    `.npy` holds an array (N, axes), (axes, N) or either with axes of length 1. Everything else is
    text: one point per line, or all in one line, numbers separated by blanks, tabs, commas or
    semicolons, with decimal commas where those separate nothing; a line may begin with a name or
    number of its point where every line does. A header that names `x`, `y` and `z` says which
    columns they are. Other lines without numbers at the top, empty lines and those that begin with
    `#`, `%` or `//` do not count. Of `.pts` the parts in braces count.

    Raises:
        FacebenchError: the file cannot be read, or a line is no point.
    """
    if path.suffix.lower() == ".npy":
        array = read_npy_array(path, MOST_BYTES)
        return _near_enough(_points_of_array(array, axes, str(path)), str(path))
    try:
        text = decode_text(read_bytes(path, MOST_BYTES), SPREADSHEET)
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


def check_pixels(points: Points, name: str) -> None:
    """Refuse points (N, 2) of faces that are no pixels, not known, or out of order.

    Raises:
        FacebenchError: no coordinate is as far as two pixels from the corner, one is further than
            any picture is wide, (0, 0) or (-1, -1), or 68 or 5 of them are in no face's order.
    """
    if len(points) and np.abs(points).max() < _LEAST_PIXELS:
        raise FacebenchError(
            f"{name}: no point lies beyond {np.abs(points).max():.3g} px: these look like shares",
            "multiply x by its width and y by its height",
        )
    if len(points) and np.abs(points).max() > MOST_PIXELS:
        raise FacebenchError(
            f"{name}: a point at {np.abs(points).max():.3g} px, beyond any picture",
            "correct the number, or leave the file out",
        )
    unknown = np.flatnonzero((points == 0).all(axis=1) | (points == -1).all(axis=1))
    if len(unknown):
        x, y = points[unknown[0]]
        said = f"{name}: point {unknown[0] + 1} is ({x:g}, {y:g}), as of one that is not known"
        raise FacebenchError(said, "label it, or leave the file out")
    each = len(points) if len(points) == len(FIVE_POINTS) else _ALL
    for face in points.reshape(-1, each, 2) if not len(points) % each else ():
        _check_order(face, name)


def _check_order(face: Points, name: str) -> None:
    """Refuse 68 or 5 points (N, 2) whose eyes, nose and mouth are not where a face has them."""
    away = np.linalg.norm(face - np.median(face, axis=0), axis=1)
    if len(face) == _ALL and away.max() > _FARTHEST_POINT * np.median(away):
        worst = int(away.argmax())
        raise FacebenchError(
            f"{name}: point {worst + 1} at ({face[worst][0]:g}, {face[worst][1]:g}) lies far from "
            "the others",
            "correct it, or leave the file out",
        )
    own, *others = (_template_correlation(points) for points in _five_of(face))
    if own < _LEAST_LIKENESS or own < _LIKE < max(others):
        raise FacebenchError(
            f"{name}: its points are not in the order of a face",
            "expected x y of each, y downwards: iBUG's 68, or eyes, nose tip and mouth corners, "
            "left to right as seen",
        )


def _five_of(face: Points) -> Iterator[Points]:
    """Five points of 68 or 5: as they stand, all x before all y, and five with the nose last or
    first, as AFLW and others list them."""
    for points in (face, face.ravel().reshape(2, -1).T):
        if len(points) == _ALL:
            points = np.array([points[list(pair)].mean(axis=0) for pair in FIVE_POINTS])
        yield points
    if len(face) == len(FIVE_POINTS):
        yield face[[0, 1, 4, 2, 3]]
        yield face[[1, 2, 0, 3, 4]]


def _template_correlation(five: Points) -> float:
    """How well five points agree with `TEMPLATE` but for a similarity, from 0 to 1."""
    # In the plane a similarity is a complex factor and an offset: this is a correlation.
    own, to = (np.asarray(points) @ [1.0, 1j] for points in (five, TEMPLATE))
    own, to = own - own.mean(), to - to.mean()
    return float(abs(np.vdot(own, to)) / max(np.linalg.norm(own) * np.linalg.norm(to), 1e-12))


def points_of_text(text: str, axes: int, name: str) -> Points:
    """The points (N, axes) of a label file's text; see `read_points`.

    Raises:
        FacebenchError: a line is no point.
    """
    text = text.removeprefix(_MARK).replace(_MINUS, "-")
    head, brace, inside = text.partition("{")
    stated = None
    if brace:
        if "}" not in inside:
            raise FacebenchError(f"{name}: its braces do not close", "copy it again")
        stated = _STATED.search(head)
        # What is outside of braces goes, its line ends stay: a fault is reported with its line.
        text = _OUTSIDE.sub(lambda found: "\n" * found[0].count("\n"), f"}}{text}{{")
    lines = [(n, line.strip()) for n, line in enumerate(text.split("\n"), start=1)]
    rows = [
        _Row(number, line, _words(line, axes))
        for number, line in lines
        if line.strip(_AROUND) and not line.startswith(("#", "//", "%"))
    ]
    # What a table is headed by has no numbers; a row further down that has none is a fault.
    heads = 0
    while heads < min(len(rows), _HEADER_LINES) and not rows[heads].has_numbers:
        heads += 1
    # Words that no number follows head nothing: then the first line is the fault, not the sixth.
    if rows and (heads == len(rows) or not rows[heads].has_numbers):
        heads = 0
    # pandas numbers the columns of an array.
    if heads < len(rows) and rows[heads].words == list("012"[:axes]):
        heads += 1
    # A comment above the rows may be their header too: NumPy writes it so.
    above = [line for n, line in lines if line and (not rows[heads:] or n < rows[heads].number)]
    header = _Header.of(above[-1], axes) if above else None
    # The count of the points is none of them either, alone on a line or after its name.
    if heads < len(rows) and rows[heads].words[-1] == str(len(rows) - heads - 1):
        words = rows[heads].words
        heads += len(words) == 1 or words[0].endswith(":")
    if header is not None and rows[heads:]:
        natural = header.places == sorted(header.places)
        # Words that happen to name the axes in their order above other columns say nothing new.
        if not natural or header.values(rows[heads]):
            return _by_names(rows[heads:], header, axes, name)
    points = _table(rows[heads:], axes, name)
    if stated and len(points) % max(1, int(stated[1])):
        raise FacebenchError(
            f"{name}: states {stated[1]} points and has {len(points)}", "save it again"
        )
    return points


@dataclass(frozen=True)
class _Row:
    """A line of a label file: its number in the file, its text and its words."""

    number: int
    line: str
    words: list[str]

    @property
    def has_numbers(self) -> bool:
        return any(map(_is_number, self.words))

    def fault(self, axes: int, name: str) -> FacebenchError:
        """What to say of a line that is no point."""
        wanted = " ".join("xyz"[:axes])
        count = {2: "two", 3: "three"}[axes]
        shown = self.line if len(self.line) <= 60 else f"{self.line[:59]}…"
        return FacebenchError(
            f"{name}: line {self.number}: '{shown}' is not {count} numbers", f"expected {wanted}"
        )


def _words(line: str, axes: int) -> list[str]:
    """A line's words: as cells, where they make a point with or without a name, else all parts."""
    line = line.strip(_AROUND)
    # Semicolons first: behind them and behind blanks a comma can only be a decimal one.
    for separator in (";", "\t", None, ","):
        cells = split_cells(line, separator)
        if axes <= len(cells) <= axes + 1 and all(map(_is_number, cells[-axes:])):
            return cells
    words = _SEPARATORS.split(line.replace('"', ""))
    # `10,5 20` may be two numbers or three.
    mixed = re.search(r"\d,\d", line) and re.search(r"\d\s+[-+.\d]", line)
    return [line] if mixed and len(words) == axes else words


@dataclass(frozen=True)
class _Header:
    """What a table's header says: where x, y (and z) stand, among how many, parted by what."""

    places: list[int]
    width: int
    separator: str | None

    @classmethod
    def of(cls, line: str, axes: int) -> _Header | None:
        """None where a line does not name each axis once."""
        line = _BRACKETS.sub("", line.lstrip("#%/ "))
        for separator in (";", "\t", ",", None):
            cells = split_cells(line.lower(), separator)
            found = [_AXIS.get(re.split(r"[\s_.\-]", cell)[-1], "") for cell in cells]
            if all(found.count(axis) == 1 for axis in "xyz"[:axes]):
                places = [found.index(axis) for axis in "xyz"[:axes]]
                return cls(places, len(cells), separator)
        return None

    def values(self, row: _Row) -> list[str]:
        """A row's coordinates; empty where it has other columns than the header."""
        cells = split_cells(row.line, self.separator)
        # R writes the names of rows and nothing above them.
        if len(cells) not in (self.width, self.width + 1):
            return []
        return [cells[place + len(cells) - self.width] for place in self.places]


def _by_names(rows: Sequence[_Row], header: _Header, axes: int, name: str) -> Points:
    """Points out of the columns that the header names, in whatever order they stand."""
    if header.places[0]:
        check_point_order([row.words[0] for row in rows], name)
    return _numbers([(row, header.values(row)) for row in rows], axes, name)


def _table(rows: list[_Row], axes: int, name: str) -> Points:
    if len(rows) == 1 and len(rows[0].words) > axes + 1 and not len(rows[0].words) % axes:
        # All points in a line: x0 y0 x1 y1 ...
        number, line, words = rows[0].number, rows[0].line, rows[0].words
        parts = zip(*(iter(words),) * axes, strict=True)
        rows = [_Row(number, line, list(part)) for part in parts]
    width = len(rows[0].words) if rows else axes
    # A first column of names or of numbers that count is none of the coordinates.
    labelled = width == axes + 1 and _counts_or_names([row.words[0] for row in rows])
    return _numbers([(row, row.words[labelled:]) for row in rows], axes, name)


def _numbers(rows: Iterable[tuple[_Row, list[str]]], axes: int, name: str) -> Points:
    """Points (N, axes) of rows and their coordinates as text."""
    points = []
    for row, values in rows:
        if len(values) != axes or not all(map(_is_number, values)):
            raise row.fault(axes, name)
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


def check_point_order(column: list[str], name: str) -> None:
    """Refuse names of points that are numbers which count them, in another order.

    Raises:
        FacebenchError: they are.
    """
    numbers = sorted(int(word) for word in column if word.isdecimal())
    counts = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(column)))
    if counts and numbers[0] < 2 and not _counts_or_names(column):
        said = f"{name}: its points are not in the order of their numbers"
        raise FacebenchError(said, "sort its rows by them")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word  # Python takes 1_000 for a number; files never mean it


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
