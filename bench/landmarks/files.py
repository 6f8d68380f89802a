"""Landmarks from the kinds of files there are: text, MeshLab's picked points, NumPy arrays."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ...errors import FacebenchError, error_line
from ...recon.files.text import read_bytes
from ..surface.triangles import Float64Array
from .points import Landmarks, read_landmarks

_MOST_BYTES = 2**20

LANDMARK_SUFFIXES = (".txt", ".npy", ".pp", ".pts", ".csv")


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
