"""What one photograph shows of a face: the colour of every texture pixel, and how well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..synthetic.scene import visible_triangles
from .space import TextureSpace

Floats = NDArray[np.float32]

GRAZING, FACING = 0.25, 0.6
"""Cosines between normal and viewing direction: below the first a pixel counts as not seen, above
the second as fully seen."""

BEHIND_MM = 3.0
"""A point this far behind the surface that its pixel of the photograph shows is hidden."""

LEAST_SHADING = 0.3
"""Shading is taken as at least this share of its median: deep shadows are not divided away."""


@dataclass(frozen=True, eq=False)
class View:
    """A face in a photograph.

    Attributes:
        photograph: (S, S, 3) uint8 RGB.
        filled: left, top, right and bottom px of the part that the camera saw; beyond it the
            photograph is padding.
        placed: (V, 3) normalised image coordinates (`recon.camera`).
        normals: (V, 3) unit, in the camera's frame.
        shading: (V, 3) light that falls on each vertex, as a factor of its albedo.
        scale: f, normalised image units per mm.
    """

    photograph: NDArray[np.uint8]
    filled: tuple[float, float, float, float]
    placed: NDArray[np.floating]
    normals: NDArray[np.floating]
    shading: NDArray[np.floating]
    scale: float


@dataclass(frozen=True, eq=False)
class Seen:
    """Of N texture pixels.

    Attributes:
        albedo: (N, 3) the photograph's colour with the light divided out.
        weight: (N,) in [0, 1]; 0 where the photograph does not show the point.
    """

    albedo: Floats
    weight: Floats


def look(space: TextureSpace, triangles: NDArray[np.integer], view: View) -> Seen:
    """What a view shows at the pixels of a texture; triangles (F, 3) of the whole surface."""
    x, y, depth, facing = space.at(np.column_stack([view.placed, view.normals[:, 2]])).T
    size = len(view.photograph)
    column, row = (x * size + size - 1) / 2, (size - 1 - y * size) / 2
    weight = _ramp(facing, GRAZING, FACING) * _inside(column, row, view.filled)
    front = sample(_depth_map(view, triangles)[..., None], column, row)[:, 0]
    weight *= depth >= front - BEHIND_MM * view.scale
    colour = sample(view.photograph.astype(np.float32) / 255.0, column, row)
    return Seen(_unlit(colour, space.at(view.shading), weight), weight)


def _unlit(colour: Floats, shading: Floats, weight: Floats) -> Floats:
    seen = shading[weight > 0.0]
    least = LEAST_SHADING * np.median(seen, axis=0) if len(seen) else 1.0
    return np.asarray(colour / np.maximum(shading, np.maximum(least, 1e-3)), np.float32)


def _ramp(value: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, smooth in between."""
    share = ((value - low) / (high - low)).clip(0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), np.float32)


def _inside(
    column: Floats, row: Floats, filled: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    left, top, right, bottom = filled
    across = (column >= left) & (column <= right - 1.0)
    return np.asarray(across & (row >= top) & (row <= bottom - 1.0))


def _depth_map(view: View, triangles: NDArray[np.integer]) -> Floats:
    """Depth (S, S) of the surface at the photograph's pixels, far away where there is none."""
    size = len(view.photograph)
    seen = visible_triangles(view.placed, triangles, (size, size))
    corners = view.placed[triangles[seen.triangles], 2]
    depth = np.full(size * size, view.placed[:, 2].min(), np.float32)
    depth[seen.pixels] = (corners * seen.weights.T).sum(axis=1)
    return depth.reshape(size, size)


def sample(picture: Floats, column: Floats, row: Floats) -> Floats:
    """Values (N, C) of a square picture (S, S, C) between its pixels, bilinear."""
    size = len(picture)
    places = (2.0 * np.stack([column, row], axis=-1) + 1.0) / size - 1.0
    found = torch.nn.functional.grid_sample(
        torch.from_numpy(picture).permute(2, 0, 1)[None],
        torch.from_numpy(places.astype(np.float32))[None, None],
        padding_mode="border",
        align_corners=False,
    )
    return np.asarray(found[0, :, 0].T.numpy(), np.float32)
