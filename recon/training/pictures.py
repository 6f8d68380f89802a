"""Fits to look at: photograph, face over it, shape and albedo, one row each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..camera import rotate, rotation_matrix
from ..coefficients import Coefficients
from ..lighting import illuminate
from ..render.face import FaceRenderer
from .batches import collate, resized
from .shards import FaceShards
from .trainer import Trainer

_GREY = 0.7
_HEADLIGHT = (0.5, 0.4, 1.1)
"""Weights of the constant, upward and forward harmonics under which shapes are shown."""


def fits_picture(trainer: Trainer, shards: FaceShards, rows: Sequence[int]) -> NDArray[np.uint8]:
    """An RGB picture (len(rows) * S, 4 S, 3): photograph, overlay, shape, albedo of each row."""
    size = trainer.recipe.network.image_size
    truth = collate([resized(shards.sample(row), size) for row in rows]).to(trainer.device)
    with torch.no_grad():
        found = trainer.regressor.eval()(truth.images)
        drawn = trainer.face(found)
        behind = drawn.rendering.background_weight.unsqueeze(1)
        overlay = drawn.rendering.image + behind * truth.images
        shape = _draw(trainer.face, drawn.vertices, _lit_grey(trainer.face, found))
        albedo = _draw(trainer.face, drawn.vertices, trainer.face.decoder.albedo(found.albedo))
    columns = [_stacked(images) for images in (truth.images, overlay, shape, albedo)]
    return np.concatenate(columns, axis=1)


def _lit_grey(face: FaceRenderer, found: Coefficients) -> Tensor:
    """Colours (V, 3, B) of a grey face in the found pose."""
    shape = face.decoder.shape(found.identity, found.expression)
    turned = rotate(shape, rotation_matrix(found.pose[:, :3]))
    light = turned.new_zeros(turned.shape[2], 9, 3)
    light[:, :3] = torch.tensor(_HEADLIGHT).view(3, 1)
    return illuminate(torch.full_like(turned, _GREY), face.normals(turned), light)


def _draw(face: FaceRenderer, vertices: Tensor, colours: Tensor) -> Tensor:
    image: Tensor = face.renderer(vertices, colours, face.decoder.triangles, face.image_size).image
    return image


def _stacked(images: Tensor) -> NDArray[np.uint8]:
    pixels = (images.clamp(0.0, 1.0) * 255.0 + 0.5).byte().permute(0, 2, 3, 1).cpu().numpy()
    return pixels.reshape(-1, *pixels.shape[2:])
