"""Landmarks in pixels beside photographs: iBUG's `.pts`, plain text, NumPy; 68 points or five."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.files.numpy import read_npy_array
from ...recon.files.text import text_of
from ...recon.morphable.load import EMBEDDED, load_model
from ...recon.vision.crop import Box
from ...recon.vision.five_points import five_points
from ..surface.umeyama import similarity_between

Points = NDArray[np.float64]

SUFFIXES = (".pts", ".txt", ".npy")
_FOLDERS = ("", "detections", "landmarks")
"""Beside the photograph, or in these folders beside it, as published sets have them."""


def landmarks_beside(photograph: Path) -> Path | None:
    """The landmarks file that is called like a photograph, or None."""
    places = (photograph.parent / folder / photograph.stem for folder in _FOLDERS)
    files = (place.with_name(place.name + suffix) for place in places for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def read_image_landmarks(path: Path) -> Points:
    """The points (68, 2) in iBUG's order, or (5, 2): eyes, nose tip and mouth corners.

    Pixels, from left to right as seen, x right and y down. `.pts` counts from 1, as iBUG does.

    Raises:
        FacebenchError: the file holds something else.
    """
    try:
        points = read_npy_array(path, 2**20) if path.suffix == ".npy" else _numbers(path)
        points = np.asarray(points, np.float64).reshape(-1, 2)
    except (OSError, ValueError, FacebenchError) as error:
        raise _unreadable(path) from error
    if len(points) not in (5, 68) or not np.isfinite(points).all():
        raise _unreadable(path)
    return points - 1.0 if path.suffix == ".pts" else points


def box_of_landmarks(points: Points) -> Box:
    """The box that `recon.vision` means: that of all 68, which five tell by a mean face."""
    if len(points) == 5:
        points = _from_five(points)
    low, high = points.min(axis=0), points.max(axis=0)
    return Box(float(low[0]), float(low[1]), *(float(side) for side in high - low))


def _from_five(points: Points) -> Points:
    """The 68 of the frontal mean face, laid by its own five."""
    model = load_model(EMBEDDED)
    front = model.mean_shape[model.landmarks].astype(np.float64)[:, :2] * [1.0, -1.0]
    own = five_points(torch.from_numpy(front)[..., None])[0].numpy()
    laid = similarity_between(_in_space(own), _in_space(points)).apply(_in_space(front))
    return np.asarray(laid[:, :2], np.float64)


def _in_space(points: Points) -> Points:
    return np.pad(points, ((0, 0), (0, 1)))


def _numbers(path: Path) -> Points:
    text = text_of(path, 2**20)
    if "{" in text:
        text = text.partition("{")[2].partition("}")[0]
    return np.array(text.replace(",", " ").split(), np.float64)


def _unreadable(path: Path) -> FacebenchError:
    return FacebenchError(
        f"{path}: not the landmarks of a face", "expected 68 or 5 points x y in pixels"
    )
