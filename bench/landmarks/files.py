"""Landmarks and labelled nose tips from the files there are: text, JSON, picked points, NumPy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ...errors import FacebenchError, error_line
from ...recon.face.labels import points_of_text
from ...recon.files.text import SPREADSHEET, decimal_point, decode_text, parse_json, read_bytes
from ..surface.triangles import Float64Array
from .points import Landmarks, read_landmarks

_MOST_BYTES = 2**20

LANDMARK_SUFFIXES = (".txt", ".npy", ".pp", ".pts", ".csv")
LABEL_SUFFIXES = (".txt", ".json", ".pp")
"""Of a labelled nose tip."""


def read_landmark_file(path: Path) -> Landmarks:
    """The 68 or 7 landmarks of a file.

    `.pp`: the picked points in the order of the file, as NoW labels its scans. Text, `.pts`, CSV
    and `.npy`: see `recon.face.labels.read_points`.

    Raises:
        FacebenchError: when there is no such file or it does not hold the landmarks of a face.
    """
    if not path.is_file():
        raise FacebenchError(f"{path}: no such landmarks file")
    if path.suffix.lower() != ".pp":
        return read_landmarks(path)
    try:
        points = _picked_points(path)
    except (OSError, ValueError, KeyError, TypeError, FacebenchError) as error:
        said = f"{path}: cannot be read as landmarks ({error_line(error)})"
        raise FacebenchError(said, "expected 68 or 7 points x, y, z") from error
    try:
        return Landmarks(points).in_order()
    except FacebenchError as error:
        raise FacebenchError(f"{path}: {error.message}", error.hint) from error


def landmarks_beside(mesh: Path) -> Path | None:
    """The landmarks file that is called like a mesh file, or None."""
    candidates = (mesh.with_suffix(suffix) for suffix in LANDMARK_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _picked_points(path: Path) -> Float64Array:
    points = parse_picked_points(read_bytes(path, _MOST_BYTES))
    return np.array([[float(point[axis]) for axis in "xyz"] for point in points])


def parse_picked_points(content: bytes) -> list[dict[str, str]]:
    """Attributes of every picked point, in the file's order: `x`, `y`, `z`, `name` …

    Points of a template that were never picked, `active="0"`, have coordinates that mean nothing.

    Raises:
        ValueError: it is no such XML, or declares entities, which can stand for any length.
    """
    if b"<!ENTITY" in content.replace(b"\0", b""):  # in UTF-16 too
        raise ValueError("entities are not read")
    try:
        points = ElementTree.fromstring(content).iter("point")
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"no picked points ({error})") from None
    return [dict(point.attrib) for point in points if point.get("active") != "0"]


def read_nose_tip(path: Path) -> Float64Array:
    """A labelled nose tip (3,) from a `.txt`, `.json` or MeshLab `.pp` file.

    Text: three coordinates, a name before them or none, in their order or as `x=1 y=2 z=3`. JSON: a
    list of three numbers, an object with `x`, `y` and `z`, or either under `nose_tip`. Picked
    points: the point whose name speaks of the nose (its tip, where several do), or the only one.

    Raises:
        FacebenchError: when the file does not hold one point.
    """
    try:
        numbers = _READERS[path.suffix.lower()](read_bytes(path, _MOST_BYTES))
        position = np.array([float(number) for number in numbers])
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise FacebenchError(f"{path}: no nose tip in it ({error})", "expected x, y, z") from error
    if position.shape != (3,) or not np.isfinite(position).all():
        raise FacebenchError(f"{path}: holds {len(position)} numbers", "expected x, y, z")
    return position


def _from_text(content: bytes) -> list[float]:
    text = decode_text(content, SPREADSHEET)
    named = dict(re.findall(r"\b([xyz])\s*[=:]\s*([^\s,;]+)", text.lower()))
    if len(named) == 3:
        return [float(decimal_point(named[axis])) for axis in "xyz"]
    text = re.sub(r"^[^\W\d][^\d\n:]*:", " ", text, flags=re.MULTILINE)  # `nose tip: `
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) == 3 and all(len(line.split()) == 1 and "," not in line for line in lines):
        text = " ".join(lines)
    try:
        points = points_of_text(text, 3, "the label")
    except FacebenchError as error:
        raise ValueError(error.message.removeprefix("the label: ")) from error
    return [float(value) for value in points.ravel()]


def _from_json(content: bytes) -> list[float]:
    found = parse_json(decode_text(content))
    if isinstance(found, dict):
        found = found.get("nose_tip", found)
    if isinstance(found, dict):
        found = [found[axis] for axis in "xyz"]
    # A text or a truth value is a number to Python, and to nobody who wrote one.
    if not isinstance(found, list) or not all(type(value) in (int, float) for value in found):
        raise ValueError("no list of three numbers")
    return found


def _from_picked_points(content: bytes) -> list[str]:
    points = parse_picked_points(content)
    named = [point for point in points if "nose" in point.get("name", "").lower()]
    tips = [point for point in named if "tip" in point["name"].lower()]
    chosen = tips or named or points
    if len(chosen) != 1:
        raise ValueError(f"{len(chosen)} points, none of them named nose tip alone")
    return [chosen[0][axis] for axis in "xyz"]


_READERS: Mapping[str, Callable[[bytes], Sequence[str | float]]] = {
    ".txt": _from_text,
    ".json": _from_json,
    ".pp": _from_picked_points,
}
