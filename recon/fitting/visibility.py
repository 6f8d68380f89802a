"""Which points of the surface a photograph shows: those that no part of the head lies before."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..morphable.model import MorphableModel
from ..render.geometry import edge_functions
from ..render.grid import Boxes, Grid
from .clusters import clustered, coarse_triangles
from .photographs import look_up
from .shading import ShadedPoints
from .sums import turn
from .surface_points import component_rows

_COARSE_MM = 6.0
"""Spacing of the head that hides: much less than a nose."""

_GRID = Grid(64, 64)
"""Its picture; a pixel of it is about 2.5 mm wide."""

_DEPTH_MM = 8.0
"""A point is in sight when nothing is drawn so much nearer: more than a slope over such a pixel and
what the coarse head cuts off, less than a nose before a cheek."""


class Visibility(nn.Module):
    """A coarse copy of a head that tells which of its points are hidden, for a batch at once.

    Args:
        model: the face model.
    """

    mean: Tensor
    basis: Tensor
    corners: Tensor

    def __init__(self, model: MorphableModel) -> None:
        super().__init__()
        chosen, owner = clustered(model.mean_shape, _COARSE_MM)
        corners = torch.from_numpy(coarse_triangles(model.triangles, owner).T.copy())
        bases = np.concatenate([model.identity_basis, model.expression_basis], axis=2)
        self.register_buffer(
            "mean", component_rows(model.mean_shape[chosen, :, None]), persistent=False
        )
        self.register_buffer("basis", component_rows(bases[chosen]), persistent=False)
        self.register_buffer("corners", corners, persistent=False)

    @torch.no_grad()
    def seen(self, points: ShadedPoints, shape: Tensor) -> Tensor:
        """Share (N, B) of the picture that each point stands for, 0 where hidden or outside.

        The points lie evenly on the surface, so one seen aslant stands for less.

        Args:
            points: of the faces.
            shape: (B, K) coefficients of the same faces, identity and expression.
        """
        placed, scale = points.placed, points.pose[:, 6]
        nearest = nearest_depth(self._placed(points, shape), self.corners, _GRID)
        ahead = look_up(nearest.unsqueeze(1), placed, mode="nearest")[0] - placed[2]
        inside = (placed[:2].abs() < 1.0).all(0)
        return points.turned_normal[2].clamp_min(0.0) * (inside & (ahead < _DEPTH_MM * scale))

    def _placed(self, points: ShadedPoints, shape: Tensor) -> Tensor:
        """Normalised places (3, V, B) of the coarse head."""
        flat = torch.addmm(self.mean, self.basis, shape.T)
        scaled = points.rotation * points.pose[:, 6].view(-1, 1, 1)
        return turn(flat.view(3, -1, len(shape)), scaled) + points.pose[:, 3:6].T.unsqueeze(1)


def nearest_depth(placed: Tensor, corners: Tensor, grid: Grid) -> Tensor:
    """Depth (B, H, W) of what is nearest to the viewer at each pixel; -inf where nothing is.

    Triangles count from either side.

    Args:
        placed: (3, V, B) normalised image coordinates.
        corners: (3, F) vertices of the triangles.
        grid: the pictures.
    """
    batch = placed.shape[2]
    x, y, depth = (rows[corners].flatten(1) for rows in placed)
    x, y = grid.columns(x), grid.ups(y)
    boxes = Boxes.around(x, y, 0.0, grid)
    filled = boxes.filled().nonzero()[:, 0]
    owner, column, up = boxes.select(filled).pixels()
    triangle = filled.index_select(0, owner)
    parts = edge_functions(x.index_select(1, triangle), y.index_select(1, triangle), column, up)
    area = parts.sum(0)
    hit = ((parts * area.sign()).amin(0) >= 0) & (area != 0)
    there = (depth.index_select(1, triangle) * parts).sum(0) / area
    pixel = triangle % batch * grid.n_pixels + grid.pixel(column, up)
    nothing = depth.new_full((batch * grid.n_pixels,), -torch.inf)
    nearest: Tensor = nothing.scatter_reduce(0, pixel[hit], there[hit], "amax")
    return nearest.view(batch, grid.height, grid.width)
