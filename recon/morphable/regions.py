"""Named regions of a face, and their derivation from the 68 landmarks and a model's named parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

# Lengths as shares of the distance between the outer eye corners (about 90 mm).
_BROW_HALF_WIDTH = 0.055
_SOCKET_WIDTH = 0.13
_NOSE_ROOT_HALF_WIDTH = 0.11
_NOSE_WING_SHARE = 1.75
_LIP_DEPTH = 0.06
_CHIN_MARGIN = 0.06

Points = NDArray[np.float64]


@dataclass(frozen=True)
class _FrontalFace:
    """Vertices and landmarks in the frontal plane, the unit being the outer eye distance."""

    vertices: Points
    landmarks: Points

    @property
    def plane(self) -> Points:
        return self.vertices[:, :2]

    def outline(self, which: slice) -> Points:
        return self.landmarks[which, :2]

    @property
    def left(self) -> Mask:
        return np.asarray(self.vertices[:, 0] > self.landmarks[27, 0])

    @property
    def ear_depth(self) -> float:
        """Depth of the jaw line's upper ends, just in front of the ears."""
        return float(self.landmarks[[0, 16], 2].mean())


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
    unit = np.linalg.norm(landmarks[45] - landmarks[36])
    face = _FrontalFace(vertices.astype(np.float64) / unit, landmarks / unit)
    region = np.full(len(vertices), REGION_NAMES.index("head"), np.uint8)
    for name, mask in _masks(face, parts or {}):
        region[mask] = REGION_NAMES.index(name)
    return region


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
