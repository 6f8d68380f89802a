"""Face alignment on five points, and frozen recognition features of the aligned faces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample

from ...errors import FacebenchError
from ..face.labels import FIVE_POINTS, TEMPLATE
from ..network.fetched import ScaledResNet
from ..network.resnet import IResNet
from ..network.tensor_files import (
    architecture_of,
    build_with_state,
    fit_state_dict,
    read_state_dict,
)
from ..network.vision_weights import EMBEDDED, chosen_weights, is_own_file, load_network
from ..recipes.vision import IRESNET_DEPTHS, RecogniserRecipe
from ..weights.cache import load_if_packaged

TEMPLATE_SIDE = 112
"""Side in px of the picture that `TEMPLATE` is given in."""

_LEAST_POINTS = 2
_LEAST_SPREAD = 1e-6

SOURCE = "https://github.com/deepinsight/insightface, 'arcface_torch' model zoo (backbone.pth)"

_GROWN, _EYES_AT = 1.045, 0.307
"""dlib's picture of a face: between eyes and mouth lies 1.045 times as much of it as of ArcFace's,
and the eyes are as far down it as the second number says."""


def area_under_curve(scores: NDArray[np.floating], same: NDArray[np.bool_]) -> float:
    """Probability that one of the `same` (N,) has a larger score (N,) than one of the others.

    Of ties half counts. NaN where there are none of one kind, or a score is no number.
    """
    n_same = int(same.sum())
    pairs = n_same * (len(same) - n_same)
    # Sorted, NaN would count as the largest.
    if not pairs or np.isnan(scores).any():
        return float("nan")
    # Mann and Whitney's U, from ranks that ties share.
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[same].sum() - n_same * (n_same + 1) / 2) / pairs)


def five_points(landmarks: Tensor) -> Tensor:
    """Five points (B, 5, 2) of 68 landmarks (68, 2, B), in their unit; NaN where unknown.

    An eye is the middle of its two corners.
    """
    first, second = ([pair[side] for pair in FIVE_POINTS] for side in (0, 1))
    middle = (landmarks[first] + landmarks[second]) / 2
    return middle.permute(2, 0, 1)


def template(side: int) -> Tensor:
    """The five points (5, 2) in a picture of another side, float64; integers are pixel centres."""
    points = torch.tensor(TEMPLATE, dtype=torch.float64)
    return (points + 0.5) * (side / TEMPLATE_SIDE) - 0.5


@dataclass(frozen=True)
class PlanarSimilarity:
    """Turns, scales and moves points of the plane: (x, y) to (a x - b y + c, b x + a y + d).

    Attributes:
        linear: (B, 2), a and b; the scale is their length.
        offset: (B, 2), c and d.
    """

    linear: Tensor
    offset: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Points (B, N, 2), or (N, 2) the same for all, moved: (B, N, 2)."""
        return _multiply(self.linear[:, None], points) + self.offset[:, None]

    def inverse(self) -> PlanarSimilarity:
        """The similarity that moves them back."""
        conjugate = self.linear * self.linear.new_tensor([1.0, -1.0])
        linear = conjugate / self.linear.square().sum(1, keepdim=True)
        return PlanarSimilarity(linear, -_multiply(linear, self.offset))

    def scale(self) -> Tensor:
        """(B,) how much longer lengths become."""
        return self.linear.square().sum(1).sqrt()


def closest_similarity(points: Tensor, target: Tensor) -> PlanarSimilarity:
    """The similarity, never a reflection, that brings points closest to their targets.

    The least-squares solution in closed form (Umeyama 1991; in the plane a similarity is a product
    of complex numbers). Points that are not finite do not count. Where fewer than two are left, or
    all lie in one place, the result is not finite.

    Args:
        points: (B, N, 2).
        target: (N, 2), where they should be.
    """
    known = points.isfinite().all(dim=2, keepdim=True)
    weights = known.to(points) / known.sum(dim=1, keepdim=True)
    from_points = points.where(known, 0.0)
    centre, target_centre = (weights * from_points).sum(1), (weights * target).sum(1)
    spread = (from_points - centre[:, None]) * known
    wanted = target - target_centre[:, None]
    conjugate = spread * spread.new_tensor([1.0, -1.0])
    product = (weights * _multiply(conjugate, wanted)).sum(1)
    variance = (weights * spread.square()).sum((1, 2))
    usable = (known.sum((1, 2)) >= _LEAST_POINTS) & (variance > _LEAST_SPREAD)
    linear = product / variance.where(usable, torch.nan)[:, None]
    return PlanarSimilarity(linear, target_centre - _multiply(linear, centre))


def align_faces(images: Tensor, points: Tensor, side: int, target: Tensor | None = None) -> Tensor:
    """Faces (B, C, side, side) whose five points lie on the template.

    Differentiable in the images; the points are taken as given. Where a face is shrunk, it is
    sampled from a pyramid of halved images, between the two levels next to its scale, so that fine
    detail is averaged and not skipped; each face is treated on its own, whatever else is in the
    batch. Outside the image it is black. A face without at least two known points in different
    places becomes the whole image.

    Args:
        images: (B, C, H, W).
        points: (B, 5, 2) px, integers at pixel centres; NaN where unknown.
        side: of the result, in px.
        target: where the five points (5, 2) shall lie in it, px; on ArcFace's template when None.
    """
    target = template(side) if target is None else target
    place = closest_similarity(points.detach().double(), target.to(points.device))
    back = _or_whole_image(place.inverse(), images.shape, side)
    sampled_at = back.apply(_pixel_centres(side, images.device))
    return _sample_pyramid(images, sampled_at.view(-1, side, side, 2), back.scale())


