"""Reference landmarks of a folder of photographs, and what of a face can be read off them.

The file is JSON: by name of the photograph, relative to the folder, a table with `size` (width and
height in px, upright) and `faces`, a list of tables with `landmarks`, 68 points `[x, y]` in iBUG's
order, px, integers at pixel centres. A face may have `references_agree` (false keeps it out of all
errors; true when missing) and `person`, whose face it is. Everything else is ignored. A photograph
whose list is empty shows no face, so that what is found in it is false.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.face.labels import check_pixels
from ...recon.files.text import read_json
from ...recon.portraits.sources import Source
from ..figures.photographs import subject_of

Points = NDArray[np.float64]

_MOST_BYTES = 2**27
_LEAST_EYES = 4.0
"""Distance in px of the outer eye corners below which no error could be told."""

PARTS: dict[str, slice] = {
    "all 68": slice(0, 68),
    "inner 51": slice(17, 68),
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}
"""Points of each part of the face, counted from 0."""

INNER = "inner 51"

POSES: dict[str, tuple[float, float]] = {
    "frontal (to 15°)": (0.0, 0.08),
    "half (15° to 30°)": (0.08, 0.16),
    "turned (30° to 50°)": (0.16, 0.30),
    "profile": (0.30, np.inf),
}
"""Ranges of how far the nose tip lies off the middle of the eyes, see `measure_face`."""

MEASURES = ("mouth opening", "smile", "blink", "yaw", "pitch")


@dataclass(frozen=True, eq=False)
class ReferenceFace:
    """A face in a photograph.

    Attributes:
        landmarks: (68, 2) px.
        agrees: whether it counts; two references that differ are no reference.
        person: whose face it is; empty where nobody says.
    """

    landmarks: Points
    agrees: bool
    person: str


@dataclass(frozen=True)
class ReferencePhotograph:
    """A photograph and all the faces in it.

    Attributes:
        path: the file.
        size: (width, height) px as the reference has it.
        faces: none where it shows none.
    """

    path: Path
    size: tuple[int, int]
    faces: tuple[ReferenceFace, ...]


def read_reference(path: Path, folder: Path) -> tuple[list[ReferencePhotograph], list[str]]:
    """The photographs of a reference file, in its order, and names of those that are not there.

    Args:
        path: JSON as above.
        folder: of the photographs.

    Raises:
        FacebenchError: the file cannot be read, is of another format, or none of its photographs
            is in the folder.
    """
    try:
        table = read_json(path, _MOST_BYTES)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(table, dict) or not table:
        raise FacebenchError(f"{path}: no table of photographs", "see docs/photographs.md")
    found = [_photograph(path, folder, str(name), entry) for name, entry in table.items()]
    there = [photograph for photograph in found if photograph.path.is_file()]
    missing = [one.path.relative_to(folder).as_posix() for one in found if not one.path.is_file()]
    if not there:
        raise FacebenchError(f"{folder}: none of the {len(found)} photographs of {path} is in it")
    first: dict[Path, str] = {}
    for name, photograph in zip(table, found, strict=True):
        if first.setdefault(photograph.path, name) != name:
            raise FacebenchError(
                f"{path}: '{first[photograph.path]}' and '{name}' are one photograph", "keep one"
            )
    return there, missing


def _photograph(path: Path, folder: Path, name: str, entry: Any) -> ReferencePhotograph:
    relative = PurePosixPath(name.replace("\\", "/"))
    # A reference names files of its folder, and nothing above it.
    if relative.is_absolute() or ".." in relative.parts:
        raise FacebenchError(f"{path}: '{name}' is no file of the folder", "name it from there")
    try:
        width, height = (int(side) for side in entry["size"])
        if [width, height] != list(entry["size"]):
            raise ValueError(f"size {entry['size']}")
        faces = tuple(_face(face, name) for face in entry["faces"])
        for one, other in combinations(faces, 2):
            if np.allclose(one.landmarks, other.landmarks, atol=1.0):
                raise ValueError("one face twice")
    except FacebenchError as error:
        raise FacebenchError(f"{path}: {error.message}", error.hint) from error
    except (KeyError, TypeError, ValueError) as error:
        raise FacebenchError(
            f"{path}: '{name}' is not as it should be ({error})",
            "it needs size and faces, each with 68 landmarks [x, y]; see docs/photographs.md",
        ) from error
    return ReferencePhotograph(_file_called(folder / relative), (width, height), faces)


def _file_called(path: Path) -> Path:
    """A file by its name, whether its letters and their marks are one character or two."""
    if path.is_file() or path.name.isascii() or not path.parent.is_dir():
        return path
    wanted = unicodedata.normalize("NFC", path.name)
    same = (
        one for one in path.parent.iterdir() if unicodedata.normalize("NFC", one.name) == wanted
    )
    return next(same, path)


def _face(face: Mapping[str, Any], name: str) -> ReferenceFace:
    points = np.array(face["landmarks"], dtype=np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise ValueError(f"landmarks of shape {points.shape}")
    check_pixels(points, name)
    counts = face.get("references_agree", True)
    if not isinstance(counts, bool):
        raise ValueError(f"references_agree is {counts!r}, neither true nor false")
    agrees = counts and eye_distance(points) >= _LEAST_EYES
    person = str(face.get("person", "")) or _person(name)
    return ReferenceFace(points, agrees, person)


def _person(name: str) -> str:
    """Who is in a photograph by its file's name (`NAME/x.jpg`, `NAME_0001.jpg`); else empty."""
    stem = str(PurePosixPath(name).with_suffix(""))
    subject = subject_of(Source(stem, Path(name)))
    return "" if subject == stem else subject


def eye_distance(points: Points) -> float:
    """Distance of the outer eye corners of landmarks (68, 2)."""
    return float(np.linalg.norm(points[45] - points[36]))


def measure_face(points: Points) -> NDArray[np.float64]:
    """Expression and pose (5,) of landmarks (68, 2) px in the order of `MEASURES`.

    All but the last are over the distance of the outer eye corners, so that they say the same of a
    face of any size. Mouth opening: between the middles of the inner lips. Smile: between the
    mouth's corners. Blink: between the lids, both eyes. Yaw: the nose tip off the middle of the
    eyes along the line through the eyes (0.08 about 15 degrees). Pitch: how far down the nose tip
    is between that line and the mouth. A point that is not known makes NaN of what needs it.
    """
    size = eye_distance(points)
    across = (points[45] - points[36]) / size
    # Image coordinates: x right, y down, so that this is towards the chin of an upright face.
    down = np.array([-across[1], across[0]])
    eyes = (points[36:42].mean(0) + points[42:48].mean(0)) / 2

    def apart(first: int, second: int) -> float:
        return float(np.linalg.norm(points[first] - points[second])) / size

    lids = np.mean([apart(37, 41), apart(38, 40), apart(43, 47), apart(44, 46)])
    nose = points[30] - eyes
    mouth = (points[48:60].mean(0) - eyes) @ down
    # Seen from far above or below the mouth may lie on the line of the eyes.
    pitch = float(nose @ down / mouth) if abs(mouth) > 1e-6 * size else np.nan
    return np.array([apart(62, 66), apart(48, 54), lids, nose @ across / size, pitch])


def pose_of(points: Points) -> str:
    """The name in `POSES` of a face's landmarks."""
    yaw = abs(measure_face(points)[MEASURES.index("yaw")])
    return next(name for name, (low, high) in POSES.items() if low <= yaw < high)
