"""Points spread evenly over a face model, each with what its place, normal and colour depend on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..mesh import Mesh, vertex_normals
from ..morphable.model import MorphableModel

HIDDEN_REGIONS = ("left_ear", "right_ear", "neck", "head", "mouth")
"""Regions whose colours say nothing of the face, or that hair and lips cover."""


def cluster_vertices(
    places: NDArray[np.floating], spacing: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One place for each cube that holds any, the one nearest to its centre.

    Args:
        places: (V, 3) mm.
        spacing: side of the cubes in mm.

    Returns:
        The chosen places (N,), and for every place (V,) which of the N stands for it.
    """
    # One point per cube rather than every n-th vertex: models have many times more vertices around
    # eyes and lips.
    cells = np.floor(places / spacing)
    off = np.linalg.norm(places / spacing - cells - 0.5, axis=1)
    # Sorted by cube and then by distance from its centre; the first of each run is the nearest.
    order = np.lexsort((off, *cells.T))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(cells[order], axis=0) != 0).any(axis=1)
    owner = np.empty(len(order), np.int64)
    owner[order] = np.cumsum(first) - 1
    return order[first].astype(np.int64), owner


def collapse_triangles(triangles: NDArray[np.int32], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """What is left of triangles (F, 3) when every vertex (V,) moves to the one that stands for it.

    Those that shrink to an edge or a point are gone, and of those that fall together one is kept.
    """
    merged = owner[triangles]
    # A triangle with two corners in one cube has shrunk to an edge.
    a, b, c = merged.T
    distinct = (a != b) & (b != c) & (c != a)
    kept: NDArray[np.int64] = np.unique(np.sort(merged[distinct], axis=1), axis=0)
    return kept


class SurfacePoints(nn.Module):
    """Few points stand for all, so that their bases stay in the cache and serve the whole batch.

    Args:
        model: the face model.
        spacing: mm between neighbours.
    """

    vertices: Tensor
    mean: Tensor
    basis: Tensor
    mean_albedo: Tensor
    albedo_basis: Tensor

    def __init__(self, model: MorphableModel, spacing: float) -> None:
        super().__init__()
        # Chosen once, on the mean: every face then has the same points, and one basis serves the
        # batch.
        chosen = spread_vertices(model, spacing)
        bases = np.concatenate([model.identity_basis, model.expression_basis], axis=2)
        # Mean and bases as columns of one array: tangents are linear in the vertices, so one
        # operator serves all.
        columns = np.concatenate([model.mean_shape[:, :, None], bases], axis=2).astype(np.float64)
        places = np.concatenate([columns[chosen], _tangents(model, chosen, columns)], axis=1)
        self.register_buffer("vertices", torch.from_numpy(chosen))
        self._register("mean", places[..., :1])
        self._register("basis", places[..., 1:])
        self._register("mean_albedo", model.mean_albedo[chosen, :, None])
        self._register("albedo_basis", model.albedo_basis[chosen])

    def _register(self, name: str, columns: NDArray[np.floating]) -> None:
        self.register_buffer(name, component_rows(columns), persistent=False)

    def __len__(self) -> int:
        return len(self.vertices)

    def frames(self, shape: Tensor) -> Tensor:
        """Places in mm and two tangents (9, N, B), whose cross product is the normal, of (B, K)."""
        return self._components(torch.addmm(self.mean, self.basis, shape.T))

    def albedo(self, coefficients: Tensor) -> Tensor:
        """Albedo (3, N, B) of coefficients (B, K)."""
        return self._components(torch.addmm(self.mean_albedo, self.albedo_basis, coefficients.T))

    def shape_change(self, shape: Tensor) -> Tensor:
        """Change (9, N, B) of `frames` along a change of shape (B, K)."""
        return self._components(self.basis @ shape.T)

    def albedo_change(self, coefficients: Tensor) -> Tensor:
        """Change (3, N, B) of `albedo` along a change of coefficients (B, K)."""
        return self._components(self.albedo_basis @ coefficients.T)

    def _components(self, rows: Tensor) -> Tensor:
        return rows.view(-1, len(self), rows.shape[1])


def component_rows(columns: NDArray[np.floating]) -> Tensor:
    """Columns (N, C, K) as float64 rows (C N, K): a product with them is component-major."""
    count, parts, modes = columns.shape
    rows = columns.transpose(1, 0, 2).reshape(count * parts, modes)
    return torch.from_numpy(rows.astype(np.float64))


def spread_vertices(model: MorphableModel, spacing: float) -> NDArray[np.int64]:
    """Vertices (N,) of the face, one for each cube of space of a side of `spacing` mm.

    The vertex nearest to the cube's centre is taken.
    """
    hidden = [n for n, name in enumerate(model.region_names) if name in HIDDEN_REGIONS]
    used = np.zeros(len(model.mean_shape), bool)
    # A vertex without a triangle has no normal and is never seen.
    used[model.triangles.ravel()] = True
    face = np.flatnonzero(used & ~np.isin(model.region, hidden))
    chosen: NDArray[np.int64] = np.sort(face[cluster_vertices(model.mean_shape[face], spacing)[0]])
    return chosen


def _tangents(
    model: MorphableModel, chosen: NDArray[np.int64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Two tangents (N, 6, C) of vertices, linear in the columns (V, 3, C) of places.

    Least squares of a vertex's neighbours in the tangent plane of the mean face; their cross
    product points outwards.
    """
    owner, neighbour = _neighbours(model.triangles, chosen)
    own = chosen[owner]
    # Weights from the mean face alone, and constant: then tangents are linear in the coefficients,
    # and so are cheap and have exact derivatives.
    offset = (model.mean_shape[neighbour] - model.mean_shape[own]).astype(np.float64)
    across = _tangent_planes(model, chosen)[owner]
    flat = np.einsum("epx,ex->ep", across, offset)
    moments = np.zeros((len(chosen), 2, 2))
    np.add.at(moments, owner, flat[:, :, None] * flat[:, None, :])
    # Pseudo-inverse: a vertex whose neighbours lie on one line has a singular matrix.
    weights = np.einsum("epq,eq->ep", np.linalg.pinv(moments)[owner], flat)
    tangents = np.zeros((len(chosen), 2, 3, columns.shape[2]))
    differences = columns[neighbour] - columns[own]
    np.add.at(tangents, owner, weights[:, :, None, None] * differences[:, None])
    return tangents.reshape(len(chosen), 6, -1)


def _tangent_planes(model: MorphableModel, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Two directions (N, 2, 3) that span the tangent plane, right-handed with the normal."""
    mean = Mesh(model.mean_shape.astype(np.float64), model.triangles)
    normal = vertex_normals(mean)[chosen]
    # Any direction that is not along the normal; which one does not matter, for only the cross
    # product of the tangents is used.
    helper = np.where(np.abs(normal[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(normal, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    # Right-handed, so that the tangents' cross product points outwards.
    return np.stack([first, np.cross(normal, first)], axis=1)


def _neighbours(
    triangles: NDArray[np.int32], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (E,), (E,) of a chosen vertex, by its place among them, and each of its neighbours."""
    start = np.concatenate([triangles[:, [0, 1, 2]].ravel(), triangles[:, [1, 2, 0]].ravel()])
    end = np.concatenate([triangles[:, [1, 2, 0]].ravel(), triangles[:, [0, 1, 2]].ravel()])
    place = np.full(int(triangles.max()) + 1, -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    of_chosen = place[start] >= 0
    # An inner side occurs in two triangles; each neighbour counts once.
    pairs = np.unique(np.stack([place[start[of_chosen]], end[of_chosen]], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1].astype(np.int64)
