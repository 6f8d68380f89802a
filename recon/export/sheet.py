"""Sheets of pictures with captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

_CAPTION_HEIGHT = 22
_FONT_SIZE = 15
_INK, _PAPER = (30, 30, 30), (245, 245, 245)


def to_pictures(images: Tensor) -> list[Picture]:
    """Pictures of a batch (B, 3, H, W) of RGB values, clipped to [0, 1]."""
    pixels = (images.detach().clamp(0.0, 1.0) * 255.0 + 0.5).byte()
    return list(pixels.permute(0, 2, 3, 1).cpu().numpy())


def captioned(picture: Picture, caption: str) -> Picture:
    """The picture with a line of text above it."""
    height, width = picture.shape[:2]
    sheet = Image.new("RGB", (width, height + _CAPTION_HEIGHT), _PAPER)
    sheet.paste(Image.fromarray(picture), (0, _CAPTION_HEIGHT))
    font = ImageFont.load_default(_FONT_SIZE)
    ImageDraw.Draw(sheet).text((4, 2), caption, fill=_INK, font=font)
    return np.asarray(sheet)


def grid(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Rows of pictures of one height each, side by side and below each other, white-filled."""
    lines = [np.concatenate(list(row), axis=1) for row in rows]
    width = max(line.shape[1] for line in lines)
    return np.concatenate([_widened(line, width) for line in lines], axis=0)


def _widened(picture: Picture, width: int) -> Picture:
    missing = width - picture.shape[1]
    return np.pad(picture, ((0, 0), (0, missing), (0, 0)), constant_values=_PAPER[0])
