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


class Blend:
    """One image as blended, P pixels.

    Args:
        nearest: (P,) largest ζ.
        sums: (6, P) over all fragments: of the weighted colours (3), the weights, log(1 - D) and
            how many fragments are the nearest.
        config: settings.

    Attributes:
        image: (3, P).
        nearest: (P,) largest ζ, at least that of the background.
        n_nearest: (P,) how many fragments have it.
        total: (P,) sum of all weights, the background's included.
        background_weight: (P,) the background's weight in that sum.
        transparency: (P,) Π(1 - D).
    """

    def __init__(self, nearest: Tensor, sums: Tensor, config: SoftRasConfig) -> None:
        self.nearest, self.n_nearest = nearest, sums[5]
        background = sums.new_tensor(config.background).unsqueeze(1)
        # The floor keeps the total above 0 at pixels that no fragment reaches.
        self.background_weight = ((EPSILON - nearest) / config.gamma).exp_().clamp_(min=EPSILON)
        self.total = sums[3] + self.background_weight
        self.image = (sums[:3] + background * self.background_weight) / self.total
        # Π(1 - D) as a sum of logarithms: one `index_add_` serves it with the other sums.
        self.transparency = sums[4].exp()


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
    # Two passes: weights are taken relative to the largest ζ, else exp(ζ / γ) overflows.
    reaches = [probability_and_zeta(block, grid, config) for block in fragments]
    for block, (_, zeta) in zip(fragments, reaches, strict=True):
        nearest.scatter_reduce_(0, block.pixel.view(-1), zeta.view(-1), "amax")
    sums = nearest.new_zeros(6, grid.n_pixels)
    for block, (probability, zeta), corner in zip(fragments, reaches, colours, strict=True):
        pixel = block.pixel.view(-1)
        behind = zeta - nearest.index_select(0, pixel).view(block.pixel.shape)
        added = _sums_of_block(block, probability, behind, corner, config.gamma)
        sums.index_add_(1, pixel, added.view(6, -1))
    return Blend(nearest, sums, config)


def probability_and_zeta(
    fragments: Fragments, grid: Grid, config: SoftRasConfig
) -> tuple[Tensor, Tensor]:
    """Probability D and scaled depth ζ of a block's fragments, (h, w, N) each.

    D is 0 where it does not exceed the least probability; ζ is at most 0 there, behind everything.
    """
    logit = fragments.squared_distance * config.logit_scale(grid)
    probability = logit.clamp_(-_FAR_LOGIT, _FAR_LOGIT).sigmoid_()
    # No boolean mask: `threshold` and a minimum cost a tenth of `where` on a CPU.
    probability = threshold(probability, config.min_probability, 0.0)
    zeta = (fragments.depth - config.far).mul_(config.depth_scale)
    return probability, torch.minimum(zeta, probability * _LARGE)


def _weight(probability: Tensor, behind: Tensor, gamma: float) -> Tensor:
    """Weight D exp(`behind` / γ); `behind` is ζ less the pixel's largest, never positive."""
    lowest = lowest_exponent(behind.dtype)
    return (behind / gamma).clamp_(min=lowest).exp_().mul_(probability)


def _sums_of_block(
    block: Fragments, probability: Tensor, behind: Tensor, corner: Tensor, gamma: float
) -> Tensor:
    """What a block adds to the pixels' sums, (6, h, w, N).

    Weighted colour (3), weight, log(1 - D), and whether it is the nearest.
    """
    # One array, filled in place: a single `index_add_` then serves all six sums.
    rows = corner.new_empty(6, *block.pixel.shape)
    rows[3] = _weight(probability, behind, gamma)
    torch.mul(dot(block.barycentric, corner.transpose(0, 1)), rows[3], out=rows[:3])
    # Finite: a logit is at most `_FAR_LOGIT`, and log1p keeps the small probabilities exact.
    torch.log1p(-probability, out=rows[4])
    torch.eq(behind, 0.0, out=rows[5])
    return rows


def pixel_gradients(
    blended: Blend,
    image: Tensor,
    silhouette: Tensor,
    background_weight: Tensor,
    config: SoftRasConfig,
) -> Tensor:
    """What the fragments of a pixel need of it in the backward pass, (7, P).

    Args:
        blended: the image.
        image, silhouette, background_weight: (3, P), (P,), (P,) gradients of the three results.
        config: settings.

    Returns:
        The gradient of a weighted colour (3); what is subtracted from it for a weight; the
        gradient of a logit through the silhouette, over D; that of the largest ζ, over how many
        fragments share it; the largest ζ itself.
    """
    background = image.new_tensor(config.background).unsqueeze(1)
    share = blended.background_weight / blended.total
    offset = (dot(image, blended.image) + background_weight * share) / blended.total
    fall = dot(image, blended.image - background) - background_weight * (1.0 - share)
    # Weights are relative to the largest ζ, and so is the background's until it meets its floor:
    # from there on moving the nearest fragment moves the face against the background.
    floored = (blended.background_weight == EPSILON) & (blended.n_nearest > 0)
    rise = -share * fall / (config.gamma * blended.n_nearest)
    rows = (
        offset,
        # d/dlogit of -Π(1 - D) is Π(1 - D) D: the factor 1 / (1 - D) of the product cancels
        # that of the sigmoid, so certain fragments divide nothing by zero.
        blended.transparency * silhouette,
        torch.where(floored, rise, 0.0),
        blended.nearest,
    )
    return torch.cat([image / blended.total, torch.stack(rows)])


def blend_gradient(
    block: Fragments,
    upstream: Tensor,
    depth: Tensor,
    corner: Tensor,
    grid: Grid,
    config: SoftRasConfig,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradient of the blend.

    Args:
        block: the fragments.
        upstream: (7, P) of `pixel_gradients`.
        depth: (3, N) of the triangles' corners.
        corner: (3, 3, 1, 1, N) colours, channel and corner.
        grid: the image.
        config: settings.

    Returns:
        With respect to the clipped barycentric coordinates (3, h, w, N), the squared distance
        (h, w, N), the corners' depth (3, N) and their colours (9, N), channel and corner.
    """
    at_pixel = upstream.index_select(1, block.pixel.view(-1)).view(7, *block.pixel.shape)
    probability, zeta = probability_and_zeta(block, grid, config)
    behind = zeta - at_pixel[6]
    # Ties are exact: both passes compute ζ by the same operations in the same order.
    is_nearest = torch.eq(behind, 0.0, out=torch.empty_like(behind))
    weight = _weight(probability, behind, config.gamma)
    on_colour = at_pixel[:3] * weight
    on_barycentric = dot(on_colour, corner)
    gain = dot(on_barycentric, block.barycentric).sub_(weight.mul_(at_pixel[3]))
    on_depth = gain / config.gamma
    on_depth = on_depth.addcmul_(is_nearest, at_pixel[5]).mul_(config.depth_scale)
    # dD/dlogit is D (1 - D); the D is in `gain` already, as a factor of the weight.
    on_logit = gain.mul_(1.0 - probability).addcmul_(at_pixel[4], probability)
    return (
        # The depth depends on the coordinates as well: it is interpolated by them.
        on_barycentric.addcmul_(depth.view(3, 1, 1, -1), on_depth),
        on_logit.mul_(config.logit_scale(grid)),
        (block.barycentric * on_depth).sum((1, 2)),
        torch.cat([(block.barycentric * on).sum((1, 2)) for on in on_colour]),
    )
