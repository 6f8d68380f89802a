"""Faces in photographs by MTCNN: a pyramid of windows, thinned and moved by three networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from ...errors import FacebenchError
from ..face.crop import Box
from ..network.fetched import Mtcnn
from ..weights.cache import load_if_packaged
from .detect import Pixels, prominence, shrink

SEARCH_SIDE = 1024
"""Photographs are searched with their longer side shrunk to this many pixels."""

SMALLEST_FACE = 20
"""Side in px of the smallest window looked at, in the picture that is searched."""

_WINDOW, _STRIDE = 12, 2
_PYRAMID = 0.709
"""Each level of the pyramid over the one before: half the area, as published."""

_LEAST_PROPOSED, _LEAST_REFINED, _LEAST_PLACED = 0.6, 0.7, 0.7
"""Probabilities below which a window is dropped, as published."""

LEAST_SURE = 0.95
"""Probability below which a face is not believed: the least of 86 photographed faces was 0.989, of
a hand and of letters 0.92 and 0.89."""

LEAST_INSIDE = 0.7
"""Share of a window that must lie in the photograph; less shows no face that could be measured."""

LANDMARKS_PER_WINDOW, LANDMARKS_BELOW_CENTRE = 0.776, 0.146
"""Longer side of the landmark box, and how far its centre is below that of the window, over the
window's height: on photographs 0.776 ± 0.043 and 0.146 ± 0.024, sideways 0.010 ± 0.021; on rendered
embedded faces 0.718 ± 0.035 and 0.131 ± 0.019."""

FOLLOW_SIZES = (0.9, 1.0, 1.1)
"""Windows from which a face is followed, over the one that it was found in."""

_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Proposals:
    """Windows that may show faces.

    Attributes:
        sides: (N, 4) left, top, right, bottom in px of the picture.
        scores: (N,) probabilities.
        points: (N, 5, 2) px: eyes, nose tip, mouth corners; or of no rows before the last stage.
    """

    sides: Tensor
    scores: Tensor
    points: Tensor

    def __getitem__(self, index: Tensor) -> Proposals:
        points = self.points[index] if len(self.points) else self.points
        return Proposals(self.sides[index], self.scores[index], points)


class MtcnnDetector:
    """MTCNN as a detector of all faces.

    Args:
        networks: with their weights, in evaluation mode.
        device: where they compute.
    """

    def __init__(self, networks: Mtcnn, device: torch.device | str = "cpu") -> None:
        self._networks, self._device = networks.to(device), device

    def detect(self, frame: Pixels) -> Box | None:
        """Box of the landmarks of the largest, most central face, or None without one."""
        return next(iter(self.detect_all(frame)), None)

    def detect_all(self, frame: Pixels) -> list[Box]:
        """Boxes of the landmarks of every face, the one first that `detect` gives, then the larger
        before the smaller."""
        small, scale = shrink(frame, SEARCH_SIDE)
        found = self._probable(self.windows(small), small)
        boxes = [_landmark_box(sides) for sides in found.sides.cpu().numpy().astype(float)]
        boxes.sort(key=lambda box: box.width, reverse=True)
        first = max(boxes, key=lambda box: prominence(box, small.shape), default=None)
        ordered = [box for box in boxes if box is first] + [b for b in boxes if b is not first]
        return [box.times(scale) for box in ordered]

    @torch.inference_mode()
    def follow(self, frame: Pixels, last: Box) -> Box | None:
        """Box of the landmarks of the face that was at `last` in the frame before, or None.

        The last two networks alone, started from windows around it.
        """
        side = max(last.width, last.height) / LANDMARKS_PER_WINDOW
        x, y = last.centre[0], last.centre[1] - side * LANDMARKS_BELOW_CENTRE
        # The part that these windows can reach; its conversion costs less than the whole frame's.
        left, top = max(0, int(x - side)), max(0, int(y - side))
        part = frame[top : max(top, int(y + side)), left : max(left, int(x + side))]
        if min(part.shape[:2]) < 2:
            return None
        halves = side / 2 * torch.tensor(FOLLOW_SIZES, device=self._device)[:, None]
        centre = torch.tensor([x - left, y - top], dtype=torch.float32, device=self._device)
        starts = torch.cat([centre - halves, centre + halves], 1)
        pixels = torch.tensor(part, device=self._device).permute(2, 0, 1)[None].float()
        found = Proposals(starts, starts.new_ones(len(starts)), starts.new_zeros(0, 5, 2))
        found = self._place(pixels, self._refine(pixels, found))
        found = self._probable(found, part)
        if not len(found.sides):
            return None
        box = _landmark_box(found.sides[0].cpu().numpy().astype(float))
        return Box(box.left + left, box.top + top, box.width, box.height)

    @staticmethod
    def _probable(found: Proposals, picture: Pixels) -> Proposals:
        inside = _share_inside(found.sides, picture) >= LEAST_INSIDE
        return found[(found.scores >= LEAST_SURE) & inside]

    @torch.inference_mode()
    def windows(self, picture: Pixels) -> Proposals:
        """Windows of faces with their five points in an (H, W, 3) picture of RGB."""
        pixels = torch.tensor(picture, device=self._device).permute(2, 0, 1)[None].float()
        found = self._refine(pixels, self._propose(pixels))
        return self._place(pixels, found)

    def _propose(self, pixels: Tensor) -> Proposals:
        levels = [self._level(pixels, scale) for scale in _scales(pixels.shape)]
        if not levels:
            return Proposals(pixels.new_zeros(0, 4), pixels.new_zeros(0), pixels.new_zeros(0, 5, 2))
        sides, shifts, scores = (torch.cat(part) for part in zip(*levels, strict=True))
        kept = suppress(sides, scores, 0.7)
        sides, shifts, scores = sides[kept], shifts[kept], scores[kept]
        width, height = sides[:, 2] - sides[:, 0], sides[:, 3] - sides[:, 1]
        moved = sides + shifts * torch.stack([width, height, width, height], 1)
        return Proposals(_square(moved), scores, sides.new_zeros(0, 5, 2))

    def _level(self, pixels: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """Windows of one level, px of the picture, their shifts and probabilities."""
        height, width = pixels.shape[2:]
        size = (int(height * scale + 1), int(width * scale + 1))
        shares, shifts = self._networks.proposal(_centre(_resample(pixels, size)))
        row, column = (shares[0] >= _LEAST_PROPOSED).nonzero(as_tuple=True)
        corner = torch.stack([column, row], 1).to(shares) * _STRIDE + 1.0
        # Whole pixels, as the weights were trained with.
        sides = torch.cat([corner / scale, (corner + _WINDOW - 1.0) / scale], 1).floor()
        scores, moves = shares[0, row, column], shifts[0, :, row, column].T
        kept = suppress(sides, scores, 0.5)
        return sides[kept], moves[kept], scores[kept]

    def _refine(self, pixels: Tensor, found: Proposals) -> Proposals:
        crops, there = _cut(pixels, found.sides, 24)
        if not len(crops):
            return found[there]
        scores, shifts = _in_batches(self._networks.refinement, crops)
        good = scores > _LEAST_REFINED
        sides, scores, shifts = found.sides[there][good], scores[good], shifts[good]
        kept = suppress(sides, scores, 0.7)
        moved = _square(_shift_windows(sides[kept], shifts[kept]))
        return Proposals(moved, scores[kept], found.points)

    def _place(self, pixels: Tensor, found: Proposals) -> Proposals:
        crops, there = _cut(pixels, found.sides, 48)
        if not len(crops):
            return found[there]
        scores, shifts, shares = _in_batches(self._networks.output, crops)
        good = scores > _LEAST_PLACED
        sides, scores, shifts = found.sides[there][good], scores[good], shifts[good]
        size = (sides[:, 2:] - sides[:, :2] + 1.0)[:, :, None]
        points = (size * shares[good] + sides[:, :2, None] - 1.0).transpose(1, 2)
        moved = _shift_windows(sides, shifts)
        # Over the smaller one: a window inside another is the same face.
        kept = suppress(moved, scores, 0.7, over_smaller=True)
        return Proposals(moved[kept], scores[kept], points[kept])


def packaged_detector(choice: str, device: str = "cpu") -> MtcnnDetector:
    """MTCNN by its name or file.

    Raises:
        FacebenchError: its weights are not there, cannot be used, or are no detector's.
    """
    networks = load_if_packaged(choice, Mtcnn)
    if networks is None:
        hint = "give 'embedded', or what 'facebench weights' lists"
        raise FacebenchError(f"{choice} is no detector", hint)
    return MtcnnDetector(networks, device)


def suppress(
    sides: Tensor, scores: Tensor, most: float, over_smaller: bool = False
) -> NDArray[np.int64]:
    """Windows that no surer one covers (non-maximum suppression): their indices, surest first.

    Args:
        sides: (N, 4) left, top, right, bottom.
        scores: (N,).
        most: share of two windows' union that their overlap may have.
        over_smaller: take the share of the smaller one, whose sides are counted in whole pixels.
    """
    left, top, right, bottom = sides.double().cpu().numpy().T
    pixel = 1.0 if over_smaller else 0.0
    areas = (right - left + pixel) * (bottom - top + pixel)
    waiting = np.argsort(-scores.double().cpu().numpy(), kind="stable")
    kept = []
    while len(waiting):
        first, waiting = waiting[0], waiting[1:]
        kept.append(first)
        width = np.minimum(right[first], right[waiting]) - np.maximum(left[first], left[waiting])
        height = np.minimum(bottom[first], bottom[waiting]) - np.maximum(top[first], top[waiting])
        both = np.maximum(width + pixel, 0.0) * np.maximum(height + pixel, 0.0)
        smaller = np.minimum(areas[first], areas[waiting])
        whole = smaller if over_smaller else areas[first] + areas[waiting] - both
        waiting = waiting[both <= most * whole]
    return np.array(kept, np.int64)


def _scales(shape: torch.Size) -> Iterator[float]:
    """Sizes of the pyramid's levels over that of the picture."""
    scale = _WINDOW / SMALLEST_FACE
    shorter = min(shape[2:]) * scale
    while shorter >= _WINDOW:
        yield scale
        scale, shorter = scale * _PYRAMID, shorter * _PYRAMID


