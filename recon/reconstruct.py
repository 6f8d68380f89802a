"""Photographs to coefficients, meshes and pictures: the way a trained network is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .coefficients import Coefficients
from .mesh import Mesh
from .morphable.decoder import FaceDecoder
from .morphable.model import MorphableModel
from .network.regressor import FaceRegressor
from .render import make_renderer
from .render.face import FaceRenderer
from .render.panels import draw_panels
from .sheet import Picture, captioned, grid, to_pictures

PICTURE_SIZE = 360
"""Side in pixels of every picture in an overlay."""

_SUPERSAMPLING = 2
_SIGMA = 1e-6
"""Sharper than in training: an overlay is for the eye, not for gradients."""

_CAPTIONS = ("photograph", "overlay", "shape", "albedo")


@dataclass(frozen=True)
class FaceCoefficients:
    """One face as plain arrays, (K,) each, pose (7,) and light (9, 3); see `Coefficients`."""

    identity: NDArray[np.float64]
    expression: NDArray[np.float64]
    albedo: NDArray[np.float64]
    pose: NDArray[np.float64]
    light: NDArray[np.float64]


class Reconstructor:
    """A face model and a regressor trained with it.

    Args:
        model: the face model.
        regressor: in evaluation mode.
        device: where the network runs, as PyTorch names it.
    """

    def __init__(
        self, model: MorphableModel, regressor: FaceRegressor, device: str = "cpu"
    ) -> None:
        self.model = model
        self.regressor = regressor.to(device)
        self.device = device
        side = PICTURE_SIZE * _SUPERSAMPLING
        renderer = make_renderer("outline", sigma=_SIGMA)
        self._face = FaceRenderer(FaceDecoder(model), renderer, (side, side)).to(device)

    @property
    def crop_size(self) -> int:
        """Side in pixels of the square crops that `regress` takes."""
        return self.regressor.image_size

    def regress(self, crops: NDArray[np.uint8]) -> list[FaceCoefficients]:
        """Coefficients of the faces in RGB crops (B, crop_size, crop_size, 3)."""
        with torch.inference_mode():
            found = self.regressor(_to_tensor(crops, self.device))
        parts = (found.identity, found.expression, found.albedo, found.pose, found.light)
        arrays = [part.double().cpu().numpy() for part in parts]
        return [FaceCoefficients(*(array[i] for array in arrays)) for i in range(len(crops))]

    def mesh(self, face: FaceCoefficients) -> Mesh:
        """The face with its expression in model space, mm, coloured by its albedo."""
        return self.model.mesh(face.identity, face.expression, face.albedo)

    def overlay(self, crop: NDArray[np.uint8], face: FaceCoefficients) -> Picture:
        """Photograph, overlay, shape and albedo side by side.

        Args:
            crop: (S, S, 3) RGB; any S, the same view as the network's crop.
            face: what was regressed.
        """
        photograph = _to_tensor(crop[None], self.device)
        side = PICTURE_SIZE * _SUPERSAMPLING
        large = torch.nn.functional.interpolate(photograph, (side, side), mode="bilinear")
        panels = draw_panels(self._face, _as_batch(face, self.device), large)
        stack = torch.cat([large, panels.overlay, panels.shape, panels.albedo])
        small = torch.nn.functional.avg_pool2d(stack.clamp(0.0, 1.0), _SUPERSAMPLING)
        pictures = zip(to_pictures(small), _CAPTIONS, strict=True)
        return grid([[captioned(picture, caption) for picture, caption in pictures]])

    def landmarks(self, face: FaceCoefficients) -> NDArray[np.float64]:
        """The 68 iBUG points (68, 2) in the crop, x right and y down, the crop spanning [0, 1].

        Points that the model lacks are NaN.
        """
        with torch.no_grad():
            points = self._face.landmarks(_as_batch(face, self.device))[..., 0]
        found: NDArray[np.float64] = points.double().cpu().numpy()
        return (found + 0.5) / (PICTURE_SIZE * _SUPERSAMPLING)


def _to_tensor(crops: NDArray[np.uint8], device: str) -> Tensor:
    return torch.tensor(crops, device=device).permute(0, 3, 1, 2).float() / 255.0


def _as_batch(face: FaceCoefficients, device: str) -> Coefficients:
    parts = (face.identity, face.expression, face.albedo, face.pose, face.light)
    tensors = (torch.tensor(part, dtype=torch.float32, device=device)[None] for part in parts)
    return Coefficients(*tensors)
