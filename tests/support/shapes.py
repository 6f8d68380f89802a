"""Meshes made by hand: spheres, and several meshes as one."""

from dataclasses import replace

import numpy as np

from facebench.recon.mesh import Mesh


def sphere(centre: np.ndarray, radius: float, rings: int = 24) -> Mesh:
    """A closed sphere with its outside outside, its poles to the front and the back."""
    polar, turn = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), np.arange(2 * rings) * np.pi / rings, indexing="ij"
    )
    points = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], axis=-1
    )
    index = np.arange(polar.size).reshape(polar.shape)
    index[0], index[-1] = index[0, 0], index[-1, 0]
    a, b = index[:-1], index[1:]
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    quads = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    solid = np.array([len(set(corners)) == 3 for corners in quads.tolist()])
    return Mesh(centre + radius * points.reshape(-1, 3), quads[solid])


def joined(first: Mesh, *others: Mesh) -> Mesh:
    """Several meshes as one, with the landmarks of the first."""
    vertices, triangles = [np.asarray(first.vertices)], [np.asarray(first.triangles, np.int64)]
    for other in others:
        triangles.append(np.asarray(other.triangles, np.int64) + sum(map(len, vertices)))
        vertices.append(np.asarray(other.vertices))
    return replace(
        first,
        vertices=np.concatenate(vertices),
        triangles=np.concatenate(triangles),
        colours=None,
    )
