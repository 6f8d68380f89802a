"""Differentiable renderers behind one interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ...errors import FacebenchError, did_you_mean

DEFAULT_SIGMA = 3e-5
"""σ in squared normalised units: the best compromise on a face of 35,000 vertices at 224 pixels."""

DEFAULT_GAMMA = 1e-4
"""Temperature of the softmax over depth."""


@dataclass(frozen=True)
class Rendering:
    """A batch of rendered faces.

    Attributes:
        image: (B, 3, H, W), the face over a constant background colour.
        silhouette: (B, H, W) in [0, 1], probability that the face covers the pixel.
        background_weight: (B, H, W) in [0, 1], the share of the background colour in `image`;
            `image + background_weight * (other - background)` puts the face over another picture.
    """

    image: Tensor
    silhouette: Tensor
    background_weight: Tensor


class Renderer(Protocol):
    """Draws coloured triangle meshes; differentiable in vertices and colours."""

    def __call__(
        self, vertices: Tensor, colours: Tensor, triangles: Tensor, image_size: tuple[int, int]
    ) -> Rendering:
        """Render a batch.

        Args:
            vertices: (V, 3, B) in normalised image coordinates (`face.imaging`): x right, y up,
                z towards the viewer; the shorter side of the image spans [-1, 1].
            colours: (V, 3, B) lit vertex colours.
            triangles: (F, 3) int64, shared by the batch.
            image_size: (height, width) in pixels.
        """
        ...


def make_renderer(
    name: str, sigma: float = DEFAULT_SIGMA, gamma: float = DEFAULT_GAMMA
) -> Renderer:
    """The renderer of a name, one of `RENDERERS`.

    Args:
        name: `softras` (the paper's), `outline`, or `pytorch3d` where that is installed.
        sigma: σ of the edges' probability, in squared normalised units.
        gamma: γ of the softmax over depth; `outline` has none and ignores it.

    Raises:
        FacebenchError: the name is unknown, or its library is not installed.
    """
    if name not in RENDERERS:
        raise FacebenchError(f"unknown renderer '{name}'", did_you_mean(name, RENDERERS))
    return RENDERERS[name](sigma, gamma)


def sharp_renderer() -> Renderer:
    """Sharper than in training: for the eye, not for gradients."""
    return make_renderer("outline", sigma=1e-6)


def _outline(sigma: float, gamma: float) -> Renderer:
    from .outline import OutlineRenderer

    return OutlineRenderer(sigma)


def _softras(sigma: float, gamma: float) -> Renderer:
    from .blend import SoftRasConfig
    from .softras import SoftRasRenderer

    return SoftRasRenderer(SoftRasConfig(sigma=sigma, gamma=gamma))


def _pytorch3d(sigma: float, gamma: float) -> Renderer:
    from .blend import SoftRasConfig
    from .softras import PyTorch3DRenderer

    return PyTorch3DRenderer(SoftRasConfig(sigma=sigma, gamma=gamma))


RENDERERS: dict[str, Callable[[float, float], Renderer]] = {
    "outline": _outline,
    "softras": _softras,
    "pytorch3d": _pytorch3d,
}
