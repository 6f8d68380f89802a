"""Coefficients to pictures: decoder, camera, light and renderer together."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..face.camera import project, rotate, rotation_matrix, to_pixels
from ..face.coefficients import Coefficients
from ..morphable.decoder import FaceDecoder
from . import Renderer, Rendering
from .shade import VertexNormals, shade


@dataclass(frozen=True)
class RenderedFace:
    """A batch of faces as drawn.

    Attributes:
        rendering: the picture and its silhouette.
        landmarks: (68, 2, B) iBUG points in pixels, x right and y down; a point that the model
            lacks (index -1) is NaN.
        vertices: (V, 3, B) in normalised image coordinates.
    """

    rendering: Rendering
    landmarks: Tensor
    vertices: Tensor


class FaceRenderer(nn.Module):
    """Draws faces from their coefficients.

    Args:
        decoder: the morphable model.
        renderer: any renderer of `make_renderer`.
        image_size: (height, width) in pixels.
    """

    def __init__(
        self, decoder: FaceDecoder, renderer: Renderer, image_size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.renderer = renderer
        self.image_size = image_size
        self.normals = VertexNormals(decoder.triangles)

    def forward(self, coefficients: Coefficients) -> RenderedFace:
        """Render a batch; differentiable in every coefficient."""
        vertices, colours = self.shaded(coefficients)
        rendering = self.renderer(vertices, colours, self.decoder.triangles, self.image_size)
        points = vertices.index_select(0, self.decoder.landmarks.clamp(min=0))
        return RenderedFace(rendering, self.in_pixels(points), vertices)

    def shaded(self, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
        """Vertices in normalised image coordinates and lit colours, (V, 3, B) each."""
        shape = self.decoder.shape(coefficients.identity, coefficients.expression)
        albedo = self.decoder.albedo(coefficients.albedo)
        return shade(shape, albedo, coefficients.pose, coefficients.light, self.normals)

    def landmarks(self, coefficients: Coefficients) -> Tensor:
        """Projected landmarks (68, 2, B) in pixels, without rendering."""
        points = self.decoder.landmark_shape(coefficients.identity, coefficients.expression)
        turned = rotate(points, rotation_matrix(coefficients.pose[:, :3]))
        return self.in_pixels(project(turned, coefficients.pose))

    def in_pixels(self, points: Tensor) -> Tensor:
        """Landmarks (68, 2, B) in pixels of normalised ones (68, 3, B); NaN where there is none."""
        missing = (self.decoder.landmarks < 0).view(-1, 1, 1)
        return to_pixels(points, self.image_size).masked_fill(missing, float("nan"))
