"""Landmarks of a face as points in space (68 in iBUG's order, NoW's seven), their files, six parts.

The files are text, JSON, MeshLab's picked points and NumPy; labelled nose tips too. The parts of a
face are what error tables show, on the embedded model and on any topology.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import FacebenchError, error_line
from ..recon.face.labels import check_point_order, points_of_text, read_points
from ..recon.files.pictures import ENDINGS
from ..recon.files.text import SPREADSHEET, decimal_point, decode_text, parse_json, read_bytes
from ..recon.mesh import Mesh
from ..recon.morphable.procedural import embedded_model
from .surface.similarity import Similarity, root_mean_square, similarity_between
from .surface.triangles import Float64Array, IndexArray

SEVEN = np.array([36, 39, 42, 45, 33, 48, 54])
"""The seven points of NoW among iBUG's 68, counted from 0: right eye's outer and inner corner, left
eye's inner and outer corner, bottom of the nose, right and left corner of the mouth. Right and left
are the subject's own."""
SEVEN_ORDER = (
    "right eye outer, right eye inner, left eye inner, left eye outer, nose bottom, "
    "right mouth corner, left mouth corner, right being the subject's own"
)
MEAN_SEVEN_MM = np.array(
    [
        [-45.0, 32.5, 0.0],
        [-17.0, 31.0, 6.0],
        [17.0, 31.0, 6.0],
        [45.0, 32.5, 0.0],
        [0.0, -16.0, 27.0],
        [-25.0, -38.0, 12.0],
        [25.0, -38.0, 12.0],
    ]
)
"""Where the seven lie in a mean face, rounded: enough to tell an order, not a person."""
ORDER_MM = 10.0
"""Root mean square from the mean face, at its size, that no face has in the right order: faces of
the ICT model with all expressions at once came to at most 7.7, the least wrong order to 12."""
STABLE = slice(17, 68)
"""The 68 without the contour of the jaw, which slides along the face with the pose."""

_MOST_BYTES = 2**20
_SAME_POINTS = 1e-3
"""Of the face: as far as text of six digits and arrays of 32 bits may differ."""

LANDMARK_SUFFIXES = (".txt", ".npy", ".pp", ".pts", ".csv")
LANDMARK_INFIXES = ("", ".landmarks")
"""Between a mesh's name and those: beside MICC's scans and photographs the second is the usual."""
LABEL_SUFFIXES = (".txt", ".json", ".pp")
"""Of a labelled nose tip."""

FACE_PARTS: Mapping[str, tuple[str, ...]] = {
    "nose": ("nose",),
    "mouth": ("upper_lip", "lower_lip"),
    "eyes": ("left_eye_socket", "right_eye_socket", "left_eye", "right_eye"),
    "cheeks": ("left_cheek", "right_cheek"),
    "forehead": ("forehead", "left_brow", "right_brow"),
    "jaw": ("jaw",),
}
"""The model regions of each part. Ears, neck, scalp and the inside of the mouth are in none."""
REACH_MM = 15.0
"""At the model's size: vertices further from the registered model belong to no part."""


