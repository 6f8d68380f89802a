"""Coefficients to pictures: decoder, camera, light and renderer together.

The decoder gives vertices and albedo in PyTorch, batched and vertex-major.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..face.coefficients import Coefficients
from ..face.imaging import illuminate, project, rotate, rotation_matrix, to_pixels
from ..morphable.model import MorphableModel
from . import Renderer, Rendering

Drawn = tuple[Rendering, Tensor]
"""A batch of faces as drawn, and their 68 iBUG points (68, 2, B) in pixels, x right and y down; a
point that the model lacks (index -1) is NaN."""

_GREY = 0.7
HEADLIGHT_BANDS = (0.5, 0.4, 1.1)
"""Weights of the constant, upward and forward harmonics under which shapes are shown."""


class FaceDecoder(nn.Module):
    """The morphable model on a device (METHOD eq. 3 and 4).

    Outputs are vertex-major, (V, 3, B): gathers along vertices are then contiguous in the batch,
    which makes normals several times cheaper than batch-major arrays.
    """

    mean_shape: Tensor
    identity_basis: Tensor
    expression_basis: Tensor
    mean_albedo: Tensor
    albedo_basis: Tensor
    triangles: Tensor
    landmarks: Tensor

    def __init__(self, model: MorphableModel, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name in ("mean_shape", "mean_albedo"):
            array = torch.as_tensor(np.array(getattr(model, name)), dtype=dtype)
            # Not persistent: a checkpoint names its model by digest and carries no licensed copy.
            self.register_buffer(name, array.reshape(-1, 1), persistent=False)
        for name in ("identity_basis", "expression_basis", "albedo_basis"):
            array = torch.as_tensor(np.array(getattr(model, name)), dtype=dtype)
            self.register_buffer(name, array.flatten(0, 1).contiguous(), persistent=False)
        for name in ("triangles", "landmarks"):
            array = torch.as_tensor(np.array(getattr(model, name)), dtype=torch.int64)
            self.register_buffer(name, array, persistent=False)

    def shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Vertices (V, 3, B) in mm from identity (B, K) and expression (B, K) coefficients."""
        flat = torch.addmm(self.mean_shape, self.identity_basis, identity.T)
        flat = torch.addmm(flat, self.expression_basis, expression.T)
        return flat.view(-1, 3, identity.shape[0])

    def landmark_shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """The landmarks' vertices (68, 3, B) in mm; any vertex where the model has none."""
        return self.shape_at(self.landmarks.clamp(min=0), identity, expression)

    def shape_at(self, vertices: Tensor, identity: Tensor, expression: Tensor) -> Tensor:
        """Some vertices (N,) of the shape, (N, 3, B) in mm."""
        # Three rows per vertex: landmarks then take 204 rows of the basis instead of 3 V.
        index = (3 * vertices[:, None] + torch.arange(3, device=vertices.device)).flatten()
        flat = self.mean_shape.index_select(0, index)
        flat = torch.addmm(flat, self.identity_basis.index_select(0, index), identity.T)
        flat = torch.addmm(flat, self.expression_basis.index_select(0, index), expression.T)
        return flat.view(-1, 3, identity.shape[0])

    def albedo(self, coefficients: Tensor) -> Tensor:
        """Albedo (V, 3, B), RGB around [0, 1] and not clipped, from (B, K) coefficients."""
        # Not clipped: a clip would stop the gradient of every colour that is a little too bright.
        flat = torch.addmm(self.mean_albedo, self.albedo_basis, coefficients.T)
        return flat.view(-1, 3, coefficients.shape[0])


