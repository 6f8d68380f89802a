"""The part of a photograph around one face, the training crop cut out of it, and its measures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..face.crop import Box, Window, crop_square, crop_window, landmark_box

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]

AROUND = 1.5
"""Side of the patch over that of the crop around a detector's rough box: landmarks may lie
elsewhere and the crop around them still be inside."""

FINER = 2
"""Patches hold up to so many pixels for one of the crop; more would not show."""

MEASURED_SIDE = 112
"""Sharpness and light are measured on the crop at this side in px, whatever the crop's own."""

WHITE = 250
"""Grey value from which a pixel counts as lost in light."""

_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)

SIDE, BITS_A_SIDE = 32, 8
HASH_BITS = BITS_A_SIDE**2

# Rows 1 to 8 of the discrete cosine transform (DCT-II) of 32 samples.
_WAVE, _PLACE = np.mgrid[1 : BITS_A_SIDE + 1, 0:SIDE]
_COSINES: NDArray[np.float64] = np.cos(np.pi * _WAVE * (2 * _PLACE + 1) / (2 * SIDE))


@dataclass(frozen=True, eq=False)
class Patch:
    """A face that is not labelled or judged yet, and the square of its photograph around it.

    Attributes:
        pixels: (P, P, 3) RGB, black outside the photograph.
        mask: (P, P) classes, background outside; None where the photograph has none.
        window: the square in px of the photograph.
        photograph: height and width of the photograph, px.
        box: in px of the photograph: of the landmarks if known, else as detected.
        face: its number in the photograph.
        landmarks: (68, 2) px of the photograph out of a file, or None.
    """

    pixels: Pixels
    mask: Pixels | None
    window: Window
    photograph: tuple[int, int]
    box: Box
    face: int = 0
    landmarks: Points | None = None

    @property
    def scale(self) -> float:
        """Pixels of the patch for one of the photograph."""
        return len(self.pixels) / self.window.side

    def points_inside(self, points: Points) -> Points:
        """Points (..., 2) of the photograph as points of the patch; integers are centres."""
        return _to_crop(self.window, points, len(self.pixels))

    def points_outside(self, points: Points) -> Points:
        """Points (..., 2) of the patch as points of the photograph; integers are centres."""
        return self.window.to_frame(points, len(self.pixels))

    def box_inside(self, box: Box) -> Box:
        """A box of the photograph as one of the patch."""
        k = self.scale
        left, top = (box.left - self.window.left) * k, (box.top - self.window.top) * k
        return Box(left, top, box.width * k, box.height * k)


@dataclass(frozen=True, eq=False)
class Framed:
    """A face as training sees it.

    Attributes:
        image: (S, S, 3) RGB.
        landmarks: (68, 2) float32 px of the image.
        mask: (S, S) classes, or None.
        shown: (S, S) bool, False where the photograph had ended.
        box: of the landmarks, in px of the photograph.
    """

    image: Pixels
    landmarks: Points
    mask: Pixels | None
    shown: NDArray[np.bool_]
    box: Box

    @property
    def face_px(self) -> float:
        """Longer side of the landmark box in px of the photograph."""
        return max(self.box.width, self.box.height)

    @cached_property
    def sharpness(self) -> float:
        """Of the landmark box, the crop at `MEASURED_SIDE` px; see the function."""
        return sharpness(self._measured)

    @property
    def grey(self) -> float:
        """Median grey value in the landmark box, 0 to 255."""
        return float(np.median(self._measured))

    @property
    def white(self) -> float:
        """Share of pixels in the landmark box that are nearly white."""
        return float((self._measured >= WHITE).mean())

    @cached_property
    def _measured(self) -> NDArray[np.float32]:
        """Grey values inside the landmark box, the crop at `MEASURED_SIDE` px."""
        grey = grey_values(self.image, MEASURED_SIDE)
        points = (self.landmarks + 0.5) * (len(grey) / len(self.image))
        # At least 3 px wide: of less the Laplacian has no inside.
        low = np.floor(points.min(axis=0)).astype(int).clip(0, len(grey) - 3)
        high = np.ceil(points.max(axis=0)).astype(int).clip(low + 3, len(grey))
        return grey[low[1] : high[1], low[0] : high[0]]


