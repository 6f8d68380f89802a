"""Which part of the face each pixel of a photograph shows, for figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ...recon.vision.parsing import FaceParser, make_parser
from .photographs import Photograph

Mask = NDArray[np.uint8]
"""(S, S) classes in BiSeNet order."""


def parsed_masks(
    photographs: Sequence[Photograph], weights: str | Path, device: str = "cpu"
) -> list[Mask]:
    """What a parser sees in each photograph, in the size of its portrait.

    Raises:
        FacebenchError: there are no such weights.
    """
    parser = make_parser(weights, device)
    return [parsed(parser, photograph.portrait, device) for photograph in photographs]


def parsed(parser: FaceParser, picture: NDArray[np.uint8], device: str = "cpu") -> Mask:
    """The mask (S, S) of a picture (S, S, 3)."""
    image = torch.tensor(picture, device=device).permute(2, 0, 1)[None].float() / 255.0
    return np.asarray(parser(image)[0].cpu().numpy(), np.uint8)


def resized(mask: Mask, size: int) -> Mask:
    """The mask with another side; every pixel keeps a class that was there."""
    return np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))


def agreement(found: Sequence[Mask], true: Sequence[Mask], classes: int) -> NDArray[np.float64]:
    """Intersection over union (classes,) over all pictures; NaN where neither has a class."""
    pairs = [classes * t.astype(np.int64) + f for t, f in zip(true, found, strict=True)]
    counts = np.bincount(np.concatenate([p.ravel() for p in pairs]), minlength=classes**2)
    table = counts.reshape(classes, classes).astype(np.float64)
    union = table.sum(0) + table.sum(1) - np.diag(table)
    return np.asarray(np.diag(table) / np.where(union > 0, union, np.nan))