class VertexNormals(nn.Module):
    """Unit vertex normals of one topology: area-weighted means of the triangles' normals.

    Args:
        triangles: (F, 3) int64, counter-clockwise seen from outside.
    """

    corners: Tensor

    def __init__(self, triangles: Tensor) -> None:
        super().__init__()
        self.register_buffer("corners", triangles.T.contiguous(), persistent=False)

    def forward(self, vertices: Tensor) -> Tensor:
        """Normals (V, 3, B) of vertices (V, 3, B); zero where a vertex has no triangle."""
        first, second, third = (vertices.index_select(0, corner) for corner in self.corners)
        normal = _cross(second - first, third - first)
        total = torch.zeros_like(vertices)
        for corner in self.corners:
            # Cross products are not normalised first: their lengths weigh the triangles by area.
            total = total.index_add(0, corner, normal)
        return _unit(total)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product along the middle dimension, 3 times faster than `torch.linalg.cross` there."""
    (ax, ay, az), (bx, by, bz) = a.unbind(1), b.unbind(1)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim=1)


def _unit(vectors: Tensor) -> Tensor:
    """Unit vectors along the middle dimension, zero where the vector is."""
    x, y, z = vectors.unbind(1)
    # The floor keeps the gradient finite at a vertex without triangles.
    return vectors * (x * x + y * y + z * z).clamp_min(1e-24).rsqrt().unsqueeze(1)


def vertex_normals(vertices: Tensor, triangles: Tensor) -> Tensor:
    """Unit normals (V, 3, B) of vertices (V, 3, B) and triangles (F, 3)."""
    normals: Tensor = VertexNormals(triangles)(vertices)
    return normals


def shade(
    vertices: Tensor, albedo: Tensor, pose: Tensor, light: Tensor, normals: VertexNormals
) -> tuple[Tensor, Tensor]:
    """Turn, light and project faces (eq. 5 and 6).

    Args:
        vertices: (V, 3, B) in the model's frame, mm.
        albedo: (V, 3, B).
        pose: (B, 7), see `recon.face.imaging`.
        light: (B, 9, 3), see `recon.face.imaging`; it stays with the camera.
        normals: of the model's topology.

    Returns:
        vertices (V, 3, B) in normalised image coordinates and lit colours (V, 3, B).
    """
    # The face turns and the light stays with the camera: normals are taken after the rotation.
    turned = rotate(vertices, rotation_matrix(pose[:, :3]))
    colours = illuminate(albedo, normals(turned), light)
    return project(turned, pose), colours


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

    def forward(self, coefficients: Coefficients) -> Drawn:
        """Render a batch; differentiable in every coefficient."""
        vertices, colours = self.shaded(coefficients)
        rendering = self.renderer(vertices, colours, self.decoder.triangles, self.image_size)
        # A landmark that the model lacks is -1; any vertex stands in until `in_pixels` marks it.
        points = vertices.index_select(0, self.decoder.landmarks.clamp(min=0))
        return rendering, self.in_pixels(points)

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


@torch.no_grad()
def draw_panels(
    face: FaceRenderer, found: Coefficients, photographs: Tensor, background: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Overlay, shape and albedo of faces found in photographs (B, 3, H, W) in [0, 1], each alike.

    The lit face over the photograph, the surface in grey under a light at the viewer, and the
    face's own colours, unlit, both on a level of grey; RGB around [0, 1].
    """
    vertices, lit = face.shaded(found)
    # Of the same tensor of vertices: the renderer finds what is visible once for all three.
    drawn = _render(face, vertices, lit)
    shape = _draw(face, vertices, _lit_grey(face, found), background)
    albedo = _draw(face, vertices, face.decoder.albedo(found.albedo), background)
    return _composite(drawn, photographs), shape, albedo


@torch.no_grad()
def draw_overlay(face: FaceRenderer, found: Coefficients, photographs: Tensor) -> Tensor:
    """The lit faces over their photographs, (B, 3, H, W)."""
    return _composite(_render(face, *face.shaded(found)), photographs)


def _composite(rendering: Rendering, photographs: Tensor) -> Tensor:
    # The face's image holds a black background already weighed in.
    return rendering.image + rendering.background_weight.unsqueeze(1) * photographs


@torch.no_grad()
def draw_shape(face: FaceRenderer, found: Coefficients, background: float = 0.0) -> Tensor:
    """The surfaces in grey under a light at the viewer, (B, 3, H, W), on a level of grey."""
    return _draw(face, face.shaded(found)[0], _lit_grey(face, found), background)


def _lit_grey(face: FaceRenderer, found: Coefficients) -> Tensor:
    """Colours (V, 3, B) of a grey face in the found pose."""
    shape = face.decoder.shape(found.identity, found.expression)
    turned = rotate(shape, rotation_matrix(found.pose[:, :3]))
    light = turned.new_zeros(turned.shape[2], 9, 3)
    light[:, :3] = torch.tensor(HEADLIGHT_BANDS).view(3, 1)
    return illuminate(torch.full_like(turned, _GREY), face.normals(turned), light)


def _draw(face: FaceRenderer, vertices: Tensor, colours: Tensor, background: float = 0.0) -> Tensor:
    drawn = _render(face, vertices, colours)
    return drawn.image + background * drawn.background_weight.unsqueeze(1)


def _render(face: FaceRenderer, vertices: Tensor, colours: Tensor) -> Rendering:
    return face.renderer(vertices, colours, face.decoder.triangles, face.image_size)
