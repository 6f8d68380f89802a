"""A face beside its photograph: overlay, shape and albedo, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..face.camera import rotate, rotation_matrix
from ..face.coefficients import Coefficients
from ..face.lighting import illuminate
from . import Rendering
from .face import FaceRenderer

_GREY = 0.7
_HEADLIGHT = (0.5, 0.4, 1.1)
"""Weights of the constant, upward and forward harmonics under which shapes are shown."""


@dataclass(frozen=True)
class Panels:
    """Pictures (B, 3, H, W) of a batch of faces, RGB around [0, 1].

    Attributes:
        overlay: the lit face over the photograph.
        shape: the surface in grey under a light at the viewer.
        albedo: the face's own colours, unlit.
    """

    overlay: Tensor
    shape: Tensor
    albedo: Tensor


def draw_panels(face: FaceRenderer, found: Coefficients, photographs: Tensor) -> Panels:
    """Draw faces where they were found in their photographs (B, 3, H, W) in [0, 1]."""
    return Panels(
        overlay=draw_overlay(face, found, photographs),
        shape=draw_shape(face, found),
        albedo=draw_albedo(face, found),
    )


@torch.no_grad()
def draw_overlay(face: FaceRenderer, found: Coefficients, photographs: Tensor) -> Tensor:
    """The lit faces over their photographs, (B, 3, H, W)."""
    rendering: Rendering = face(found).rendering
    return rendering.image + rendering.background_weight.unsqueeze(1) * photographs


@torch.no_grad()
def draw_shape(face: FaceRenderer, found: Coefficients) -> Tensor:
    """The surfaces in grey under a light at the viewer, (B, 3, H, W)."""
    return _draw(face, face.shaded(found)[0], _lit_grey(face, found))


@torch.no_grad()
def draw_albedo(face: FaceRenderer, found: Coefficients) -> Tensor:
    """The faces in their own colours, unlit, (B, 3, H, W)."""
    return _draw(face, face.shaded(found)[0], face.decoder.albedo(found.albedo))


def _lit_grey(face: FaceRenderer, found: Coefficients) -> Tensor:
    """Colours (V, 3, B) of a grey face in the found pose."""
    shape = face.decoder.shape(found.identity, found.expression)
    turned = rotate(shape, rotation_matrix(found.pose[:, :3]))
    light = turned.new_zeros(turned.shape[2], 9, 3)
    light[:, :3] = torch.tensor(_HEADLIGHT).view(3, 1)
    return illuminate(torch.full_like(turned, _GREY), face.normals(turned), light)


def _draw(face: FaceRenderer, vertices: Tensor, colours: Tensor) -> Tensor:
    triangles, size = face.decoder.triangles, face.image_size
    image: Tensor = face.renderer(vertices, colours, triangles, size).image
    return image
