"""The derivatives of blending fragments into an image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .blend import EPSILON, Blend, Reach, SoftRasConfig
from .geometry import dot
from .grid import Grid
from .rasterise import Fragments


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
