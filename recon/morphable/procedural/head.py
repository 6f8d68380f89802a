"""The mean head: its skin as a solid of blended primitives, rays that find it, eyes and mouth.

All measures are in mm, from the usual adult averages: width between the cheekbones 138, nasion to
chin 117, nose 50 long and 36 wide, mouth 50 wide, pupils 63 apart. The origin lies between the
ears; +z is where the face looks, y up, x to the subject's left. Every paired solid is described
once, for x > 0.

In the plane of the mesh the mouth line is a lens a few mm tall: its upper edge is the inner border
of the upper lip, its lower edge that of the lower lip. On the skin both edges lie on the line but
for a hair's breadth, and the inside of the lens becomes a pocket that opens with the jaw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]
Point = tuple[float, float, float]

CENTRE = np.array([0.0, 0.0, -20.0])
"""From here every point of the skin is seen: rays meet the skin once."""

RADIUS = 85.0
"""Millimetres of the unrolled plane per radian around `CENTRE`."""

_REACH = 220.0
_STEPS = 26

EYEBALL = (31.2, 30.0, 39.0)
EYEBALL_RADII = (15.5, 13.0, 12.5)
LID_RADII = (17.5, 14.0, 14.0)

EYE_INNER = (16.4, 29.0)
EYE_OUTER = (45.2, 30.8)
PUPIL_CENTRE = (31.3, 30.2)
IRIS_RADIUS = 5.9
PUPIL_RADIUS = 2.1
LID_EDGE = 0.9
"""Millimetres from the lid's border to where the lid touches the eyeball."""

_UPPER, _LOWER = 5.1, 4.8
_DEEPEST = 3.5

MOUTH_CORNER = 25.2
"""Half the width of the mouth line, mm."""

_LENS = 3.2
_GAP = 0.05
_RELIEF = 8.0
_DEPTH = 16.0
_CAVITY = 9.0


def norm(vectors: Array) -> Array:
    """Length of (…, D) vectors, summed in a fixed order so that every CPU gives the same bits."""
    total = vectors[..., 0] * vectors[..., 0]
    for axis in range(1, vectors.shape[-1]):
        total += vectors[..., axis] * vectors[..., axis]
    return np.sqrt(total)


def ellipsoid(points: Array, centre: Point, radii: Point) -> Array:
    """First-order distance of (N, 3) points to an axis-aligned ellipsoid, negative inside."""
    scaled = (points - np.array(centre)) / np.array(radii)
    length = norm(scaled)
    gradient = norm(scaled / np.array(radii))
    # Value over gradient; an exact distance to an ellipsoid needs the roots of a quartic.
    return length * (length - 1.0) / np.maximum(gradient, 1e-9)


def capsule(points: Array, start: Point, end: Point, radius: tuple[float, float]) -> Array:
    """Distance of (N, 3) points to a rod whose radius goes linearly from start to end."""
    first, axis = np.array(start), np.array(end) - np.array(start)
    offset = points - first
    # Written out: a matrix product may add in another order on another CPU.
    along = offset[:, 0] * axis[0] + offset[:, 1] * axis[1] + offset[:, 2] * axis[2]
    fraction = np.clip(along / float((axis * axis).sum()), 0.0, 1.0)
    away = norm(offset - np.multiply(fraction[:, None], axis, order="F"))
    width: Array = radius[0] + (radius[1] - radius[0]) * fraction
    return away - width


def union(first: Array, second: Array, blend: float) -> Array:
    """Distance to both solids together; `blend` mm wide fillet in between."""
    # Cubic polynomial blend (Quilez): smooth, and without effect outside of the fillet.
    near = np.maximum(blend - np.abs(first - second), 0.0) / blend
    return np.minimum(first, second) - near * near * near * (blend / 6.0)


def cut(solid: Array, tool: Array, blend: float) -> Array:
    """Distance to the solid with the tool taken away; `blend` mm wide round edge."""
    return -union(-solid, tool, blend)


def distance(points: Array) -> Array:
    """Signed distance (N,) of (N, 3) points to the skin, negative inside the head."""
    # By columns: NumPy would go through rows of three numbers, which takes twice as long.
    p = np.array(points, order="F")
    # One half is described; the other is its mirror image to the last bit.
    p[:, 0] = np.abs(p[:, 0])
    solid = _skull(p)
    solid = _jaw(p, solid)
    solid = _cheeks(p, solid)
    solid = _orbit(p, solid)
    solid = _lips(p, solid)
    solid = _nose(p, solid)
    return _ear(p, solid)