@dataclass(frozen=True)
class Landmarks:
    """Points of a face that a mesh's topology need not know.

    Attributes:
        points: (68, 3) in iBUG's order or (7, 3) in NoW's, in the space and unit of their mesh.

    Raises:
        FacebenchError: for another number of points or NaN.
    """

    points: Float64Array

    def __post_init__(self) -> None:
        """Refuse another number of points and what is no number."""
        points = np.asarray(self.points, np.float64)
        if points.shape not in ((68, 3), (7, 3)):
            raise FacebenchError(
                f"landmarks have the shape {points.shape}",
                "expected 68 points x y z in iBUG's order, or the 7 of NoW",
            )
        if not np.isfinite(points).all():
            bad = int(np.flatnonzero(~np.isfinite(points).all(1))[0]) + 1
            raise FacebenchError(f"landmark {bad} is not finite", "label it, or leave the file out")
        object.__setattr__(self, "points", points)

    def in_order(self) -> Landmarks:
        """The same landmarks, which somebody gave: those that a topology knows are in order.

        Raises:
            FacebenchError: for an order that is no face's, or left and right exchanged.
        """
        _check_order(self.seven)
        return self

    @property
    def seven(self) -> Float64Array:
        """NoW's seven points (7, 3), see `SEVEN`."""
        return self.points if len(self.points) == 7 else self.points[SEVEN]

    @property
    def eye_distance(self) -> float:
        """Distance between the outer eye corners, in the unit of the mesh."""
        return float(np.linalg.norm(self.seven[3] - self.seven[0]))

    @classmethod
    def of_mesh(cls, mesh: Mesh) -> Landmarks | None:
        """The landmarks that a mesh carries as indices of its vertices, or None."""
        if mesh.landmarks is None:
            return None
        return cls(np.asarray(mesh.vertices, np.float64)[mesh.landmarks])

    def moved(self, transform: Similarity) -> Landmarks:
        """The same landmarks after a transform of their mesh."""
        return Landmarks(transform.apply(self.points))

    def nearest_vertices(self, mesh: Mesh) -> IndexArray | None:
        """The vertex (68,) of a mesh next to each of 68 landmarks; None for seven."""
        if len(self.points) == 7:
            return None
        index = cKDTree(np.asarray(mesh.vertices, np.float64)).query(self.points)[1]
        return np.asarray(index, np.int64)


def read_landmarks(path: Path) -> Landmarks:
    """Landmarks from a text file or array, 68 points in iBUG's order or NoW's 7.

    See `recon.face.labels.read_points` for what a file may look like.

    Raises:
        FacebenchError: when the file cannot be read, a line is not three numbers, or the points
            are not the landmarks of a face in their order.
    """
    points = read_points(path, axes=3)
    if len(points) not in (7, 68):
        raise FacebenchError(
            f"{path}: {len(points)} landmarks",
            "expected one 'x y z' a line: 68 in iBUG's order, or the 7 of NoW",
        )
    return _landmarks_of(path, points)


def _landmarks_of(path: Path, points: Float64Array) -> Landmarks:
    """The points of a file, 68 or the seven in NoW's order; what is wrong names the file."""
    try:
        return Landmarks(points).in_order()
    except FacebenchError as error:
        raise FacebenchError(f"{path}: {error.message}", error.hint) from error


def landmark_pairs(first: Landmarks, second: Landmarks) -> tuple[Float64Array, Float64Array]:
    """The points that both sides have and that mean the same on both, (51, 3) or (7, 3) each."""
    if len(first.points) == len(second.points) == 68:
        return first.points[STABLE], second.points[STABLE]
    return first.seven, second.seven


def misfit_mm(seven: Float64Array) -> float:
    """Root mean square by which seven points (7, 3) miss a mean face, at the mean face's size."""
    if np.ptp(seven, axis=0).max() == 0:
        return float("inf")
    moved = similarity_between(seven, MEAN_SEVEN_MM).apply(seven)
    return root_mean_square(moved, MEAN_SEVEN_MM)


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
        points, names = _picked_points(path)
    except (OSError, ValueError, KeyError, TypeError, FacebenchError) as error:
        said = f"{path}: cannot be read as landmarks ({error_line(error)})"
        raise FacebenchError(said, "expected 68 or 7 points x, y, z") from error
    if len(points) > len(SEVEN):  # The order of the seven shows in themselves.
        check_point_order(names, str(path))
    return _landmarks_of(path, points)


def landmarks_beside(mesh: Path) -> Path | None:
    """The landmarks file that is called like a mesh file, or None.

    Raises:
        FacebenchError: there are several, and not all hold the same points.
    """
    names = [(infix, suffix) for suffix in LANDMARK_SUFFIXES for infix in LANDMARK_INFIXES]
    forms = ((i + s, i + s.upper(), (i + s).upper()) for i, s in names)
    endings = dict.fromkeys(end for form in forms for end in form)
    return only_landmarks([path for end in endings if (path := mesh.with_suffix(end)).is_file()])


