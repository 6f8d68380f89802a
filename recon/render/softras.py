"""The soft rasteriser (Liu et al. 2019), exact: every fragment above a stated probability counts.

A triangle reaches a pixel with probability D = sigmoid(±d²/σ). Colours are blended by a softmax
over depth, w = D exp(ζ/γ) with ζ the depth scaled to [0, 1], beside a background weight; the
silhouette is 1 - Π(1 - D). The backward pass is analytic and looks again only at the fragments that
were kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import DEFAULT_GAMMA, DEFAULT_SIGMA, Rendering
from .geometry import Clipping, barycentric_gradient, distance_gradient, weights_gradient
from .rasterise import Fragments, Grid, Triangles, rasterise, reach

_EPSILON = 1e-10
"""Depth ζ of the background, and the least weight it has in the blend."""


@dataclass(frozen=True)
class SoftRasConfig:
    """Settings of the soft rasteriser.

    Attributes:
        sigma: σ of the probability, in squared normalised units.
        gamma: γ, temperature of the softmax over depth.
        min_probability: fragments less probable than this are dropped.
        near, far: depths, in the camera's z towards the viewer, that become ζ = 1 and ζ = 0;
            faces belong between them. The default gives γ the meaning it has in SoftRas, whose
            range is about a hundred units too.
        background: RGB behind the face.
        clipping: of barycentric coordinates outside a triangle.
    """

    sigma: float = DEFAULT_SIGMA
    gamma: float = DEFAULT_GAMMA
    min_probability: float = 1e-4
    near: float = 50.0
    far: float = -50.0
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    clipping: Clipping = Clipping.ZERO

    @property
    def depth_scale(self) -> float:
        """ζ per unit of depth."""
        return 1.0 / (self.near - self.far)


@dataclass(frozen=True)
class Blend:
    """One image as blended, P pixels.

    Attributes:
        image: (3, P).
        nearest: (P,) largest ζ, at least that of the background.
        n_nearest: (P,) how many fragments have it.
        total: (P,) sum of all weights, the background's included.
        background_weight: (P,) the background's weight in that sum.
        transparency: (P,) Π(1 - D).
    """

    image: Tensor
    nearest: Tensor
    n_nearest: Tensor
    total: Tensor
    background_weight: Tensor
    transparency: Tensor


class SoftRasRenderer:
    """Differentiable in vertices, their depth included, and in colours; draws both faces."""

    def __init__(self, config: SoftRasConfig | None = None) -> None:
        self.config = config or SoftRasConfig()

    def __call__(
        self, vertices: Tensor, colours: Tensor, triangles: Tensor, image_size: tuple[int, int]
    ) -> Rendering:
        """Render a batch; see `Renderer`."""
        grid = Grid(*image_size)
        points = vertices.permute(2, 1, 0)
        points = torch.stack([grid.columns(points[:, 0]), grid.ups(points[:, 1]), points[:, 2]], 1)
        corners = triangles.T.contiguous()
        drawn: tuple[Tensor, Tensor, Tensor] = _SoftRas.apply(  # type: ignore[no-untyped-call]
            points, colours.permute(2, 1, 0).contiguous(), corners, grid, self.config
        )
        return Rendering(*drawn)


class _SoftRas(torch.autograd.Function):
    """Points (B, 3, V) and colours (B, 3, V) to image, silhouette and background weight."""

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
        ctx.kept = [
            _draw(xyz, colour, corners, grid, config)
            for xyz, colour in zip(points, colours, strict=True)
        ]
        shape = (len(points), grid.height, grid.width)
        blends = [blend for _, blend in ctx.kept]
        image = torch.stack([blend.image for blend in blends]).view(shape[0], 3, *shape[1:])
        silhouette = torch.stack([1.0 - blend.transparency for blend in blends]).view(shape)
        weight = torch.stack([blend.background_weight / blend.total for blend in blends])
        return image, silhouette, weight.view(shape)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, on_image: Tensor, on_silhouette: Tensor, on_weight: Tensor
    ) -> tuple[Tensor | None, ...]:
        points, colours, corners = ctx.saved_tensors
        on_points, on_colours = torch.zeros_like(points), torch.zeros_like(colours)
        upstream = zip(
            on_image.flatten(2), on_silhouette.flatten(1), on_weight.flatten(1), strict=True
        )
        for i, ((fragments, blend), (image, silhouette, weight)) in enumerate(
            zip(ctx.kept, upstream, strict=True)
        ):
            table = _pixel_table(blend, image, silhouette, weight, ctx.config)
            on_corner = _corner_gradients(
                points[i], colours[i], corners, fragments, table, ctx.grid, ctx.config
            )
            for k in range(3):
                on_points[i].index_add_(1, corners[k], on_corner[:3, k])
                on_colours[i].index_add_(1, corners[k], on_corner[3:, k])
        return on_points, on_colours, None, None, None


def _triangles(points: Tensor, corners: Tensor) -> Triangles:
    return Triangles.of(*(row.index_select(0, corners.view(-1)).view(3, -1) for row in points))


def _draw(
    points: Tensor, colours: Tensor, corners: Tensor, grid: Grid, config: SoftRasConfig
) -> tuple[Fragments, Blend]:
    """One image, points and colours (3, V)."""
    radius = reach(config.sigma, config.min_probability, grid)
    fragments = rasterise(_triangles(points, corners), grid, radius, config.clipping)
    corner_colours = colours.index_select(1, corners.view(-1)).view(9, -1)
    return fragments, _blend(fragments, corner_colours, grid, config)


def _blend(fragments: Fragments, colours: Tensor, grid: Grid, config: SoftRasConfig) -> Blend:
    """Blend fragments of triangles with corner colours (9, F), three reds first."""
    zeta = fragments.depth.new_full((grid.n_pixels,), _EPSILON)
    nearest = zeta.scatter_reduce_(
        0, fragments.pixel.long(), (fragments.depth - config.far) * config.depth_scale, "amax"
    )
    sums = colours.new_zeros(6, grid.n_pixels)
    for block in fragments.blocks():
        pixel = block.pixel.long()
        _, weight, softness, is_nearest = _weights(block, pixel, nearest, grid, config)
        corner = colours.index_select(1, block.triangle).view(3, 3, -1)
        colour = (corner * block.barycentric).sum(1) * weight
        sums.index_add_(1, pixel, torch.cat([colour, torch.stack([weight, softness, is_nearest])]))
    background_weight = ((_EPSILON - nearest) / config.gamma).exp().clamp(min=_EPSILON)
    total = sums[3] + background_weight
    background = colours.new_tensor(config.background).unsqueeze(1)
    image = (sums[:3] + background * background_weight) / total
    return Blend(image, nearest, sums[5], total, background_weight, (-sums[4]).exp())


def _weights(
    block: Fragments, pixel: Tensor, nearest: Tensor, grid: Grid, config: SoftRasConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Probability D, weight in the blend, -log(1 - D), and 1 where none is nearer; (M,) each."""
    logit = block.squared_distance / (config.sigma * grid.pixels_per_unit**2)
    probability = logit.sigmoid()
    behind = (block.depth - config.far) * config.depth_scale - nearest.index_select(0, pixel)
    weight = probability * (behind / config.gamma).exp()
    return probability, weight, torch.nn.functional.softplus(logit), (behind == 0).to(weight.dtype)


