"""The multi-level loss (METHOD eq. 7): terms of pixels and of recognition features, and the sum.

Pixels are eq. 8, recognition features eq. 10 to 12; the landmarks and priors it sums are beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from ...errors import FacebenchError
from ..face.coefficients import Coefficients
from ..face.imaging import apply_pose, fit_pose
from ..morphable.model import MorphableModel
from ..recipes.regressor import LossRecipe
from ..render import Rendering
from ..synthetic.appearance import CLASS_NAMES
from .landmarks import contour_weights, landmark_loss
from .prior import AllReduce, ReflectanceVariance, light_balance, prior_loss, single_process


class TensorBatch:
    """A batch whose fields are tensors, or batches of such."""

    def to(self, device: torch.device, non_blocking: bool = True) -> Self:
        """The same on a device."""
        parts = (part.to(device, non_blocking=non_blocking) for part in vars(self).values())
        return type(self)(*parts)


@dataclass(frozen=True)
class Supervision(TensorBatch):
    """A batch of photographs with their weak labels.

    Attributes:
        images: (B, 3, S, S) float32 RGB in [0, 1].
        landmarks: (68, 2, B) float32, px of the image, integers at pixel centres; NaN: unknown.
        masks: (B, S, S) int64, face-parsing classes in BiSeNet order.
    """

    images: Tensor
    landmarks: Tensor
    masks: Tensor


def class_weights(weights: Mapping[str, float]) -> Tensor:
    """Weight (19,) of each mask class from a table by name; classes not named weigh 0."""
    # A class misspelt in a recipe would weigh 0 in silence.
    unknown = sorted(set(weights) - set(CLASS_NAMES))
    if unknown:
        raise FacebenchError(
            f"mask weights name unknown classes {', '.join(unknown)}",
            f"the classes are {', '.join(CLASS_NAMES)}",
        )
    return torch.tensor([float(weights.get(name, 0.0)) for name in CLASS_NAMES])


def pixel_loss(
    rendered: Tensor,
    photograph: Tensor,
    weights: Tensor,
    epsilon: float = 1e-6,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Weighted mean over the whole batch of the Euclidean colour distance per pixel.

    Args:
        rendered: (B, 3, H, W) RGB.
        photograph: (B, 3, H, W) RGB in [0, 1].
        weights: (B, H, W), mask weight times visibility of the face.
        epsilon: added under the root, so that equal colours have a gradient.
        all_reduce: sums up the batch over all workers.
    """
    # L2 over colours, L1 over pixels (METHOD eq. 8): single wrong pixels do not rule.
    distance = ((rendered - photograph).square().sum(1) + epsilon).sqrt()
    # Over the whole batch (METHOD, settled): each face counts by the pixels that it shows.
    return (distance * weights).sum() / all_reduce(weights.sum()).clamp_min(1e-8)


