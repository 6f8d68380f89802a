"""Landmarks and named regions of a face model.

Landmarks are tables in files, and registered ones where a model names too few; regions follow from
the 68 landmarks and a model's named parts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..files.text import parse_toml, read_text
from .model import MorphableModel

_MOST_BYTES = 2**20
_EXPECTED = (
    "expected 68 vertex numbers counted from 0 (-1: none), or a TOML table of "
    "'iBUG number = vertex' like eos' ibug_to_sfm.txt, iBUG counted from 1"
)

Points = NDArray[np.float64]

NEEDED_SHARE = 0.5
"""Of a face's width and of its height, between the landmarks that are known: less says too
little of where the others lie."""

REGION_NAMES = (
    "forehead",
    "left_brow",
    "right_brow",
    "left_eye_socket",
    "right_eye_socket",
    "left_eye",
    "right_eye",
    "nose",
    "left_cheek",
    "right_cheek",
    "upper_lip",
    "lower_lip",
    "mouth",
    "jaw",
    "left_ear",
    "right_ear",
    "neck",
    "head",
)
"""Left and right are the subject's; `eye` is the eyeball, `mouth` its inside, `head` the scalp."""

Mask = NDArray[np.bool_]

JAW_LINE = slice(0, 17)
RIGHT_BROW, LEFT_BROW = slice(17, 22), slice(22, 27)
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)

MIRRORED = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    # Eyes run from the outer corner over the upper lid, hence not in plain reverse.
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *range(67, 64, -1),
)
"""For each iBUG point, counted from 0, the one that lies there in the mirror image: jaw, brows,
bridge, nostrils, both eyes, outer lips above and below, inner lips likewise."""

# Lengths as shares of the distance between the outer eye corners (about 90 mm).
_BROW_HALF_WIDTH = 0.055
_SOCKET_WIDTH = 0.13
_NOSE_ROOT_HALF_WIDTH = 0.11
_NOSE_WING_SHARE = 1.75
_LIP_DEPTH = 0.06
_CHIN_MARGIN = 0.06


def read_landmark_table(path: Path, n_vertices: int) -> NDArray[np.int64]:
    """Vertex (68,) of each landmark, -1 where the file names none.

    Raises:
        FacebenchError: the file is missing, of another form, or names vertices that are not there.
    """
    try:
        text = read_text(path, _MOST_BYTES)
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path}: unreadable landmarks", _EXPECTED) from error
    # A list of numbers has no "=", a TOML table cannot be without.
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
        parsed = parse_toml(text)
    except ValueError as error:
        raise FacebenchError(f"{path}: no landmark table ({error})", _EXPECTED) from error
    landmarks = np.full(68, -1, np.int64)
    for number, vertex in _entries(parsed):
        # iBUG counts its landmarks from 1, all vertices count from 0.
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
        # Not isinstance: in Python true is an int, and in TOML it is a mistake.
        if type(vertex) is int and -1 <= vertex < 2**31
    ]


def landmark_points(vertices: NDArray[Any], landmarks: NDArray[np.integer], where: str) -> Points:
    """Positions (68, 3) of all landmarks; missing ones are transferred from the embedded face.

    A similarity takes the embedded model's landmarks to the known ones; what is left over there
    is spread to the others (radial basis functions, linear kernel). Good enough to draw regions
    by, not to train on: on ICT-FaceKit, with 12 known, the jaw line ends up 12 mm off and the
    others 6 mm, with 50 known 12 mm and 4 mm (`tests/benchmarks/transferred_landmarks.py`).

    Args:
        vertices: (V, 3) mm, facing +z, y up.
        landmarks: (68,) vertex indices in iBUG order, -1 where the model names none.
        where: what errors call the source.

    Raises:
        FacebenchError: too few are known.
    """
    known = landmarks >= 0
    points: Points = vertices.astype(np.float64)[landmarks]
    if not known.all():
        source = _embedded_landmarks()
        _check_spread(source, known, where)
        points[~known] = _transfer(source, points, known)[~known]
    return points


