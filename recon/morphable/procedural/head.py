"""The skin of the mean head as a solid of blended primitives, and rays that find it.

All measures are in mm, from the usual adult averages: width between the cheekbones 138, nasion to
chin 117, nose 50 long and 36 wide, mouth 50 wide, pupils 63 apart. The origin lies between the
ears; +z is where the face looks, y up, x to the subject's left. Every paired solid is described
once, for x > 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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


def norm(vectors: Array) -> Array:
    """Length of (…, D) vectors, summed in a fixed order so that every CPU gives the same bits."""
    total = np.zeros(vectors.shape[:-1])
    for axis in range(vectors.shape[-1]):
        total = total + vectors[..., axis] * vectors[..., axis]
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
    away = norm(offset - fraction[:, None] * axis)
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
    p = points.copy()
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
