"""Pictures, masks and landmark files from their bytes."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..files.pictures import read_picture
from ..synthetic.appearance import CLASS_NAMES
from .reasons import Reason, RejectedError

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]

POINTS = 68
_ASPECT = 0.02
"""A mask may be smaller than its photograph, but not of another shape."""


def decode_photograph(content: bytes) -> Pixels:
    """RGB pixels (H, W, 3), upright as the camera was held.

    Raises:
        RejectedError: no picture, damaged, or too large to be opened safely.
    """
    try:
        return np.array(read_picture(content, "RGB"))
    except ValueError as error:
        raise RejectedError(Reason.UNREADABLE, str(error)) from error


def decode_mask(content: bytes, size: tuple[int, int]) -> Pixels:
    """Classes (H, W) of a mask picture, brought to the size (H, W) of its photograph.

    Raises:
        RejectedError: no picture of class numbers, or of another shape than the photograph.
    """
    try:
        picture = read_picture(content, "")
    except ValueError as error:
        raise RejectedError(Reason.SIDECAR, f"mask: {error}") from error
    if picture.mode not in ("L", "P", "1"):
        raise RejectedError(Reason.SIDECAR, "the mask has colours, not class numbers")
    height, width = size
    if abs(picture.width / picture.height * height / width - 1.0) > _ASPECT:
        raise RejectedError(
            Reason.SIDECAR,
            f"the mask is {picture.width} x {picture.height}, not {width} x {height}",
        )
    classes = np.array(picture.resize((width, height), Image.Resampling.NEAREST))
    if classes.max() >= len(CLASS_NAMES):
        raise RejectedError(Reason.SIDECAR, f"the mask has class {classes.max()}; the last is 18")
    return classes.astype(np.uint8)


def decode_landmarks(content: bytes, name: str) -> Points:
    """Landmarks (faces, 68, 2) in px of the upright photograph, integers at pixel centres.

    `.pts` is iBUG's: 68 points in braces, counted from 1. Text is `x y` a line, counted from 0;
    the lines of several faces follow one another.

    Raises:
        RejectedError: not 68 points of two finite numbers each.
    """
    try:
        text = content.decode("ascii")
        points = _braces(text) - 1.0 if name.lower().endswith(".pts") else _lines(text)
    except ValueError as error:
        raise RejectedError(Reason.SIDECAR, f"{name}: not 68 lines of two numbers") from error
    if len(points) == 0 or len(points) % POINTS or not np.isfinite(points).all():
        raise RejectedError(Reason.SIDECAR, f"{name}: {len(points)} points, not 68 a face")
    return points.reshape(-1, POINTS, 2).astype(np.float32)


def _braces(text: str) -> NDArray[np.float64]:
    inside = re.search(r"\{([^}]*)\}", text)
    if inside is None:
        raise ValueError("no braces")
    return _lines(inside.group(1))


def _lines(text: str) -> NDArray[np.float64]:
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 2)