def cut_patch(
    frame: Pixels,
    mask: Pixels | None,
    box: Box,
    image_size: int,
    face: int = 0,
    landmarks: Points | None = None,
) -> Patch:
    """The patch around a face box.

    Its edges lie between pixels, so that a face of moderate size is copied and not resampled.

    Args:
        frame: (H, W, 3) RGB.
        mask: (H, W) classes, or None.
        box: of the landmarks, roughly, in px of the frame.
        image_size: side of the training crops in px.
        face, landmarks: see `Patch`.
    """
    rough = crop_window(box)
    side = max(1, math.ceil(AROUND * rough.side))
    # A larger square around the same middle.
    left = round(rough.left + rough.side / 2 - side / 2)
    top = round(rough.top + rough.side / 2 - side / 2)
    size = min(side, round(AROUND * FINER * image_size))
    # Pillow fills what lies beyond the photograph with black, and class 0.
    edges = (left, top, left + side, top + side)
    pixels = _resize(Image.fromarray(frame).crop(edges), size, Image.Resampling.BILINEAR)
    classes = None
    if mask is not None:
        classes = _resize(Image.fromarray(mask).crop(edges), size, Image.Resampling.NEAREST)
    size_of_frame = frame.shape[0], frame.shape[1]
    window = Window(left, top, side)
    return Patch(pixels, classes, window, size_of_frame, box, face, landmarks)


def frame_face(patch: Patch, landmarks: Points, size: int) -> Framed:
    """The training crop of a face: the framing of `recon.face.crop` around its landmarks.

    Args:
        patch: the face and what is around it.
        landmarks: (68, 2) px of the patch.
        size: side of the crop in px.
    """
    inside = landmark_box(landmarks)
    window = crop_window(inside)
    shown = _shown_pixels(patch, window, size)
    mask = None
    if patch.mask is not None:
        mask = np.where(shown, _cut_classes(patch.mask, window, size), 0).astype(np.uint8)
    return Framed(
        crop_square(patch.pixels, inside, size),
        _to_crop(window, landmarks, size),
        mask,
        shown,
        landmark_box(patch.points_outside(landmarks)),
    )


def _to_crop(window: Window, points: Points, size: int) -> Points:
    corner = np.array([window.left, window.top], dtype=np.float32)
    # Integers are pixel centres: half a pixel goes on before the scale, and off after it.
    inside: Points = (points + np.float32(0.5) - corner) * np.float32(size / window.side)
    return inside - np.float32(0.5)


def _resize(picture: Image.Image, size: int, resample: Image.Resampling) -> Pixels:
    if picture.width != size:
        picture = picture.resize((size, size), resample)
    return np.array(picture)


def _cut_classes(mask: Pixels, window: Window, size: int) -> Pixels:
    """Nearest class of each pixel of a window; 0 outside the mask."""
    # Of the crop's pixels, in pixels of the mask counted from its edge: the floor is the nearest.
    centres = (np.arange(size) + 0.5) * (window.side / size)
    rows = np.floor(centres + window.top).astype(int)
    columns = np.floor(centres + window.left).astype(int)
    height, width = mask.shape
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    nearest = mask[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
    return np.where(inside, nearest, 0).astype(np.uint8)


def _shown_pixels(patch: Patch, window: Window, size: int) -> NDArray[np.bool_]:
    """Which pixels of a window of the patch are inside the photograph."""
    line = np.arange(size, dtype=np.float32)
    # Along the diagonal: rows and columns do not depend on each other, so one line tells all.
    crop = np.stack([line, line], axis=1)
    points = patch.points_outside(window.to_frame(crop, size))
    height, width = patch.photograph
    columns = (points[:, 0] > -0.5) & (points[:, 0] < width - 0.5)
    rows = (points[:, 1] > -0.5) & (points[:, 1] < height - 0.5)
    seen: NDArray[np.bool_] = rows[:, None] & columns
    return seen


def sharpness(grey: NDArray[np.float32]) -> float:
    """Variance of the 4-neighbour Laplacian of grey values (H, W), 0 to 255; 0 for one colour.

    They are first scaled to a standard deviation of 50, so that a dim or flat light is not taken
    for blur (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy").
    """
    spread = float(grey.std())
    # One colour has only noise, which would be scaled to the contrast of a face.
    if min(grey.shape) < 3 or spread < 1.0:
        return 0.0
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    laplacian = (edges - 4.0 * grey[1:-1, 1:-1]) * (50.0 / spread)
    return float(laplacian.var())


def grey_values(image: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Luma (side, side) of an RGB image, 0 to 255 (Rec. 601), resampled with area weighting."""
    sized = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(sized, dtype=np.float32) @ _GREY


def perceptual_hash(image: NDArray[np.uint8]) -> int:
    """64 bits of an RGB image (S, S, 3): which of its low cosine frequencies exceed their median.

    The frequencies 1 to 8 along each axis of the 32 px grey image (Zauner 2010, "Implementation
    and benchmarking of perceptual image hash functions", DCT hash). Brightness and contrast do not
    change it.
    """
    waves = _COSINES @ grey_values(image, SIDE) @ _COSINES.T
    bits = (waves > np.median(waves)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
