"""The mean face: mesh, landmarks and the coordinates that paint and modes are written in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .eyes import set_eyes
from .head import skin
from .layout import LEFT_OF_MIDDLE, feature_curves, landmark_anchors
from .mouth import MouthLens
from .plane import HalfMesh, mirror, triangulate
from .solid import Array


@dataclass(frozen=True)
class Surface:
    """The mean face with what is known about each of its vertices.

    Attributes:
        vertices: (V, 3) mm.
        skin: (V, 3) mm, the face before lids opened over the eyeballs and the pocket was made.
        triangles: (F, 3), outward.
        landmarks: (68,) vertex of each iBUG landmark.
        partner: (V,) the vertex's mirror image; itself on the middle line.
        across: (V,) place across the mouth line: -1..1 inside the mouth, mm beyond the lips' edges.
        lens: (V,) half the height of the mouth's lens at the vertex, relative to its middle.
    """

    vertices: Array
    skin: Array
    triangles: NDArray[np.int64]
    landmarks: NDArray[np.int64]
    partner: NDArray[np.int64]
    across: Array
    lens: Array


def mean_surface(n_vertices: int) -> Surface:
    """The mean face with about `n_vertices` vertices."""
    lens = MouthLens()
    anchors = landmark_anchors(lens)
    half = triangulate(np.array(list(anchors.values())), feature_curves(lens), n_vertices)
    closed, across = lens.close(half.points)
    bare = skin(closed)
    bare[half.points[:, 0] == 0, 0] = 0.0
    vertices = lens.pocket(set_eyes(bare), half.points, across)
    return _both_sides(half, list(anchors), vertices, bare, across, lens)


def _both_sides(
    half: HalfMesh, numbers: list[int], vertices: Array, bare: Array, across: Array, lens: MouthLens
) -> Surface:
    points, triangles, partner = mirror(half)
    off = partner[len(half.points) :]
    flip = np.array([-1.0, 1.0, 1.0])
    return Surface(
        vertices=np.vstack([vertices, vertices[off] * flip]),
        skin=np.vstack([bare, bare[off] * flip]),
        triangles=triangles,
        landmarks=_landmarks(numbers, partner),
        partner=partner,
        across=np.concatenate([across, across[off]]),
        lens=lens.half_height(points[:, 0]) / lens.half_height(np.zeros(1))[0],
    )


def _landmarks(numbers: list[int], partner: NDArray[np.int64]) -> NDArray[np.int64]:
    vertex = dict(zip(numbers, range(len(numbers)), strict=True))
    vertex |= {right: int(partner[vertex[left]]) for left, right in LEFT_OF_MIDDLE.items()}
    return np.array([vertex[number] for number in range(1, 69)])
