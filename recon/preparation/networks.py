"""The networks that label faces, as preparation sees them: NumPy in, NumPy out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..vision.crop import Box

Pixels = NDArray[np.uint8]

NONE, EMBEDDED, FAN = "none", "embedded", "fan"

_PARSED_AT_ONCE = 8
"""Crops; the public parser works on 512 px and holds about 0.3 GB for each four of them."""


class LandmarkFinder(Protocol):
    """Finds the 68 landmarks of faces; `recon.vision.landmarks.LandmarkDetector` is one."""

    def landmarks(self, frames: Sequence[Pixels], boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) in px of N pictures (H, W, 3), whose face boxes are given."""
        ...


class CropParser(Protocol):
    """Says what each pixel of face crops shows."""

    def __call__(self, crops: Pixels) -> Pixels:
        """Classes (N, S, S) in BiSeNet order of crops (N, S, S, 3) RGB."""
        ...


@dataclass(frozen=True)
class Networks:
    """What labels the faces that come without labels.

    Attributes:
        landmarks: None leaves faces without a landmarks file out.
        parser: None leaves faces without a mask file without one.
    """

    landmarks: LandmarkFinder | None
    parser: CropParser | None


@dataclass(frozen=True)
class NetworkChoice:
    """Which networks: `none`, `embedded`, a weights file, or for landmarks `fan`."""

    landmarks: str = EMBEDDED
    parser: str = EMBEDDED

    def build(self, device: str = "cpu") -> Networks:
        """The networks on a device.

        Raises:
            FacebenchError: weights that are missing or of something else.
        """
        finder = None if self.landmarks == NONE else _landmark_finder(self.landmarks, device)
        parser = None if self.parser == NONE else _crop_parser(self.parser, device)
        return Networks(finder, parser)

    def identity(self) -> dict[str, str]:
        """Each choice with a digest of its weights, wherever they lie, for the record."""
        return {
            "landmarks": _identity(self.landmarks, "landmarker"),
            "parser": _identity(self.parser, "parser"),
        }


def _landmark_finder(choice: str, device: str) -> LandmarkFinder:
    from ..vision.landmarks import make_landmark_detector

    try:
        return make_landmark_detector(choice, device)
    except FacebenchError as error:
        raise FacebenchError(
            f"faces without a landmarks file need a landmark network: {error.message}",
            f"{error.hint}; or give --landmarks fan, or lay NAME.pts beside each photograph",
        ) from error


def _crop_parser(choice: str, device: str) -> CropParser:
    import torch

    from ..vision.parsing import make_parser

    parser = make_parser(choice, device)

    def parse(crops: Pixels) -> Pixels:
        images = torch.from_numpy(crops.copy()).permute(0, 3, 1, 2)
        parts = (
            parser(part.to(device).float() / 255.0) for part in torch.split(images, _PARSED_AT_ONCE)
        )
        classes: Pixels = torch.cat([part.to(torch.uint8).cpu() for part in parts]).numpy()
        return classes

    return parse


def default_parser() -> str:
    """The embedded parser where the package holds its weights, else none."""
    from ..network.vision_weights import embedded_network

    return EMBEDDED if embedded_network("parser").is_file() else NONE


def _identity(choice: str, kind: str) -> str:
    from ..network.vision_weights import embedded_network

    path = embedded_network(kind) if choice == EMBEDDED else Path(choice)
    if choice in (NONE, FAN) or not path.is_file():
        return choice
    name = EMBEDDED if choice == EMBEDDED else "file"
    return f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
