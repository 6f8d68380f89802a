"""Crops to fitted faces: a landmark detector and a fitter together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..face.crop import LANDMARK_SHARE, Box
from ..morphable.model import MorphableModel
from ..network.vision_weights import EMBEDDED
from ..vision.landmarks import LandmarkDetector, make_landmark_detector
from .fitter import Fit, Fitter
from .settings import FittingSettings


@dataclass(frozen=True, eq=False)
class CropFitter:
    """Fits faces in square crops as `recon.face.crop` cuts them.

    Attributes:
        fitter: of the crops' size.
        detector: finds their landmarks.
        device: where the fitter computes.
    """

    fitter: Fitter
    detector: LandmarkDetector
    device: str

    @classmethod
    def of(
        cls,
        model: MorphableModel,
        crop_size: int,
        weights: str | Path = EMBEDDED,
        device: str = "cpu",
        settings: FittingSettings | None = None,
    ) -> CropFitter:
        """For a face model.

        Args:
            model: the face model.
            crop_size: side of the crops in px.
            weights: of the landmark detector, see `make_landmark_detector`.
            device: as PyTorch names it.
            settings: of the fits.

        Raises:
            FacebenchError: the weights cannot be used.
        """
        detector = make_landmark_detector(weights, device)
        return cls(Fitter(model, crop_size, settings).to(device), detector, device)

    @property
    def settings(self) -> FittingSettings:
        """Of the fits."""
        return self.fitter.settings

    def fit(self, crops: NDArray[np.uint8]) -> Fit:
        """The faces in RGB crops (B, S, S, 3)."""
        box = box_of_crop(self.fitter.image_size)
        landmarks = self.detector.landmarks(list(crops), [box] * len(crops))
        images = torch.tensor(crops, device=self.device).permute(0, 3, 1, 2).float() / 255.0
        points = torch.tensor(landmarks, device=self.device).permute(1, 2, 0)
        return self.fitter.fit(images, points)


def box_of_crop(size: int) -> Box:
    """The box whose crop, in a picture of `size` px that is a crop itself, is all of it."""
    side = size * LANDMARK_SHARE
    return Box((size - side) / 2, (size - side) / 2, side, side)