def only_landmarks(files: Sequence[Path]) -> Path | None:
    """The one of the files that holds most of a mesh's landmarks; None without any.

    Raises:
        FacebenchError: they do not hold the same points: taking one would be nobody's choice.
    """
    # On disks without capitals one file answers to both names.
    files = [path for n, path in enumerate(files) if not any(map(path.samefile, files[:n]))]
    if len(files) < 2:
        return files[0] if files and not _is_of_photograph(files[0]) else None
    found = {path: points for path in files if len(points := _points_in(path))}
    if not found:
        return files[0]  # Its reader says what is wrong with it.
    # What holds no landmarks, as a table of the person's age, is not one of them.
    # All 68 say more than NoW's seven of them, which methods write beside.
    chosen = max(found, key=lambda path: len(found[path]))
    first = found[chosen]
    size = float(np.ptp(first, axis=0).max())
    for other in found.values():
        own = first if len(other) == len(first) else first[SEVEN]
        if np.abs(own - other).max() > _SAME_POINTS * size:
            names = ", ".join(path.name for path in found)
            raise FacebenchError(f"{len(found)} candidates for the landmarks: {names}", "keep one")
    return chosen


def _is_of_photograph(path: Path) -> bool:
    """Whether a file is that of a photograph of the mesh's name, whose points are in its plane."""
    stem = path.stem.removesuffix(".landmarks")
    endings = (form for ending in ENDINGS for form in (ending, ending.upper()))
    if not any(path.with_name(stem + ending).is_file() for ending in endings):
        return False
    # A mesh's texture is a picture of its name too, and x, y, z may be taken for x and y.
    if len(_points_in(path)):
        return False
    try:
        count = len(read_points(path, axes=2))
    except FacebenchError:
        return False
    # As `prepare` reads them: five, or 68 a face.
    return count == 5 or (count > 0 and count % 68 == 0)


def _points_in(path: Path) -> Float64Array:
    """The points of a landmarks file, none of one that cannot be read."""
    try:
        return read_landmark_file(path).points
    except FacebenchError:
        return np.empty((0, 3))


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
    # Python takes a text or a truth value for a number; a file means none by it.
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


def face_parts(
    region: NDArray[np.integer], region_names: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    """For each part which vertices (V,) belong to it, from a model's region of each vertex."""
    names = np.asarray(region_names)
    return {
        part: np.isin(region, np.flatnonzero(np.isin(names, regions)))
        for part, regions in FACE_PARTS.items()
    }


def transfer_parts(mesh: Mesh, landmarks: Landmarks) -> dict[str, NDArray[np.bool_]]:
    """For each part of a face which vertices (V,) belong to it.

    The mesh is registered to the model's mean face by the landmarks, and a vertex belongs where the
    nearest of the model's does: borders between parts are right to about as much as the two faces
    differ, some millimetres.

    Args:
        mesh: in any unit and pose.
        landmarks: in its space.
    """
    model = embedded_model()
    mean = model.mean_shape.astype(np.float64)
    registration = similarity_between(*landmark_pairs(landmarks, Landmarks(mean[model.landmarks])))
    tree = cKDTree(mean)
    distance, nearest = tree.query(registration.apply(np.asarray(mesh.vertices, np.float64)))
    parts = face_parts(model.region, model.region_names)
    return {name: inside[nearest] & (distance < REACH_MM) for name, inside in parts.items()}


def _check_order(seven: Float64Array) -> None:
    """Refuse seven points that lie as in no face, and tell a reflection from a wrong order."""
    own, mirrored = misfit_mm(seven), misfit_mm(seven * [-1.0, 1.0, 1.0])
    if mirrored < own and mirrored <= ORDER_MM:
        raise FacebenchError(
            "the landmarks are those of a mirrored face: left and right are exchanged",
            "name them from the subject's own right, or undo the mesh's reflection",
        )
    if own > ORDER_MM:
        raise FacebenchError(
            "the landmarks are not in the order of a face",
            f"the seven are {SEVEN_ORDER}; in iBUG's 68 they are 37, 40, 43, 46, 34, 49, 55",
        )


def _picked_points(path: Path) -> tuple[Float64Array, list[str]]:
    """Points (N, 3) in the order of the file, and what each is called."""
    points = parse_picked_points(read_bytes(path, _MOST_BYTES))
    numbers = [[float(decimal_point(point[axis])) for axis in "xyz"] for point in points]
    return np.array(numbers), [point.get("name", "") for point in points]