def _pixel_table(
    blend: Blend, image: Tensor, silhouette: Tensor, weight: Tensor, config: SoftRasConfig
) -> Tensor:
    """What the fragments of a pixel need of it in the backward pass, (7, P).

    Rows: the gradient of a weighted colour (3); what it is short of for a weight; the gradient of
    a logit through the silhouette, over D; of the greatest ζ, over how many share it; that ζ.

    The weights are relative to the greatest ζ, and so is the background's until it meets its
    floor: from there on moving the nearest fragment moves the face against the background.
    """
    background = image.new_tensor(config.background).unsqueeze(1)
    share = blend.background_weight / blend.total
    colour = image / blend.total
    offset = ((image * blend.image).sum(0) + weight * share) / blend.total
    fall = (image * (blend.image - background)).sum(0) - weight * (1.0 - share)
    floored = (blend.background_weight == _EPSILON) & (blend.n_nearest > 0)
    at_nearest = torch.where(floored, -share * fall / (config.gamma * blend.n_nearest), 0.0)
    rows = (offset, blend.transparency * silhouette, at_nearest, blend.nearest)
    return torch.cat([colour, torch.stack(rows)])


def _corner_gradients(
    points: Tensor,
    colours: Tensor,
    corners: Tensor,
    fragments: Fragments,
    table: Tensor,
    grid: Grid,
    config: SoftRasConfig,
) -> Tensor:
    """Gradients (6, 3, F) of x, y, depth, red, green and blue at the triangles' corners."""
    triangles = _triangles(points, corners)
    corner_colours = colours.index_select(1, corners.view(-1)).view(9, -1)
    sums = points.new_zeros(18, corners.shape[1])
    for block in fragments.blocks():
        pixel, triangle = block.pixel.long(), block.triangle.long()
        at_pixel = table.index_select(1, pixel)
        probability, weight, _, is_nearest = _weights(block, pixel, table[6], grid, config)
        corner = corner_colours.index_select(1, triangle).view(3, 3, -1)
        on_colour = at_pixel[:3] * weight
        on_barycentric = (corner * on_colour.unsqueeze(1)).sum(0)
        gain = (on_barycentric * block.barycentric).sum(0) - weight * at_pixel[3]
        on_depth = (gain / config.gamma + is_nearest * at_pixel[5]) * config.depth_scale
        on_logit = gain * (1.0 - probability) + at_pixel[4] * probability
        on_distance = on_logit / (config.sigma * grid.pixels_per_unit**2)
        depth = triangles.depth.index_select(1, triangle)
        on_barycentric = torch.addcmul(on_barycentric, depth, on_depth)
        on_xy = _position_gradient(
            triangles, block, pixel, triangle, on_barycentric, on_distance, grid, config
        )
        spread = torch.cat([on_depth.unsqueeze(0), on_colour]).unsqueeze(1) * block.barycentric
        sums.index_add_(1, triangle, torch.cat([*on_xy, spread.flatten(0, 1)]))
    return sums.view(6, 3, -1)


def _position_gradient(
    triangles: Triangles,
    block: Fragments,
    pixel: Tensor,
    triangle: Tensor,
    on_barycentric: Tensor,
    on_distance: Tensor,
    grid: Grid,
    config: SoftRasConfig,
) -> tuple[Tensor, Tensor]:
    """Gradients (3, M) of the corners' x and y."""
    sides = triangles.sides(triangle, *grid.position(pixel))
    on_weights = barycentric_gradient(sides, block.barycentric, on_barycentric, config.clipping)
    x, y = distance_gradient(sides, block.squared_distance > 0, on_distance)
    wx, wy = weights_gradient(sides, on_weights)
    return x + wx, y + wy