def _skull(p: Array) -> Array:
    cranium = ellipsoid(p, (0, 50, -28), (73, 90, 95))
    face = ellipsoid(p, (0, 0, -22), (66, 76, 83))
    neck = capsule(p, (0, -40, -36), (0, -220, -44), (50, 56))
    return union(union(cranium, face, 34), neck, 34)


def _jaw(p: Array, solid: Array) -> Array:
    body = capsule(p, (41, -46, -6), (0, -72, 48), (12, 13))
    ramus = capsule(p, (41, -46, -6), (56, 8, -20), (12, 12))
    muscle = ellipsoid(p, (41, -26, 4), (16, 32, 26))
    chin = ellipsoid(p, (0, -72, 46), (18, 14, 17))
    floor = ellipsoid(p, (0, -58, 15), (38, 26, 40))
    solid = union(solid, union(body, ramus, 16), 24)
    solid = union(union(solid, muscle, 24), floor, 18)
    return union(solid, chin, 16)


def _cheeks(p: Array, solid: Array) -> Array:
    bone = ellipsoid(p, (48, 6, 22), (15, 10, 20))
    flesh = ellipsoid(p, (31, -20, 30), (26, 32, 24))
    muzzle = ellipsoid(p, (0, -36, 31), (31, 27, 37))
    solid = union(union(solid, flesh, 28), bone, 28)
    return union(solid, muzzle, 18)


def _orbit(p: Array, solid: Array) -> Array:
    ridge = capsule(p, (0, 42, 59.5), (46, 45, 37), (7.5, 5.5))
    socket = ellipsoid(p, (28, 30, 64), (17, 10, 13))
    lid = ellipsoid(p, EYEBALL, LID_RADII)
    solid = union(solid, ridge, 18)
    # First ridge, then socket, then lid: the socket would otherwise cut the lid away.
    solid = cut(solid, socket, 10)
    return union(solid, lid, 5)


def _lips(p: Array, solid: Array) -> Array:
    upper = capsule(p, (0, -36.6, 68), (24, -40.2, 55), (4.9, 1.6))
    lower = capsule(p, (0, -44.8, 66.3), (23, -41, 55), (5.8, 1.6))
    philtrum = capsule(p, (0, -23, 74), (0, -32, 77), (3.0, 3.6))
    solid = cut(solid, philtrum, 5)
    return union(union(solid, upper, 6), lower, 6)


def _nose(p: Array, solid: Array) -> Array:
    bridge = capsule(p, (0, 34, 53), (0, -4, 77), (7.5, 8))
    body = ellipsoid(p, (0, -6, 60), (15, 20, 18))
    tip = ellipsoid(p, (0, -6.5, 79.5), (10.5, 9.5, 10.5))
    wing = ellipsoid(p, (11.5, -11, 69), (6.8, 7.5, 10))
    columella = capsule(p, (0, -12, 80), (0, -19, 64), (4.5, 4.5))
    nose = union(union(union(bridge, body, 12), tip, 9), columella, 5)
    # Before the nostril is cut, which has to go through wing and columella both.
    nose = union(nose, wing, 7)
    nose = cut(nose, nostril(p), 3.5)
    return union(solid, nose, 9)


def nostril(p: Array) -> Array:
    """Distance (N,) of (N, 3) points with x > 0 to what the nostril takes out of the nose."""
    return capsule(p, (5.6, -17.5, 80), (7.5, -15.5, 73), (2.4, 3.2))


def _ear(p: Array, solid: Array) -> Array:
    shell = ellipsoid(p, (71, 12, -34), (10, 32, 16))
    hollow = ellipsoid(p, (80, 16, -25), (6, 17, 9))
    return union(solid, cut(shell, hollow, 10), 8)


def directions(plane: Array) -> Array:
    """Unit rays (N, 3) from `CENTRE` of points (N, 2) of the unrolled plane."""
    # Azimuthal equidistant: lengths from the face's middle are kept, so meshes are even there.
    length = norm(plane)
    angle = length / RADIUS
    lateral = np.sin(angle) / np.maximum(length, 1e-9)
    return np.column_stack([plane[:, 0] * lateral, plane[:, 1] * lateral, np.cos(angle)])


def unroll(points: Array) -> Array:
    """Plane coordinates (N, 2) of the rays from `CENTRE` through (N, 3) points."""
    offset = points - CENTRE
    lateral = norm(offset[:, :2])
    scale = RADIUS * np.arctan2(lateral, offset[:, 2]) / np.maximum(lateral, 1e-9)
    unrolled: Array = offset[:, :2] * scale[:, None]
    return unrolled