def transfer_missing_landmarks(model: MorphableModel) -> MorphableModel:
    """The model with the vertices nearest to where its missing landmarks were transferred to.

    Raises:
        FacebenchError: too few are known.
    """
    from scipy.spatial import cKDTree

    missing = model.landmarks < 0
    points = landmark_points(model.mean_shape, model.landmarks, model.name)
    # Those that the model names stay as they are: only gaps are filled.
    landmarks = model.landmarks.copy()
    landmarks[missing] = cKDTree(model.mean_shape).query(points[missing])[1]
    return replace(model, landmarks=landmarks)


def _embedded_landmarks() -> Points:
    from .procedural import embedded_model

    model = embedded_model()
    return model.mean_shape[model.landmarks].astype(np.float64)


def _check_spread(source: Points, known: NDArray[np.bool_], where: str) -> None:
    extent = np.ptp(source[known], axis=0) if known.any() else np.zeros(3)
    # Depth does not count: two points far apart in the image plane fix the similarity well enough.
    if (extent < NEEDED_SHARE * np.ptp(source, axis=0))[:2].any():
        raise FacebenchError(
            f"{where}: regions need landmarks, {(~known).sum()} of 68 are missing",
            "name at least the chin, the nose tip and the outer eye corners (iBUG 9, 31, 37, 46)",
        )


def _transfer(source: Points, target: Points, known: NDArray[np.bool_]) -> Points:
    from scipy.interpolate import RBFInterpolator

    # Similarity first: radial functions alone would leave far landmarks at the embedded size.
    placed = _similar(source, source[known], target[known])
    # A linear kernel does not overshoot beyond the known points, as thin plates do along the jaw.
    rest = RBFInterpolator(placed[known], (target - placed)[known], kernel="linear", degree=0)
    return placed + np.asarray(rest(placed), np.float64)


def _similar(points: Points, source: Points, target: Points) -> Points:
    """Points (N, 3) under the similarity that takes source to target best (Umeyama 1991)."""
    from_centre, to_centre = source.mean(axis=0), target.mean(axis=0)
    start, end = source - from_centre, target - to_centre
    left, strength, right = np.linalg.svd(end.T @ start)
    # Without the sign a nearly flat set of points may be mirrored instead of turned.
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = float((strength * sign).sum() / (start**2).sum())
    moved: Points = (points - from_centre) @ ((left * sign) @ right).T * scale + to_centre
    return moved


class _FrontalFace:
    """Vertices and landmarks in the frontal plane, the unit being the outer eye distance."""

    def __init__(self, vertices: NDArray[Any], landmarks: Points) -> None:
        unit = np.linalg.norm(landmarks[45] - landmarks[36])
        self.vertices, self.landmarks = vertices.astype(np.float64) / unit, landmarks / unit
        self.plane = self.vertices[:, :2]
        self.left: Mask = self.vertices[:, 0] > self.landmarks[27, 0]
        # Of the jaw line's upper ends, just in front of the ears.
        self.ear_depth = float(self.landmarks[[0, 16], 2].mean())

    def outline(self, which: slice) -> Points:
        return self.landmarks[which, :2]


def derive_regions(
    vertices: NDArray[Any],
    landmarks: Points,
    parts: dict[str, NDArray[np.integer]] | None = None,
) -> NDArray[np.uint8]:
    """Index into `REGION_NAMES` of every vertex.

    Args:
        vertices: (V, 3) neutral face facing +z, y up; any unit.
        landmarks: (68, 3) their positions in iBUG order.
        parts: vertex indices of the parts that are known by name: `eyeballs`, `eye_sockets`,
            `mouth_socket`, `head_neck`; other names are ignored.
    """
    face = _FrontalFace(vertices, landmarks)
    region = np.full(len(vertices), REGION_NAMES.index("head"), np.uint8)
    for name, mask in _masks(face, parts or {}):
        region[mask] = REGION_NAMES.index(name)
    return region


