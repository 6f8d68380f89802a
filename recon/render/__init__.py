"""Differentiable renderers behind one interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


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
            vertices: (V, 3, B) in normalised image coordinates (`recon.camera`): x right, y up,
                z towards the viewer; the shorter side of the image spans [-1, 1].
            colours: (V, 3, B) lit vertex colours.
            triangles: (F, 3) int64, shared by the batch.
            image_size: (height, width) in pixels.
        """
        ...