def skin(plane: Array) -> Array:
    """Points (N, 3) of the skin at plane coordinates (N, 2)."""
    origins = np.broadcast_to(CENTRE, (len(plane), 3))
    return _cast(origins, directions(plane), 10.0)


def front(points: Array) -> Array:
    """Points (N, 3) of the skin that a viewer in front sees at (N, 2) x, y."""
    origins = np.column_stack([points, np.zeros(len(points))])
    forward = np.broadcast_to(np.array([0.0, 0.0, 1.0]), origins.shape)
    return _cast(origins, forward, 0.0)


def _cast(origins: Array, rays: Array, start: float) -> Array:
    near, far = np.full(len(rays), start), np.full(len(rays), _REACH)
    for _ in range(_STEPS):
        middle = (near + far) / 2
        # Bisection and not sphere tracing: blended solids only bound the distance.
        inside = distance(origins + middle[:, None] * rays) < 0
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return origins + near[:, None] * rays


def lid_heights(x: Array) -> tuple[Array, Array]:
    """Heights (upper, lower) of the lids' borders at x; equal at and beyond the corners."""
    t = np.clip((x - EYE_INNER[0]) / (EYE_OUTER[0] - EYE_INNER[0]), 0.0, 1.0)
    chord = EYE_INNER[1] + (EYE_OUTER[1] - EYE_INNER[1]) * t
    arch = np.sqrt(np.maximum(4 * t * (1 - t), 0.0))
    # Pulls the arch in at the corners: a plain ellipse has no canthus.
    arch = arch * (0.35 + 0.65 * arch)
    return chord + _UPPER * arch * (1.08 - 0.16 * t), chord - _LOWER * arch * (0.90 + 0.2 * t)


def lid_borders() -> tuple[Array, Array]:
    """Dense polylines (M, 2) of the upper and the lower lid, both from inner to outer corner."""
    angle = np.linspace(0.0, np.pi, 241)
    # Cosine spacing puts points at the corners, where the border turns fastest.
    x = EYE_INNER[0] + (EYE_OUTER[0] - EYE_INNER[0]) * (1 - np.cos(angle)) / 2
    upper, lower = lid_heights(x)
    return np.column_stack([x, upper]), np.column_stack([x, lower])


def depth_inside_lids(points: Array) -> Array:
    """Distance (N,) of (N, 2) front points to the lids' border, positive in the opening."""
    away, _ = cKDTree(np.vstack(lid_borders())).query(points)
    upper, lower = lid_heights(points[:, 0])
    inside = (points[:, 1] < upper) & (points[:, 1] > lower)
    depth: Array = np.where(inside, away, -away)
    return depth


def lid_contact() -> Array:
    """Closed polyline (M, 2) along which the lids touch the eyeball."""
    upper, lower = lid_borders()
    middle = (upper + lower) / 2
    half = (upper - lower)[:, 1] / 2
    shrink = np.maximum(half - LID_EDGE, 0.0)[:, None]
    centre_x = (EYE_INNER[0] + EYE_OUTER[0]) / 2
    middle[:, 0] = centre_x + (middle[:, 0] - centre_x) * 0.94
    offset = np.array([0.0, 1.0]) * shrink
    ring = np.vstack([middle + offset, (middle - offset)[::-1]])
    apart: Array = ring[np.concatenate([shrink[:, 0] > 0, shrink[::-1, 0] > 0])]
    return apart


def circle_around_pupil(radius: float) -> Array:
    """Closed polyline (M, 2) around the pupil, cut where the lids cover it."""
    angle = np.linspace(0.0, 2 * np.pi, 181)
    ring = np.array(PUPIL_CENTRE) + radius * np.column_stack([np.cos(angle), np.sin(angle)])
    # An edge under the lid would cross the lid's own curve in the mesh.
    return ring[depth_inside_lids(ring) > LID_EDGE + 0.3]


def eyeball_depth(points: Array) -> Array:
    """Depth z (N,) of the eyeball's front at (N, 2) front points."""
    scaled = (points - np.array(EYEBALL[:2])) / np.array(EYEBALL_RADII[:2])
    return EYEBALL[2] + EYEBALL_RADII[2] * np.sqrt(np.maximum(1 - norm(scaled) ** 2, 0.0))


def set_eyes(points: Array) -> Array:
    """Skin points (N, 3) with those in the lids' openings, both sides, pushed to the eyeball."""
    view = np.column_stack([np.abs(points[:, 0]), points[:, 1]])
    # A ramp of the lid's thickness: a step would give walls of slivers.
    share = np.clip(depth_inside_lids(view) / LID_EDGE, 0.0, 1.0)
    behind = np.clip(eyeball_depth(view), points[:, 2] - _DEEPEST, points[:, 2] - 0.5)
    moved = points.copy()
    moved[:, 2] += share * (behind - points[:, 2])
    return moved