class IdentityFeatures(Protocol):
    """A frozen face-recognition network together with its alignment to the template."""

    def __call__(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Features (B, D) of RGB images (B, 3, H, W) in [0, 1] with landmarks (68, 2, B) in px."""
        ...


def identity_loss(
    photograph: Tensor,
    render: Tensor,
    turned: Tensor,
    weights: Tensor | None = None,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Mean of 1 - cos over the three pairs, averaged over the batch.

    The paper prints the product of the features as the loss; minimising that would drive identities
    apart, so 1 - cos is taken.

    Args:
        photograph: features (B, D) of the photograph I.
        render: features (B, D) of the render I'.
        turned: features (B, D) of the render I'' under another pose and expression.
        weights: (B,) of each photograph in the average; None: all 1.
        all_reduce: sums up the batch over all workers.
    """
    pairs = ((photograph, render), (photograph, turned), (render, turned))
    cosines = [cosine_similarity(first, second, dim=1) for first, second in pairs]
    each = 1.0 - sum(cosines, start=cosines[0].new_zeros(())) / len(pairs)
    shares = each.new_ones(len(each)) if weights is None else weights
    return (each * shares).sum() / all_reduce(shares.sum()).clamp_min(1e-8)


class MultiLevelLoss(nn.Module):
    """The terms of the loss of a batch, unweighted, and their weighted sum.

    The identity term, which draws a face of its own, is computed apart and joins the sum.

    Args:
        recipe: weights and settings of every term.
        model: whose skin the reflectance term looks at; needed where the recipe weighs that.
        all_reduce: sums up the batch over all workers.
    """

    class_weights: Tensor

    def __init__(
        self,
        recipe: LossRecipe,
        model: MorphableModel | None = None,
        all_reduce: AllReduce = single_process,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.all_reduce = all_reduce
        # Only where it counts: its quadratic form takes a pass over the whole albedo basis.
        weighed = model if recipe.weights.reflectance else None
        self.reflectance = ReflectanceVariance(weighed) if weighed else None
        self.register_buffer("class_weights", class_weights(recipe.mask))

    def forward(
        self,
        coefficients: Coefficients,
        shape: Tensor,
        projected: Tensor,
        rendering: Rendering | None,
        truth: Supervision,
    ) -> dict[str, Tensor]:
        """Every term that is computed, unweighted, by name.

        Args:
            coefficients: of the batch.
            shape: (68, 3, B) mm, their landmarks in the model's frame.
            projected: (68, 2, B) px of the image; NaN where the model has none.
            rendering: the faces drawn from them; None leaves the pixel term out.
            truth: the photographs and their weak labels.
        """
        prior = self.recipe.prior
        # Once for both landmark terms, from the pose as it is now.
        weights = self._landmark_weights(coefficients.pose, projected, truth.landmarks)
        terms = {} if rendering is None else {"pixel": self._pixel(rendering, truth)}
        terms["landmark"] = self._wing(projected, truth, weights)
        if self.recipe.weights.landmark_shape:
            terms["landmark_shape"] = self._landmark_shape(shape, truth, weights)
        terms["prior"] = prior_loss(
            coefficients,
            prior.identity,
            prior.expression,
            prior.albedo,
            prior.expression_mean,
            self.all_reduce,
        )
        # Those that the paper does not have.
        if self.reflectance:
            terms["reflectance"] = self.reflectance(coefficients.albedo, self.all_reduce)
        if self.recipe.weights.light_balance:
            terms["light_balance"] = light_balance(coefficients.light, self.all_reduce)
        return terms

    def seen(self, places: Tensor, truth: Supervision) -> Tensor:
        """The Wing loss of landmarks (B, 68, 2) in px that a landmark head predicts."""
        # No contour weight: the network sees where points are in the picture, whichever way it
        # turned.
        known = truth.landmarks.isfinite().all(1)
        return self._wing(places.permute(1, 2, 0), truth, known.to(places))

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum."""
        weights = self.recipe.weights
        return torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()

    def _pixel(self, rendering: Rendering, truth: Supervision) -> Tensor:
        # Detached: a face could otherwise lower the loss by becoming smaller.
        visible = rendering.silhouette.detach()
        weights = self.class_weights[truth.masks] * visible
        return pixel_loss(rendering.image, truth.images, weights, all_reduce=self.all_reduce)

    def _landmark_weights(self, pose: Tensor, projected: Tensor, detected: Tensor) -> Tensor:
        """Weight (68, B) of each point, 0 where the model or the photograph lacks it."""
        # A sum is NaN where either is; only its being so is used.
        unknown = (detected + projected.detach()).isnan().any(1)
        jaw = self.recipe.landmark
        start, end = math.radians(jaw.contour_from), math.radians(jaw.contour_to)
        weights = contour_weights(pose[:, 1].detach(), jaw.contour_weight, start, end)
        return weights.masked_fill(unknown, 0.0)

    def _wing(self, points: Tensor, truth: Supervision, weights: Tensor) -> Tensor:
        # Filled before the difference: 0 x NaN is NaN, in the gradient as well.
        hidden = (weights == 0.0).unsqueeze(1)
        return landmark_loss(
            points.masked_fill(hidden, 0.0),
            truth.landmarks.masked_fill(hidden, 0.0),
            weights,
            truth.images.shape[-1],
            self.recipe.landmark.width,
            self.recipe.landmark.epsilon,
            self.all_reduce,
        )

    def _landmark_shape(self, shape: Tensor, truth: Supervision, weights: Tensor) -> Tensor:
        """The Wing loss under the pose that fits best, so that pose errors do not blur the shape.

        The pose is a constant here: at its optimum the loss does not change with it.
        """
        # The fit counts y upwards as the model does, pixels downwards.
        upwards = shape.new_tensor([1.0, -1.0]).view(1, 2, 1)
        targets = truth.landmarks.masked_fill((weights == 0.0).unsqueeze(1), 0.0) * upwards
        with torch.no_grad():
            camera = fit_pose(shape, targets, weights)
        return self._wing(apply_pose(camera, shape) * upwards, truth, weights)
