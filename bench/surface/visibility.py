"""Which part of a surface is seen from outside: rays of the surface against itself.

A face's mesh may hold more than its skin: eyeballs behind the lids, sockets, the bag of the mouth,
teeth, an inner wall. No scanner sees them, and a closest point on one of them is no error of the
face. A vertex is outside when a ray from it to one of a set of viewpoints meets nothing; a
triangle, when one of its corners is. That is exact for whatever is enclosed from all viewpoints,
and for the rest (nostrils, folds, lips that touch) right to about an edge's length.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from .o3d import o3d
from .triangles import Float64Array, double_areas, lengths, unit, vertex_normals

# From the frontal direction: as far as scanners go round a face. A mask is open at its back, and
# with wider angles the rays of what lies behind it would leave past its edge.
VIEW_DEG = 65.0
N_VIEWS = 32  # Viewpoints: about 17 degrees apart, finer than the openings of a face.
BATCH = 8  # Viewpoints tried at a time on what no ray has left yet.
GRAZING = 0.1  # Cosine below which a ray runs along the surface it leaves and tells nothing.
GRID = 2.0**-24
OFFSET = 2e-5  # Of the mesh's size: where rays start, off the surface; above float32's rounding.
# Share of what is seen that may show its back, as the boundary of an inner wall does.
MOST_INVERTED = 0.15


def outside_of(
    mesh: Mesh, axes: Float64Array, near: NDArray[np.bool_] | None = None
) -> tuple[Mesh, float]:
    """The mesh without the triangles that are not seen from outside, and their share of the area.

    Args:
        mesh: in any pose and unit; vertices keep their numbers.
        axes: (3, 3) rotation whose last row is where the face looks to, in the mesh's space; the
            others only have to turn with the mesh.
        near: (V,) bool, the vertices that matter; others count as seen. None for all.

    Raises:
        FacebenchError: when nothing is seen, or a part of what is seen shows its back.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    triangles = np.asarray(mesh.triangles, np.int64)
    wanted = np.zeros(len(vertices), bool)
    wanted[triangles] = True
    if near is not None:
        wanted &= near
    side = np.zeros(len(vertices), np.int8)
    index = np.flatnonzero(wanted)
    side[index] = _seen_side(vertices, triangles, index, axes)
    areas = lengths(double_areas(vertices, triangles))
    inside = wanted[triangles].any(1)
    seen = (side[triangles] != 0).any(1) | ~inside
    total = areas[inside].sum()
    if not areas[inside & seen].sum() > 0:
        raise FacebenchError(
            "nothing of the prediction is seen from outside",
            "its surface is hidden by another one, a closed shell around it or a second copy; "
            "remove that, or set points.prediction=all",
        )
    corners = side[triangles]
    inverted = inside & (corners < 0).any(1) & (corners <= 0).all(1)
    share = areas[inverted].sum() / areas[inside & seen].sum()
    if share > MOST_INVERTED:
        raise FacebenchError(
            f"{share:.0%} of the prediction's surface is inside out: its triangles are turned "
            "against those around them",
            "make the triangles' order consistent, for example by MeshLab's 'Re-Orient All Faces'",
        )
    left_out = float(areas[inside & ~seen].sum() / total)
    if seen.all():
        return mesh, 0.0
    return replace(mesh, triangles=np.asarray(mesh.triangles)[seen]), left_out


def is_seen(mesh: Mesh, axes: Float64Array, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which (V,) of the wanted vertices (V,) of a mesh are seen from outside, of whatever side.

    Args:
        mesh, axes: as for `outside_of`.
        wanted: those that are asked for.
    """
    vertices = np.asarray(mesh.vertices, np.float64)
    triangles = np.asarray(mesh.triangles, np.int64)
    seen = np.zeros(len(vertices), bool)
    index = np.flatnonzero(wanted)
    seen[index] = _seen_side(vertices, triangles, index, axes) != 0
    return seen


def _seen_side(
    vertices: Float64Array,
    triangles: NDArray[np.int64],
    index: NDArray[np.int64],
    axes: Float64Array,
) -> NDArray[np.int8]:
    """Which side of vertices `index` is seen: 1 the normal's, -1 only the other and from the front,
    0 neither."""
    # In its own axes: its size too must not change with how it is turned.
    own = (vertices - vertices[triangles].mean((0, 1))) @ axes.T
    used = np.zeros(len(vertices), bool)
    used[triangles] = True
    size = float(np.linalg.norm(np.ptp(own[used], axis=0)))
    # About its middle and of size one: float32 has seven digits wherever the mesh lies.
    placed = _on_grid(own / max(size, np.finfo(float).tiny))
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(placed.astype(np.float32)), o3d.core.Tensor(triangles.astype(np.uint32))
    )
    points, normals = placed[index], vertex_normals(placed, triangles)[index]
    side = np.zeros(len(index), np.int8)
    views = view_directions()
    # Nearly everything is seen from the front: one ray per vertex, and batches for the rest.
    batches = [views[:1], *np.array_split(views[1:], (len(views) - 1) // BATCH)]
    for batch in batches:
        rows = np.flatnonzero(side != 1)
        if not len(rows):
            break
        outer, back = _free_sides(scene, points[rows], normals[rows], batch)
        side[rows[outer]] = 1
        if batch is batches[0]:
            # Backs from the front alone: from above or aside one looks past a mask's edge at those
            # of what lies within, sockets and the bag of the mouth.
            side[rows[back & ~outer]] = -1
    return side


def _free_sides(
    scene: o3d.t.geometry.RaycastingScene,
    points: Float64Array,
    normals: Float64Array,
    views: Float64Array,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether a ray to one of the views (K, 3) leaves points (N, 3): on the normal's side, and on
    the other."""
    cosine = normals @ views.T
    row, view = np.nonzero(np.abs(cosine) > GRAZING)
    sign = np.sign(cosine[row, view])
    start = points[row] + (OFFSET * sign)[:, None] * normals[row]
    rays = np.concatenate([_on_grid(start), views[view]], axis=1).astype(np.float32)
    blocked = scene.test_occlusions(o3d.core.Tensor(rays)).numpy()
    found = np.zeros((2, len(points)), bool)
    found[np.where(sign > 0, 0, 1)[~blocked], row[~blocked]] = True
    return found[0], found[1]


def _on_grid(points: Float64Array) -> Float64Array:
    """Points (N, 3) of size one rounded to what float32 tells apart at one.

    Nearer to zero float32 is finer, and keeps the last bits of a rotation: on the plane of symmetry
    of a face, or where its lips touch, they would decide whether a ray meets an edge.
    """
    return np.asarray(np.round(points / GRID) * GRID)


def view_directions() -> Float64Array:
    """Unit directions (K, 3) evenly spread over a cap around z, which is the first.

    A Fibonacci lattice: equal areas, no two in a line.
    """
    number = np.arange(N_VIEWS)
    height = 1 - (1 - np.cos(np.radians(VIEW_DEG))) * number / (N_VIEWS - 1)
    turn = number * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(np.clip(1 - height**2, 0, None))
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)


def axes_around(front: Float64Array, axes: Float64Array) -> Float64Array:
    """The rotation (3, 3) nearest to axes (3, 3), of a frame that turns with a surface, whose last
    row is the front (3,)."""
    across = axes[np.abs(axes @ front).argmin()]
    across = unit(across - (across @ front) * front)
    return np.stack([across, np.cross(front, across), front])