def inside_polygon(points: Points, polygon: Points) -> NDArray[np.bool_]:
    """Which of the (N, 2) points lie in the closed (M, 2) polygon, by the even-odd rule; (N,)."""
    x, y = points[:, :1], points[:, 1:]
    start, end = polygon, np.roll(polygon, -1, axis=0)
    straddles = (start[:, 1] > y) != (end[:, 1] > y)
    # Level edges straddle nothing; the 1 only keeps the division from warning.
    rise = np.where(start[:, 1] == end[:, 1], 1.0, end[:, 1] - start[:, 1])
    crossing = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / rise
    inside: NDArray[np.bool_] = (straddles & (x < crossing)).sum(axis=1) % 2 == 1
    return inside


def distance_to_polyline(points: Points, polyline: Points) -> NDArray[np.float64]:
    """Distance of the (N, 2) points to the open (M, 2) polyline, (N,)."""
    start, edge = polyline[:-1], np.diff(polyline, axis=0)
    offset = points[:, None] - start
    # Repeated corners have no length, and the point itself is then the nearest.
    length_squared = np.maximum((edge**2).sum(axis=1), 1e-12)
    along = ((offset * edge).sum(axis=2) / length_squared).clip(0.0, 1.0)
    gap = offset - along[..., None] * edge
    nearest: NDArray[np.float64] = np.sqrt((gap**2).sum(axis=2).min(axis=1))
    return nearest


def distance_to_polygon(points: Points, polygon: Points) -> NDArray[np.float64]:
    """Distance of the (N, 2) points to the closed (M, 2) polygon, 0 inside; (N,)."""
    outline = distance_to_polyline(points, np.vstack([polygon, polygon[:1]]))
    return np.where(inside_polygon(points, polygon), 0.0, outline)


def _masks(face: _FrontalFace, parts: dict[str, NDArray[np.integer]]) -> list[tuple[str, Mask]]:
    """Regions from the coarse to the fine: a later mask overrides an earlier one."""
    front: Mask = face.vertices[:, 2] > face.ear_depth - 0.12
    return [
        *_sides_and_back(face),
        *_skin(face, front),
        *_eyes(face, front, has_eyeballs="eyeballs" in parts),
        ("nose", front & inside_polygon(face.plane, _nose_outline(face))),
        *_mouth(face, front),
        *_from_parts(face, parts),
    ]


def _sides_and_back(face: _FrontalFace) -> list[tuple[str, Mask]]:
    x, y, z = face.vertices.T
    jaw = face.outline(JAW_LINE)
    # The jaw line ends at the ears, so its width is the head's width there.
    half_width = np.ptp(jaw[:, 0]) / 2
    lateral = np.abs(x - face.landmarks[27, 0])
    ear_lobe, ear_top = jaw[[3, 13], 1].mean() - 0.06, jaw[[0, 16], 1].mean() + 0.12
    ear = (lateral > 0.84 * half_width) & (y > ear_lobe) & (y < ear_top)
    # Ears lie behind the jaw line's ends by a few cm, and not at the back of the head.
    ear &= (z < face.ear_depth - 0.12) & (z > face.ear_depth - 0.72)
    return [
        ("neck", y < ear_lobe),
        ("left_ear", ear & face.left),
        ("right_ear", ear & ~face.left),
    ]