def _cut(pixels: Tensor, sides: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Crops (M, 3, size, size) of the windows that lie in the picture, and their indices (M,)."""
    height, width = pixels.shape[2:]
    crops, there = [], []
    for number, (left, top, right, bottom) in enumerate(sides.trunc().int().tolist()):
        # Cut at the border and stretched, not filled with black: so the weights were trained.
        left, top = max(left, 1) - 1, max(top, 1) - 1
        right, bottom = min(right, width), min(bottom, height)
        if right > left and bottom > top:
            crops.append(_resample(pixels[:, :, top:bottom, left:right], (size, size)))
            there.append(number)
    index = torch.tensor(there, dtype=torch.long, device=pixels.device)
    return _centre(torch.cat(crops)) if crops else pixels.new_zeros(0), index


def _in_batches(network: torch.nn.Module, crops: Tensor) -> tuple[Tensor, ...]:
    parts = [network(part) for part in torch.split(crops, _AT_ONCE)]
    return tuple(torch.cat(one) for one in zip(*parts, strict=True))


def _shift_windows(sides: Tensor, shifts: Tensor) -> Tensor:
    """Windows (N, 4) moved by shares of their sides, counted in whole pixels."""
    size = sides[:, 2:] - sides[:, :2] + 1.0
    return sides + shifts * size.repeat(1, 2)


def _square(sides: Tensor) -> Tensor:
    """The squares about the same centres with the longer side."""
    size = sides[:, 2:] - sides[:, :2]
    longest = size.max(1, keepdim=True).values
    corner = sides[:, :2] + size * 0.5 - longest * 0.5
    return torch.cat([corner, corner + longest], 1)


def _centre(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) / 128.0


def _resample(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(pixels, size=size, mode="area")


def _share_inside(sides: Tensor, picture: Pixels) -> Tensor:
    """(N,) share of each window's area that the picture has."""
    height, width = picture.shape[:2]
    edge = sides.new_tensor([width, height])
    low, high = sides[:, :2], sides[:, 2:]
    shown = torch.minimum(high, edge) - low.clamp_min(0.0)
    return (shown.clamp_min(0.0) / (high - low).clamp_min(1.0)).prod(1)


def _landmark_box(window: NDArray[np.float64]) -> Box:
    left, top, right, bottom = map(float, window)
    side = (bottom - top) * LANDMARKS_PER_WINDOW
    x, y = (left + right) / 2, (top + bottom) / 2 + (bottom - top) * LANDMARKS_BELOW_CENTRE
    return Box(x - side / 2, y - side / 2, side, side)
