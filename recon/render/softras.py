"""The soft rasteriser (Liu et al. 2019), exact: every fragment above a stated probability counts.

A triangle reaches a pixel with probability D = sigmoid(±d²/σ). Colours are blended by a softmax
over depth, w = D exp(ζ/γ) with ζ the depth scaled to [0, 1], beside a background weight; the
silhouette is 1 - Π(1 - D). The backward pass is analytic and looks again only at the fragments that
were kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import Rendering
from .blend import Blend, SoftRasConfig, blend
from .blend_gradient import Upstream, blend_gradient
from .grid import Grid, reach
from .rasterise import Fragments, Triangles, blocks, meet

__all__ = ["SoftRasConfig", "SoftRasRenderer"]


class SoftRasRenderer:
    """Differentiable in vertices, their depth included, and in colours; draws both faces."""

    def __init__(self, config: SoftRasConfig | None = None) -> None:
        self.config = config or SoftRasConfig()

    def __call__(
        self, vertices: Tensor, colours: Tensor, triangles: Tensor, image_size: tuple[int, int]
    ) -> Rendering:
        """Render a batch; see `Renderer`."""
        grid = Grid(*image_size)
        x, y, depth = vertices.permute(1, 2, 0)
        points = torch.stack([grid.columns(x), grid.ups(y), depth], dim=1)
        drawn: tuple[Tensor, Tensor, Tensor] = _SoftRas.apply(  # type: ignore[no-untyped-call]
            points, colours.permute(2, 1, 0), triangles.T.contiguous(), grid, self.config
        )
        return Rendering(*drawn)


class _SoftRas(torch.autograd.Function):
    """Points (B, 3, V) and colours (B, 3, V) to image, silhouette and background weight.

    Images are drawn one after the other, and of each only the blended pixels are kept: memory is
    bounded by one block of fragments in the backward pass and one image's in the forward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        colours: Tensor,
        corners: Tensor,
        grid: Grid,
        config: SoftRasConfig,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(points, colours, corners)
        ctx.grid, ctx.config = grid, config
        ctx.blends = [
            _draw(*_corners(xyz, colour, corners), grid, config)
            for xyz, colour in zip(points, colours, strict=True)
        ]
        shape = (len(points), grid.height, grid.width)
        image = torch.stack([one.image for one in ctx.blends])
        silhouette = torch.stack([1.0 - one.transparency for one in ctx.blends])
        weight = torch.stack([one.background_weight / one.total for one in ctx.blends])
        return image.view(-1, 3, *shape[1:]), silhouette.view(shape), weight.view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        points, colours, corners = ctx.saved_tensors
        on_points, on_colours = torch.zeros_like(points), torch.zeros_like(colours)
        for i, blended in enumerate(ctx.blends):
            image, silhouette, weight = (gradient[i].flatten(-2) for gradient in gradients)
            upstream = Upstream.of(blended, image, silhouette, weight, ctx.config)
            on_corners = _differentiate(
                *_corners(points[i], colours[i], corners), upstream, ctx.grid, ctx.config
            )
            for k in range(3):
                on_points[i].index_add_(1, corners[k], on_corners[:3, k])
                on_colours[i].index_add_(1, corners[k], on_corners[3:, k])
        return on_points, on_colours, None, None, None


def _corners(points: Tensor, colours: Tensor, corners: Tensor) -> tuple[Triangles, Tensor]:
    """The triangles of one image and their corners' colours (9, F), channel and corner."""
    gathered = (row.index_select(0, corners.view(-1)) for row in (*points, *colours))
    x, y, depth, *channels = (row.view(3, -1) for row in gathered)
    return Triangles(x, y, depth), torch.cat(channels)


def _draw(triangles: Triangles, colours: Tensor, grid: Grid, config: SoftRasConfig) -> Blend:
    radius = reach(config.sigma, config.min_probability, grid)
    fragments: list[Fragments] = []
    for block in blocks(triangles, grid, radius):
        depth = triangles.depth.index_select(1, block.triangle)
        windows = block.windows(triangles)
        fragments.append(meet(block, windows, depth, grid, config.clipping))
    return blend(fragments, colours, grid, config)


def _differentiate(
    triangles: Triangles, colours: Tensor, upstream: Upstream, grid: Grid, config: SoftRasConfig
) -> Tensor:
    """Gradients (6, 3, F) of x, y, depth, red, green and blue at the triangles' corners."""
    radius = reach(config.sigma, config.min_probability, grid)
    sums = colours.new_zeros(18, triangles.x.shape[1])
    for block in blocks(triangles, grid, radius):
        depth = triangles.depth.index_select(1, block.triangle)
        windows = block.windows(triangles)
        met = meet(block, windows, depth, grid, config.clipping)
        corner = colours.index_select(1, block.triangle).view(3, 3, 1, 1, -1)
        on = blend_gradient(met, upstream, depth, corner, grid, config)
        x, y = windows.distance_gradient(met.squared_distance, on.squared_distance)
        bary_x, bary_y = windows.barycentric_gradient(
            met.barycentric, on.barycentric, config.clipping
        )
        rows = torch.cat([x + bary_x, y + bary_y, on.depth, on.colours])
        sums.index_copy_(1, block.triangle, rows)
    return sums.view(6, 3, -1)