def _skin(face: _FrontalFace, front: Mask) -> list[tuple[str, Mask]]:
    x, y, _ = face.vertices.T
    brow_height = face.landmarks[17:27, 1].mean()
    # Thirds of the face: brows to nose base is about as far as brows to hairline.
    hairline = brow_height + 0.85 * (brow_height - face.landmarks[33, 1])
    temple = face.landmarks[[36, 45], 1].mean()
    mouth_height = face.landmarks[[48, 54], 1].mean()
    above_jaw = front & (y > _height_of(face.outline(JAW_LINE), x) - _CHIN_MARGIN)
    cheek = above_jaw & (y <= temple)
    return [
        ("forehead", front & (y > temple) & (y < hairline)),
        ("left_cheek", cheek & face.left),
        ("right_cheek", cheek & ~face.left),
        ("jaw", above_jaw & (y < mouth_height)),
    ]


def _height_of(line: Points, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of a polyline that runs along x, its ends continued level."""
    # Interpolation needs rising x; stable, so that points above each other keep their order.
    order = np.argsort(line[:, 0], kind="stable")
    height: NDArray[np.float64] = np.interp(x, line[order, 0], line[order, 1])
    return height


def _eyes(face: _FrontalFace, front: Mask, has_eyeballs: bool) -> list[tuple[str, Mask]]:
    masks = []
    for side, eye, brow in (("left", LEFT_EYE, LEFT_BROW), ("right", RIGHT_EYE, RIGHT_BROW)):
        to_eye = distance_to_polygon(face.plane, face.outline(eye))
        to_brow = distance_to_polyline(face.plane, face.outline(brow))
        masks.append((f"{side}_eye_socket", front & (to_eye < _SOCKET_WIDTH)))
        masks.append((f"{side}_brow", front & (to_brow < _BROW_HALF_WIDTH)))
        # With eyeballs as a part the lids' opening is a hole in the skin, not the eye.
        if not has_eyeballs:
            masks.append((f"{side}_eye", front & (to_eye == 0.0)))
    return masks


def _nose_outline(face: _FrontalFace) -> Points:
    """Root, wings and base: the landmarks name the nostrils, the wings stand farther out."""
    root, tip, base = face.landmarks[27, :2], face.landmarks[30, :2], face.landmarks[33, :2]
    nostrils = face.landmarks[[31, 35], :2]
    wings = base + (nostrils - base) * _NOSE_WING_SHARE
    aside = np.array([_NOSE_ROOT_HALF_WIDTH, 0.0])
    upper_wings = np.stack([wings[:, 0], np.full(2, tip[1])], axis=1)
    return np.stack(
        [root - aside, upper_wings[0], wings[0], base, wings[1], upper_wings[1], root + aside]
    )


def _mouth(face: _FrontalFace, front: Mask) -> list[tuple[str, Mask]]:
    x, y, z = face.vertices.T
    lips = front & inside_polygon(face.plane, face.outline(OUTER_LIPS))
    inner = face.landmarks[INNER_LIPS]
    # Midway between the inner lip landmarks, so that an open mouth is divided too.
    seam = np.stack([inner[0], *((inner[1:4] + inner[7:4:-1]) / 2), inner[4]])
    upper = y > _height_of(seam[:, :2], x)
    inside = lips & inside_polygon(face.plane, inner[:, :2])
    # A mouth bag lies inside the outline of the lips but deep behind their corners.
    behind = lips & (z < face.landmarks[[48, 54], 2].min() - _LIP_DEPTH)
    return [("upper_lip", lips & upper), ("lower_lip", lips & ~upper), ("mouth", inside | behind)]


def _from_parts(
    face: _FrontalFace, parts: dict[str, NDArray[np.integer]]
) -> list[tuple[str, Mask]]:
    masks = []
    for part, name in (("eyeballs", "eye"), ("eye_sockets", "eye_socket")):
        member = _members(face, parts.get(part))
        masks.append((f"left_{name}", member & face.left))
        masks.append((f"right_{name}", member & ~face.left))
    masks.append(("mouth", _members(face, parts.get("mouth_socket"))))
    return masks


def _members(face: _FrontalFace, indices: NDArray[np.integer] | None) -> Mask:
    mask = np.zeros(len(face.vertices), bool)
    if indices is not None:
        mask[indices] = True
    return mask