def mouth_line(x: Array) -> Array:
    """Height y of the mouth line at x, mm."""
    t = np.clip(np.abs(x) / MOUTH_CORNER, 0.0, 1.0)
    return -40.3 - 0.8 * t * t - 0.5 * (1 - t * t) * np.maximum(1 - 9 * t * t, 0.0)


def upper_lip_border(x: Array) -> Array:
    """Height of the upper lip's outer border: a cupid's bow."""
    t = np.clip(np.abs(x) / MOUTH_CORNER, 0.0, 1.0)
    bow = 7.6 * (1 - t) ** 0.9 * (1 + 0.55 * t) - 1.3 * np.maximum(1 - (t / 0.22) ** 2, 0.0)
    return mouth_line(x) + np.maximum(bow, 0.0)


def lower_lip_border(x: Array) -> Array:
    """Height of the lower lip's outer border."""
    t = np.clip(np.abs(x) / MOUTH_CORNER, 0.0, 1.0)
    return mouth_line(x) - 8.6 * (1 - t**2.2) ** 0.85


def _line() -> tuple[Array, Array]:
    x = np.linspace(0.0, MOUTH_CORNER, 61)
    plane = unroll(front(np.column_stack([x, mouth_line(x)])))
    return plane[:, 0], plane[:, 1]


class MouthLens:
    """Opens and closes the mouth line between the plane of the mesh and that of the skin."""

    def __init__(self) -> None:
        self._p, self._q = _line()

    def open(self, skin: Array) -> Array:
        """Mesh coordinates (N, 2) of points of the skin plane, the line itself going up."""
        offset, half = self._offset(skin), self.half_height(skin[:, 0])
        magnitude = np.abs(offset)
        reach = half + _RELIEF
        gap = _GAP * half
        # Only a strip of 8 mm beside the line is stretched; beyond it mesh and skin agree.
        stretched = half + np.maximum(magnitude - gap, 0.0) * _RELIEF / (reach - gap)
        opened = np.where(magnitude < reach, stretched, magnitude)
        sign = np.where(offset < 0, -1.0, 1.0)
        return np.column_stack([skin[:, 0], skin[:, 1] - offset + sign * opened])

    def close(self, mesh: Array) -> tuple[Array, Array]:
        """Skin plane (N, 2) of mesh coordinates, and the place across the lens.

        The place is in (-1, 1) inside the lens, from the lower to the upper lip; beyond it is the
        distance from the line in mm plus or minus one.
        """
        offset, half = self._offset(mesh), self.half_height(mesh[:, 0])
        outside = np.maximum(np.abs(offset) - half, 0.0)
        gap = _GAP * half
        near = gap + outside * (half + _RELIEF - gap) / _RELIEF
        closed = np.where(outside < _RELIEF, near, outside + half)
        closed = np.where(outside > 0, closed, _GAP * np.abs(offset))
        sign = np.where(offset < 0, -1.0, 1.0)
        across = sign * np.where(
            outside > 0, 1.0 + outside, np.abs(offset) / np.maximum(half, 1e-9)
        )
        skin = np.column_stack([mesh[:, 0], mesh[:, 1] - offset + sign * closed])
        return skin, across

    def edge(self, side: float) -> Array:
        """Polyline (M, 2) of the lens's upper (+1) or lower (-1) edge from corner to middle."""
        p = self._p[::-1]
        return np.column_stack([p, self._q[::-1] + side * self.half_height(p)])

    def half_height(self, p: Array) -> Array:
        """Half the height of the lens at p; zero beyond the corners."""
        t = np.abs(p) / self._p[-1]
        half: Array = _LENS * np.maximum(1.0 - t * t, 0.0)
        return half

    def pocket(self, points: Array, mesh: Array, across: Array) -> Array:
        """Points (N, 3) of the closed skin with those inside the lens moved into the mouth."""
        # A parabola across the lens: the pocket closes smoothly at both lips.
        inside = np.clip(1.0 - across * across, 0.0, 1.0)
        width = self.half_height(mesh[:, 0]) / _LENS
        moved = points.copy()
        moved[:, 1] += _CAVITY * inside * np.clip(across, -1, 1) * width
        moved[:, 2] -= _DEPTH * inside * width
        return moved

    def _offset(self, plane: Array) -> Array:
        return plane[:, 1] - np.interp(np.abs(plane[:, 0]), self._p, self._q)