def _or_whole_image(
    place: PlanarSimilarity, shape: torch.Size | tuple[int, ...], side: int
) -> PlanarSimilarity:
    """The similarity where it is finite, else the one that fits the image into the result."""
    height, width = shape[2:]
    scale = max(height, width) / side
    linear = place.linear.new_tensor([scale, 0.0])
    middle = place.offset.new_tensor([(width - 1) / 2, (height - 1) / 2])
    offset = middle - scale * (side - 1) / 2
    finite = (place.linear.isfinite() & place.offset.isfinite()).all(dim=1, keepdim=True)
    return PlanarSimilarity(place.linear.where(finite, linear), place.offset.where(finite, offset))


def _sample_pyramid(images: Tensor, places: Tensor, shrinking: Tensor) -> Tensor:
    """Images (B, C, H, W) at places (B, h, w, 2), averaged over about `shrinking` (B,) px."""
    levels = _levels(images.shape, places.shape[1])
    level = shrinking.clamp_min(1.0).log2().clamp_max(levels - 1.0)
    result = images.new_zeros(())
    halved = images
    for number in range(levels):
        share = (1.0 - (level - number).abs()).clamp_min(0.0).to(images.dtype)
        seen = _sample(halved, (places + 0.5) / 2**number - 0.5)
        result = result + share[:, None, None, None] * seen
        if number + 1 < levels:
            halved = avg_pool2d(halved, 2)
    return result


def _levels(shape: torch.Size | tuple[int, ...], side: int) -> int:
    """Levels of the pyramid: enough for a face that fills the image; from sizes alone."""
    largest = min(shape[2:]) / side
    return max(1, math.ceil(math.log2(largest)) + 2) if largest > 0 else 1


def _sample(images: Tensor, places: Tensor) -> Tensor:
    height, width = images.shape[2:]
    size = places.new_tensor([width, height])
    grid = ((places + 0.5) * 2 / size - 1).to(images.dtype)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _pixel_centres(side: int, device: torch.device) -> Tensor:
    line = torch.arange(side, dtype=torch.float64, device=device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=2).view(-1, 2)


def _multiply(first: Tensor, second: Tensor) -> Tensor:
    """Products of complex numbers (..., 2)."""
    real = first[..., 0] * second[..., 0] - first[..., 1] * second[..., 1]
    imaginary = first[..., 0] * second[..., 1] + first[..., 1] * second[..., 0]
    return torch.stack([real, imaginary], dim=-1)


class Recogniser(nn.Module):
    """Identity features of faces wherever they are in their images; fulfils `IdentityFeatures`.

    The network is frozen and stays in evaluation mode; gradients flow to the images.

    Args:
        network: trained on aligned faces.
    """

    def __init__(self, network: IResNet) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Recogniser:
        """Stay as it is: statistics of a batch would change who somebody is."""
        return super().train(False)

    def forward(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Features (B, D) of RGB images (B, 3, H, W) in [0, 1] with landmarks (68, 2, B) in px.

        A landmark that is NaN does not count in the alignment.
        """
        faces = align_faces(images, five_points(landmarks.detach()), self.network.image_size)
        features: Tensor = self.network(faces * 2.0 - 1.0)
        return features


class ScaledRecogniser(nn.Module):
    """dlib's recogniser as face-api has it, on faces aligned as dlib does; `IdentityFeatures`."""

    def __init__(self, network: ScaledResNet) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Features (B, 128) of RGB images (B, 3, H, W) in [0, 1], landmarks (68, 2, B) in px."""
        side = self.network.image_size
        share = (template(side) + 0.5) / side
        middle = share.new_tensor([0.5, float(share[:2, 1].mean())])
        grown = (share - middle) * _GROWN + share.new_tensor([0.5, _EYES_AT])
        points = five_points(landmarks.detach())
        features: Tensor = self.network(align_faces(images, points, side, grown * side - 0.5))
        return features


def make_identity_features(
    weights: str | Path = EMBEDDED, device: torch.device | str = "cpu"
) -> nn.Module:
    """Frozen recognition features that are only compared, never trained against.

    Args:
        weights: as `make_recogniser`, or `face-api-128` or its file (`facebench weights get`).
        device: where they are computed.

    Raises:
        FacebenchError: no such weights, or not those of a recogniser.
    """
    packaged = load_if_packaged(weights, ScaledResNet)
    if packaged is not None:
        return ScaledRecogniser(packaged).to(device)
    return make_recogniser(weights, device)


def make_recogniser(
    weights: str | Path = EMBEDDED, device: torch.device | str = "cpu"
) -> Recogniser:
    """Frozen recognition features.

    Args:
        weights: `embedded`, a file of `facebench train --recipe recogniser`, or a public ArcFace
            `backbone.pth`, whose depth is told by its names.
        device: where they are computed.

    Raises:
        FacebenchError: no such weights, or not those of a recogniser.
    """
    path = chosen_weights(weights, "recogniser")
    network = _load_own(path) if is_own_file(path) else _load_public(path)
    return Recogniser(network).to(device)


def _load_own(path: Path) -> IResNet:
    state, recipe = load_network(path, RecogniserRecipe)
    size = recipe.network
    build = partial(IResNet, size.architecture, size.outputs, size.width, size.image_size)
    return build_with_state(build, state, path, f"the {size.architecture} of its recipe")


def _load_public(path: Path) -> IResNet:
    state = read_state_dict(path, SOURCE)
    title = architecture_of(state)
    architecture = title.replace("-", "").lower()
    if architecture not in IRESNET_DEPTHS:
        raise FacebenchError(
            f"{path} is not an ArcFace network{f'; this looks like {title}' if title else ''}",
            f"give weights of {SOURCE}",
        )
    network = IResNet(architecture)
    fit_state_dict(network, state, path, title)
    return network
