"""The pictures of a reconstructed face: overlay, shape, albedo and side views beside its photo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..export.sheet import Picture, to_pictures, with_caption
from ..face.coefficients import FaceCoefficients
from ..face.crop import frame_mean_face
from ..face.lighting import ambient_light
from ..morphable.decoder import FaceDecoder
from ..morphable.model import MorphableModel
from ..render import make_renderer
from ..render.face import FaceRenderer, draw_panels, draw_shape, shade
from ..texture.texture import Texture
from .reconstructor import to_tensor

PICTURE_SIZE = 360
"""Side in pixels of every picture."""

SIDE_YAWS = (-0.9, 0.9)
"""Radians by which the side views are turned."""

_SUPERSAMPLING = 2
_SIGMA = 1e-6
"""Sharper than in training: these are for the eye, not for gradients."""

_CAPTIONS = ("photograph", "overlay", "shape", "albedo")
_SIDE_CAPTIONS = ("texture, right side", "texture", "texture, left side", "shape, left side")
_ZOOM = 0.7
_PAPER = 0.96


class SheetRenderer:
    """Draws the sheets of one face model's faces."""

    def __init__(self, model: MorphableModel, device: str = "cpu") -> None:
        side = PICTURE_SIZE * _SUPERSAMPLING
        renderer = make_renderer("outline", sigma=_SIGMA)
        self._face = FaceRenderer(FaceDecoder(model), renderer, (side, side)).to(device)
        self._framing = frame_mean_face(model)
        self._device = device

    def row(self, crop: NDArray[np.uint8], face: FaceCoefficients) -> list[Picture]:
        """Photograph, overlay, shape and albedo.

        Args:
            crop: (S, S, 3) RGB; any S, the view of the face's pose.
            face: one face.
        """
        photograph = to_tensor(crop[None], self._device)
        large = torch.nn.functional.interpolate(photograph, self._face.image_size, mode="bilinear")
        panels = draw_panels(self._face, face[None].tensors(self._device), large)
        stack = torch.cat([large, *panels])
        return _add_captions(stack, _CAPTIONS)

    @torch.no_grad()
    def sides(self, face: FaceCoefficients, texture: Texture) -> list[Picture]:
        """The textured face from three sides under even light, and its shape from its left."""
        turned = [self._turn(face, yaw) for yaw in (SIDE_YAWS[0], 0.0, SIDE_YAWS[1])]
        faces = FaceCoefficients.join(turned).tensors(self._device)
        shape = self._face.decoder.shape(faces.identity, faces.expression)
        colours = torch.from_numpy(texture.at_vertices().astype(np.float32)).to(self._device)
        albedo = colours.unsqueeze(2).expand_as(shape)
        light = ambient_light(len(turned)).to(self._device) * 1.25
        vertices, lit = shade(shape, albedo, faces.pose, light, self._face.normals)
        drawn = self._face.renderer(
            vertices, lit, self._face.decoder.triangles, self._face.image_size
        )
        pictures = drawn.image + _PAPER * drawn.background_weight[:, None]
        # Once without texture: a picture on it hides what the shape lacks.
        grey = draw_shape(self._face, turned[-1].tensors(self._device), _PAPER)
        return _add_captions(torch.cat([pictures, grey]), _SIDE_CAPTIONS)

    def _turn(self, face: FaceCoefficients, yaw: float) -> FaceCoefficients:
        f, x, y = (self._framing.scale, self._framing.offset_x, self._framing.offset_y)
        pose = np.array([0.0, yaw, 0.0, _ZOOM * x, _ZOOM * y, 0.0, _ZOOM * f])
        return replace(face, pose=pose)[None]


def _add_captions(images: Tensor, captions: tuple[str, ...]) -> list[Picture]:
    # Drawn twice as large: within the outline visibility is hard, and edges would show steps.
    small = torch.nn.functional.avg_pool2d(images.clamp(0.0, 1.0), _SUPERSAMPLING)
    return [with_caption(p, text) for p, text in zip(to_pictures(small), captions, strict=True)]
