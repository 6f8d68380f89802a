"""The mean face's mesh: where landmarks and feature lines lie, and what is known of each vertex.

Landmarks are given once, for the middle line and the subject's left half; the right half mirrors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .head import (
    EYE_INNER,
    EYE_OUTER,
    IRIS_RADIUS,
    MOUTH_CORNER,
    PUPIL_RADIUS,
    Array,
    MouthLens,
    circle_around_pupil,
    front,
    lid_borders,
    lid_contact,
    lid_heights,
    lower_lip_border,
    mouth_line,
    set_eyes,
    skin,
    unroll,
    upper_lip_border,
)
from .plane import mirror, triangulate

JAW = [
    (0.0, -86.0, 48.0),
    (14.0, -84.0, 46.0),
    (28.0, -77.0, 36.0),
    (40.5, -67.0, 22.0),
    (51.0, -54.5, 12.0),
    (58.0, -38.0, 5.0),
    (63.0, -19.0, 0.0),
    (67.0, 0.0, -3.0),
    (70.0, 20.0, -5.0),
]
"""From the chin to the left ear: iBUG 9 to 17, roughly; the rays through them count."""

BROW = [(13.0, 43.0), (20.5, 46.5), (29.5, 48.6), (39.0, 47.8), (48.0, 42.8)]
_NOSE_RIDGE = [(0.0, 30.0), (0.0, 17.5), (0.0, 5.0), (0.0, -7.5)]
_NOSE_BASE = [(0.0, -20.3), (6.5, -19.6), (13.5, -18.2)]

LEFT_OF_MIDDLE = {
    **{9 + k: 9 - k for k in range(1, 9)},
    **dict(zip(range(23, 28), range(22, 17, -1), strict=True)),
    35: 33,
    36: 32,
    43: 40,
    44: 39,
    45: 38,
    46: 37,
    47: 42,
    48: 41,
    53: 51,
    54: 50,
    55: 49,
    56: 60,
    57: 59,
    64: 62,
    65: 61,
    66: 68,
}
"""iBUG number on the subject's left and its mirror image on the right."""


@dataclass(frozen=True)
class Surface:
    """The mean face with what is known about each of its vertices.

    Attributes:
        vertices: (V, 3) mm.
        skin: (V, 3) mm, the face before lids opened over the eyeballs and the pocket was made.
        triangles: (F, 3), outward.
        landmarks: (68,) vertex of each iBUG landmark.
        across: (V,) place across the mouth line: -1..1 inside the mouth, mm beyond the lips' edges.
        lens: (V,) half the height of the mouth's lens at the vertex, relative to its middle.
    """

    vertices: Array
    skin: Array
    triangles: NDArray[np.int64]
    landmarks: NDArray[np.int64]
    across: Array
    lens: Array


def mean_surface(n_vertices: int) -> Surface:
    """The mean face with about `n_vertices` vertices."""
    lens = MouthLens()
    anchors = landmark_anchors(lens)
    curves = feature_curves(lens)
    half, triangles = triangulate(np.array(list(anchors.values())), curves, n_vertices)
    closed, across = lens.close(half)
    bare = skin(closed)
    # Rays leave rounding behind; on the middle line it would open a gap to the mirror image.
    bare[half[:, 0] == 0, 0] = 0.0
    vertices = lens.pocket(set_eyes(bare), half, across)
    points, triangles, partner = mirror(half, triangles)
    off = partner[len(half) :]
    flip = np.array([-1.0, 1.0, 1.0])
    return Surface(
        vertices=np.vstack([vertices, vertices[off] * flip]),
        skin=np.vstack([bare, bare[off] * flip]),
        triangles=triangles,
        landmarks=_landmarks(list(anchors), partner),
        across=np.concatenate([across, across[off]]),
        lens=lens.half_height(points[:, 0]) / lens.half_height(np.zeros(1))[0],
    )


