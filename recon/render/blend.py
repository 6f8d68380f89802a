"""Blending fragments into an image (SoftRas, Liu et al. 2019), and the derivatives of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import threshold

from . import DEFAULT_GAMMA, DEFAULT_SIGMA
from .geometry import Clipping, Grid, dot
from .rasterise import Fragments

EPSILON = 1e-10
"""Depth ζ of the background, and the least weight it has in the blend."""

# Logits beyond are as good as certain, and slow to exponentiate.
_FAR_LOGIT = 60.0

# Turns any probability that was not dropped into something larger than a depth.
_LARGE = 1e30


def lowest_exponent(dtype: torch.dtype) -> float:
    """Exponents of weights are no lower; nothing sees weights under the fourth power of ε.

    The exponential function is slow where it underflows.
    """
    return 4.0 * math.log(torch.finfo(dtype).eps)


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

    def logit_scale(self, grid: Grid) -> float:
        """Logit of the probability per squared pixel of distance."""
        return 1.0 / (self.sigma * grid.pixels_per_unit**2)


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

    @classmethod
    def of(cls, nearest: Tensor, sums: Tensor, config: SoftRasConfig) -> Blend:
        """From the largest ζ (P,) and the sums over all fragments (6, P).

        The sums are those of the weighted colours (3), the weights, log(1 - D) and how many
        fragments are the nearest.
        """
        background = sums.new_tensor(config.background).unsqueeze(1)
        weight = ((EPSILON - nearest) / config.gamma).exp_().clamp_(min=EPSILON)
        total = sums[3] + weight
        image = (sums[:3] + background * weight) / total
        return cls(image, nearest, sums[5], total, weight, sums[4].exp())


@dataclass(frozen=True)
class Reach:
    """How strongly the fragments of a block reach their pixels, (h, w, N) each.

    Attributes:
        probability: D; 0 where it does not exceed the least probability.
        zeta: ζ; at most 0, behind everything, where D is 0.
    """

    probability: Tensor
    zeta: Tensor

    @classmethod
    def of(cls, fragments: Fragments, grid: Grid, config: SoftRasConfig) -> Reach:
        """Probability and depth of fragments."""
        logit = fragments.squared_distance * config.logit_scale(grid)
        probability = logit.clamp_(-_FAR_LOGIT, _FAR_LOGIT).sigmoid_()
        probability = threshold(probability, config.min_probability, 0.0)
        zeta = (fragments.depth - config.far).mul_(config.depth_scale)
        return cls(probability, torch.minimum(zeta, probability * _LARGE))

    def behind(self, nearest: Tensor) -> Tensor:
        """ζ less the largest ζ of the pixel, given at the fragments; never positive."""
        return self.zeta - nearest

    def weight(self, behind: Tensor, gamma: float) -> Tensor:
        """Weight D exp(`behind` / γ) in the blend."""
        lowest = lowest_exponent(behind.dtype)
        return (behind / gamma).clamp_(min=lowest).exp_().mul_(self.probability)


def blend(
    fragments: Sequence[Fragments],
    colours: Sequence[Tensor],
    nearest: Tensor,
    grid: Grid,
    config: SoftRasConfig,
) -> Blend:
    """Blend all fragments of an image.

    Args:
        fragments: blocks of one image.
        colours: (3, 3, 1, 1, N) of each block, channel and corner of its triangles.
        nearest: (P,) of the background's ζ (`EPSILON`), which is raised to the largest.
        grid: the image.
        config: settings.
    """
    reaches = [Reach.of(block, grid, config) for block in fragments]
    for block, reach in zip(fragments, reaches, strict=True):
        nearest.scatter_reduce_(0, block.pixel.view(-1), reach.zeta.view(-1), "amax")
    sums = nearest.new_zeros(6, grid.n_pixels)
    for block, reach, corner in zip(fragments, reaches, colours, strict=True):
        pixel = block.pixel.view(-1)
        behind = reach.behind(nearest.index_select(0, pixel).view(block.pixel.shape))
        added = _added(block, reach, behind, corner, config.gamma)
        sums.index_add_(1, pixel, added.view(6, -1))
    return Blend.of(nearest, sums, config)


def _added(block: Fragments, reach: Reach, behind: Tensor, corner: Tensor, gamma: float) -> Tensor:
    """What a block adds to the pixels' sums, (6, h, w, N).

    Weighted colour (3), weight, log(1 - D), and whether it is the nearest.
    """
    rows = corner.new_empty(6, *block.pixel.shape)
    rows[3] = reach.weight(behind, gamma)
    torch.mul(dot(block.barycentric, corner.transpose(0, 1)), rows[3], out=rows[:3])
    torch.log1p(-reach.probability, out=rows[4])
    torch.eq(behind, 0.0, out=rows[5])
    return rows


@dataclass(frozen=True)
class Upstream:
    """What the fragments of a pixel need of it in the backward pass, (7, P).

    Attributes:
        rows: the gradient of a weighted colour (3); what is subtracted from it for a weight; the
            gradient of a logit through the silhouette, over D; that of the largest ζ, over how
            many fragments share it; the largest ζ itself.
    """

    rows: Tensor

    @classmethod
    def of(
        cls,
        blended: Blend,
        image: Tensor,
        silhouette: Tensor,
        background_weight: Tensor,
        config: SoftRasConfig,
    ) -> Upstream:
        """From the gradients (3, P), (P,), (P,) of the image, the silhouette and the background.

        Weights are relative to the largest ζ, and so is the background's until it meets its floor:
        from there on moving the nearest fragment moves the face against the background.
        """
        background = image.new_tensor(config.background).unsqueeze(1)
        share = blended.background_weight / blended.total
        offset = (dot(image, blended.image) + background_weight * share) / blended.total
        fall = dot(image, blended.image - background) - background_weight * (1.0 - share)
        floored = (blended.background_weight == EPSILON) & (blended.n_nearest > 0)
        rise = -share * fall / (config.gamma * blended.n_nearest)
        rows = (
            offset,
            blended.transparency * silhouette,
            torch.where(floored, rise, 0.0),
            blended.nearest,
        )
        return cls(torch.cat([image / blended.total, torch.stack(rows)]))


@dataclass(frozen=True)
class FragmentGradients:
    """Gradients of a block.

    Attributes:
        barycentric: (3, h, w, N) with respect to the clipped coordinates.
        squared_distance: (h, w, N).
        depth: (3, N) at the corners.
        colours: (9, N) channel and corner.
    """

    barycentric: Tensor
    squared_distance: Tensor
    depth: Tensor
    colours: Tensor


def blend_gradient(
    block: Fragments,
    upstream: Upstream,
    depth: Tensor,
    corner: Tensor,
    grid: Grid,
    config: SoftRasConfig,
) -> FragmentGradients:
    """Gradient of the blend.

    Args:
        block: the fragments.
        upstream: of the image.
        depth: (3, N) of the triangles' corners.
        corner: (3, 3, 1, 1, N) colours, channel and corner.
        grid: the image.
        config: settings.
    """
    at_pixel = upstream.rows.index_select(1, block.pixel.view(-1)).view(7, *block.pixel.shape)
    reach = Reach.of(block, grid, config)
    behind = reach.behind(at_pixel[6])
    is_nearest = torch.eq(behind, 0.0, out=torch.empty_like(behind))
    weight = reach.weight(behind, config.gamma)
    on_colour = at_pixel[:3] * weight
    on_barycentric = dot(on_colour, corner)
    gain = dot(on_barycentric, block.barycentric).sub_(weight.mul_(at_pixel[3]))
    on_depth = gain / config.gamma
    on_depth = on_depth.addcmul_(is_nearest, at_pixel[5]).mul_(config.depth_scale)
    on_logit = gain.mul_(1.0 - reach.probability).addcmul_(at_pixel[4], reach.probability)
    return FragmentGradients(
        barycentric=on_barycentric.addcmul_(depth.view(3, 1, 1, -1), on_depth),
        squared_distance=on_logit.mul_(config.logit_scale(grid)),
        depth=(block.barycentric * on_depth).sum((1, 2)),
        colours=torch.cat([(block.barycentric * on).sum((1, 2)) for on in on_colour]),
    )
