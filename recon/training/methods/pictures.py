"""Fits to look at: photograph, face over it, shape, albedo and second view, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...export.sheet import to_pictures
from ...render.face import draw_panels
from ..data.batches import collate, resized
from ..data.trainee import Photographs
from .trainer import RegressorTrainer


def fits_picture(
    trainer: RegressorTrainer[Any], shards: Photographs, rows: Sequence[int]
) -> NDArray[np.uint8]:
    """An RGB picture of photograph, overlay, shape and albedo of each row.

    Where the loss sees the faces a second time, in another view, that render comes last.
    """
    size = trainer.recipe.image_size
    truth = collate([resized(shards.sample(row), size) for row in rows]).to(trainer.device)
    with torch.no_grad():
        found = trainer.regressor.eval()(truth.images)
        second = trainer.second_view(found)
    panels = draw_panels(trainer.face, found, truth.images)
    columns = [truth.images, panels.overlay, panels.shape, panels.albedo]
    columns += [second.rendering.image] if second else []
    return np.concatenate([_stacked(images) for images in columns], axis=1)


def _stacked(images: Tensor) -> NDArray[np.uint8]:
    return np.concatenate(to_pictures(images), axis=0)