def _landmarks(numbers: list[int], partner: NDArray[np.int64]) -> NDArray[np.int64]:
    vertex = dict(zip(numbers, range(len(numbers)), strict=True))
    # The mirror image of a left landmark is the right one, in iBUG's numbering.
    vertex |= {right: int(partner[vertex[left]]) for left, right in LEFT_OF_MIDDLE.items()}
    return np.array([vertex[number] for number in range(1, 69)])


def landmark_anchors(lens: MouthLens) -> dict[int, Array]:
    """Mesh plane coordinates (2,) of the middle and left landmarks, by iBUG number."""
    jaw = unroll(np.array(JAW))
    anchors = {9 + k: jaw[k] for k in range(9)}
    faced = dict(zip(range(23, 28), BROW, strict=True))
    faced |= dict(zip(range(28, 32), _NOSE_RIDGE, strict=True))
    faced |= dict(zip(range(34, 37), _NOSE_BASE, strict=True))
    faced |= _eye() | _outer_lips()
    plane = to_mesh(np.array(list(faced.values())), lens)
    anchors |= dict(zip(faced, plane, strict=True))
    anchors |= _lip_edges(lens)
    # Rays leave rounding; a middle landmark off the line would have a twin of its own.
    for number in (9, 28, 29, 30, 31, 34, 52, 58, 63, 67):
        anchors[number][0] = 0.0
    return anchors


def to_mesh(points: Array, lens: MouthLens) -> Array:
    """Mesh plane coordinates (N, 2) of the skin seen from the front at (N, 2) x, y."""
    # Front view to skin, skin to its plane, and there the mouth line is opened to a lens.
    return lens.open(unroll(front(points)))


def feature_curves(lens: MouthLens) -> list[Array]:
    """Polylines of the mesh plane that triangle edges follow, most important first."""
    upper, lower = lid_borders()
    x = np.linspace(MOUTH_CORNER, 0.0, 80)
    faced = [
        upper,
        lower,
        lid_contact(),
        circle_around_pupil(IRIS_RADIUS),
        circle_around_pupil(PUPIL_RADIUS),
        np.column_stack([x, upper_lip_border(x)]),
        np.column_stack([x, lower_lip_border(x)]),
    ]
    ends = np.cumsum([len(curve) for curve in faced])[:-1]
    return [lens.edge(1.0), lens.edge(-1.0), *np.split(to_mesh(np.vstack(faced), lens), ends)]


def _eye() -> dict[int, tuple[float, float]]:
    width = EYE_OUTER[0] - EYE_INNER[0]
    x = np.array([EYE_INNER[0] + width * 0.31, EYE_INNER[0] + width * 0.67])
    upper, lower = lid_heights(x)
    return {
        43: EYE_INNER,
        44: (x[0], upper[0]),
        45: (x[1], upper[1]),
        46: EYE_OUTER,
        47: (x[1], lower[1]),
        48: (x[0], lower[0]),
    }


def _outer_lips() -> dict[int, tuple[float, float]]:
    above, below = np.array([0.0, 5.5, 15.5]), np.array([15.0, 7.5, 0.0])
    points = [*zip(above, upper_lip_border(above), strict=True)]
    points += [(MOUTH_CORNER, float(mouth_line(np.array([MOUTH_CORNER]))[0]))]
    points += [*zip(below, lower_lip_border(below), strict=True)]
    return dict(zip(range(52, 59), points, strict=True))


def _lip_edges(lens: MouthLens) -> dict[int, Array]:
    upper, lower = lens.edge(1.0), lens.edge(-1.0)
    # The lens's edge runs from the corner to the middle: 39 and 6 of its 61 points are iBUG's.
    middle, side, corner = len(upper) - 1, 39, 6
    return {
        63: upper[middle].copy(),
        64: upper[side].copy(),
        65: upper[corner].copy(),
        66: lower[side].copy(),
        67: lower[middle].copy(),
    }
