"""Uniform samples of a surface, whatever its vertices, and how a displacement field moves them.

A vertex chosen out of each cell of a grid is another one when a mesh is cut into other triangles,
and what is registered by such vertices comes out elsewhere. Here each corner of a grid sees the
surface around it the more the nearer it is, so that its point moves as little as the surface does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..surface.region import Sphere
from ..surface.similarity import Similarity
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, cross, unit
from .deformation import SmoothField, sparse_rows

# Of a cell's side squared: what sees less of the surface than this sees the end of it only.
LEAST_SHARE = 0.02
# The same for a node, without which others nearby carry the surface.
LEAST_NODE_SHARE = 0.15
OFF_MIDDLE = 0.3  # Of a cell.
STEP_MM = 1.0  # Step of the field's finite differences: far less than its nodes are apart.


@dataclass(frozen=True, eq=False)
class EvenPoints:
    """Points of a surface and what each stands for.

    Attributes:
        positions: (K, 3) on the surface, mm.
        normals: (K, 3) of unit length, the mean of what the point stands for.
        areas: (K,) mm².
        to_boundary: (K,) distance to the surface's boundary, mm; infinite beyond the spacing.
    """

    positions: Float64Array
    normals: Float64Array
    areas: Float64Array
    to_boundary: Float64Array

    def where(self, kept: NDArray[np.bool_]) -> EvenPoints:
        """Those of them (K,) that are kept."""
        return EvenPoints(
            self.positions[kept], self.normals[kept], self.areas[kept], self.to_boundary[kept]
        )


def even_points(
    surface: Surface, inside: Sphere, frame: Similarity, spacing_mm: float
) -> EvenPoints:
    """Points of a surface, some three for each cell of a grid that it crosses.

    Each corner of the grid sees the surface around it, weighted by a tent that falls to nothing at
    the next corner. The middle of what it sees, taken to the surface, is a point.

    Args:
        surface: in mm, its vertices closer together than the spacing.
        inside: the part of it that counts.
        frame: to the space whose axes the grid has.
        spacing_mm: side of a cell.
    """
    counted = inside.holds(surface.vertices)
    if not counted.any():
        return EvenPoints(np.empty((0, 3)), np.empty((0, 3)), np.empty(0), np.empty(0))
    vertices, areas = surface.vertices[counted], surface.areas[counted]
    values = np.concatenate([np.ones((len(areas), 1)), vertices, surface.normals[counted]], axis=1)
    sums = _sums_at_corners(_in_grid(vertices, frame, spacing_mm), areas, values)
    sums = sums[:, sums[0] > LEAST_SHARE * spacing_mm**2]
    closest = surface.closest((sums[1:4] / sums[0]).T, spacing_mm)
    assert closest.to_boundary is not None
    return EvenPoints(closest.position, unit(sums[4:].T), sums[0], closest.to_boundary)


def _in_grid(points: Float64Array, frame: Similarity, spacing_mm: float) -> Float64Array:
    """Points (N, 3) in cells of the grid."""
    # Off the middle: between the halves of a symmetric face the last bit of a rotation would tell
    # in which cell a point lies, and on which side of the nose the middle of a cell is laid.
    return np.asarray(frame.apply(points) / spacing_mm + OFF_MIDDLE)


def _sums_at_corners(
    places: Float64Array, areas: Float64Array, values: Float64Array
) -> Float64Array:
    """Sums (P, C) of values (N, P) by the area (N,) that the corners of a grid of unit cells see
    of points at places (N, 3)."""
    # From the frame's origin: the grid stays where it is whatever part of a surface is in it.
    low = np.floor(places.min(0)).astype(np.int64)
    cell = np.floor(places).astype(np.int64)
    within = (places - cell).T
    sizes = tuple(cell.max(0) - low + 2)
    corners = np.array(list(product((0, 1), repeat=3)))
    first = np.ravel_multi_index(tuple((cell - low).T), sizes)
    index = first[:, None] + np.ravel_multi_index(tuple(corners.T), sizes)
    tents = np.stack([1 - within, within])
    seen = [tents[i, 0] * tents[j, 1] * tents[k, 2] * areas for i, j, k in corners]
    shares = sparse_rows(index, np.stack(seen, axis=1), int(np.prod(sizes)))
    return np.asarray((shares.T @ values).T)


def even_nodes(
    points: EvenPoints, surface: Surface, frame: Similarity, spacing_mm: float
) -> Float64Array:
    """One node (M, 3) on the surface in each cell of a grid that holds enough of its points.

    Args:
        points: of the surface, far closer together than the nodes.
        surface: in mm.
        frame: to the space whose axes the grid has.
        spacing_mm: side of a cell.
    """
    cell = np.floor(_in_grid(points.positions, frame, spacing_mm)).astype(np.int64)
    number = np.unique(cell, axis=0, return_inverse=True)[1].ravel()
    areas = np.bincount(number, points.areas)
    sums = [np.bincount(number, points.areas * column) for column in points.positions.T]
    full = areas > LEAST_NODE_SHARE * spacing_mm**2
    return surface.closest((np.stack(sums) / areas).T[full]).position


class CarriedPoints:
    """Points of a surface that a field displaces, with the normals that they then have.

    Normals turn by the field's own slope: those of the deformed triangles would depend on how the
    surface is cut into them.

    Args:
        points: before.
        field: of displacements.
        frame: to the space whose axes the grid of the points has.

    Attributes:
        points: before.
        basis: (K, M) of their displacements.
    """

    def __init__(self, points: EvenPoints, field: SmoothField, frame: Similarity) -> None:
        self.points, self.basis = points, field.basis(points.positions)
        # Along the surface by axes that move with it: a difference is no derivative.
        across = np.abs(frame.turn(points.normals)).argmin(1)
        first = unit(np.cross(points.normals, frame.rotation[across]))
        self._along = first, np.cross(points.normals, first)
        self._ahead = [field.basis(points.positions + STEP_MM * along) for along in self._along]

    def moved(self, displacement: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Positions and unit normals (K, 3) under displacements (M, 3) of the nodes."""
        moved = self.basis @ displacement
        first, second = (
            along + (ahead @ displacement - moved) / STEP_MM
            for along, ahead in zip(self._along, self._ahead, strict=True)
        )
        return self.points.positions + moved, unit(cross(first, second))
