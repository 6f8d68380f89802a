"""Landmark terms: the Wing loss on 68 projected points, the jaw line of a turned face, and labels.

METHOD eq. 9; Wing loss: Feng et al. 2018. With a visible contour, jaw-line landmarks lie where the
turned face ends instead of on fixed vertices. Where the true coefficients of a face are known, its
landmarks and its shape are compared with theirs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..face.coefficients import Coefficients
from ..face.imaging import project, rotate, rotation_matrix
from ..morphable.model import MorphableModel
from ..render.face import FaceDecoder
from .prior import AllReduce, single_process

FRAME = 224.0
"""Side in pixels of the frame in which distances count, whatever the image's own size."""

CONTOUR = 17
"""The first 17 iBUG points follow the jaw line."""

OUTSIDE = ("left_ear", "right_ear", "neck", "head")
"""Regions the contour never runs over."""

# About 2 mm of cheek apart; nearer ones would name the same vertices twice.
_STATIONS = 24
# Short of the middle: the nose stands out farther than any cheek and would be taken.
_INNERMOST = 0.4
# At the chin the line runs sideways, along the contour itself: nothing to march along.
_CHIN = range(7, 10)


def wing(distance: Tensor, width: float = 10.0, epsilon: float = 2.0) -> Tensor:
    """w ln(1 + |Δ| / ε) below w, |Δ| - c from there on, elementwise; continuous at w."""
    size = distance.abs()
    # c makes both branches meet at w; the slope leaps there from w / (w + ε) to 1, as published.
    offset = width - width * math.log1p(width / epsilon)
    return torch.where(size < width, width * torch.log1p(size / epsilon), size - offset)


def contour_weights(yaw: Tensor, weight: float, start: float, end: float) -> Tensor:
    """Weight (68, B) of each landmark: jaw-line points count less on a turned head.

    Fixed jaw-line vertices are not the visible contour at large yaw, so their weight falls linearly
    from 1 at `start` to `weight` at `end`.

    Args:
        yaw: (B,) radians.
        weight: weight of the jaw line at and beyond `end`.
        start: |yaw| in radians up to which all points count fully.
        end: |yaw| in radians from which the jaw line has `weight`.
    """
    # By |yaw|: which side is hidden does not matter, the whole line is trusted less.
    turned = ((yaw.abs() - start) / (end - start)).clamp(0.0, 1.0)
    weights = torch.ones(68, yaw.shape[0], dtype=yaw.dtype, device=yaw.device)
    weights[:CONTOUR] = 1.0 - (1.0 - weight) * turned
    return weights


def landmark_loss(
    projected: Tensor,
    detected: Tensor,
    weights: Tensor,
    image_size: int,
    width: float = 10.0,
    epsilon: float = 2.0,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Weighted mean of the Wing loss over points and coordinates, in pixels of the 224 frame.

    Args:
        projected: (68, 2, B) px of the image.
        detected: (68, 2, B) px of the image.
        weights: (68, B); a point the model or the photograph lacks has weight 0.
        image_size: side of the square image in px.
        width: w of the Wing loss, px of the 224 frame.
        epsilon: ε of the Wing loss, px of the 224 frame.
        all_reduce: sums up the batch over all workers.
    """
    # First to the frame, then the Wing loss: w and ε are lengths in it.
    distance = (projected - detected) * (FRAME / image_size)
    each = wing(distance, width, epsilon).mean(1)
    # Not 0 / 0 in a batch in which nothing was detected: such a batch teaches nothing.
    return (each * weights).sum() / all_reduce(weights.sum()).clamp_min(1e-8)


class VisibleContour(nn.Module):
    """Moves each jaw-line point along its parallel to the vertex that is seen outermost.

    On a turned head a detector marks the far jaw line where the cheek ends against the background
    ("landmark marching", Zhu et al. 2015). Each point has a line of vertices at its own height,
    from its vertex towards the middle of the face; the one farthest out in the picture is taken.
    Which one is taken is a constant of the gradient. The chin's points stay.
    """

    lines: Tensor
    outward: Tensor

    def __init__(self, model: MorphableModel) -> None:
        super().__init__()
        lines, outward = contour_lines(model)
        self.register_buffer("lines", torch.from_numpy(lines), persistent=False)
        self.register_buffer("outward", torch.from_numpy(outward), persistent=False)

    def forward(self, shape: Tensor, coefficients: Coefficients, decoder: FaceDecoder) -> Tensor:
        """Landmarks (68, 3, B) in mm with the jaw line as it is seen.

        Args:
            shape: (68, 3, B) in mm on the fixed vertices.
            coefficients: of the faces.
            decoder: of the model.
        """
        # 17 x 24 vertices instead of the whole model, which may have 35,000.
        lines = self.lines.flatten()
        points = decoder.shape_at(lines, coefficients.identity, coefficients.expression)
        along = points.view(*self.lines.shape, 3, -1)
        with torch.no_grad():
            # A choice among vertices has no gradient; the chosen one's place has.
            chosen = self._outermost(along, rotation_matrix(coefficients.pose[:, :3]))
        index = chosen[:, None, None].expand(-1, 1, 3, -1)
        return torch.cat([along.gather(1, index).squeeze(1), shape[CONTOUR:]])

    def _outermost(self, along: Tensor, rotation: Tensor) -> Tensor:
        """(17, B) place on its line of the vertex farthest out, the face upright in the picture."""
        turned = rotate(along.flatten(0, 1), rotation).view_as(along)
        # The face's up as the picture shows it: a rolled head ends sideways of itself, not of the
        # picture.
        up = rotation[:, :2, 1]
        # Perpendicular to it, clockwise; the length does not matter to the largest.
        right = torch.stack([up[:, 1], -up[:, 0]])
        reach = (turned[:, :, :2] * right).sum(2) * self.outward.to(turned).view(-1, 1, 1)
        return reach.argmax(1)


def contour_lines(model: MorphableModel) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Lines (17, N) of vertices that jaw-line points move along, and the side (17,) they end at.

    The first vertex of a line is the landmark's own. The side is 1 where outward is towards larger
    x, -1 on the other; a point of the chin, or one the model lacks, has only itself.
    """
    # A landmark that the model lacks is -1.
    jaw = model.landmarks[:CONTOUR]
    middle = float(model.mean_shape[jaw[jaw >= 0], 0].mean()) if (jaw >= 0).any() else 0.0
    outside = [index for index, name in enumerate(model.region_names) if name in OUTSIDE]
    face = np.flatnonzero(~np.isin(model.region, outside))
    # At first every station is the landmark itself: so stay the chin and what the model lacks.
    lines = np.tile(np.maximum(jaw, 0)[:, None].astype(np.int64), (1, _STATIONS))
    outward = np.sign(model.mean_shape[np.maximum(jaw, 0), 0] - middle).astype(np.float32)
    for number in np.flatnonzero(jaw >= 0):
        if number not in _CHIN:
            lines[number] = _line(model.mean_shape, int(jaw[number]), middle, face)
    return lines, outward


def _line(
    shape: NDArray[np.float32], start: int, middle: float, face: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Vertices nearest to stations between a jaw vertex and the inner cheek, at its height.

    Nearest in the frontal picture; of layers one behind another there only the front one counts.
    """
    own = shape[start]
    # 1 mm of play, or the jaw's own neighbours would be cut off by its slope.
    ahead = face[shape[face, 2] >= own[2] - 1.0]
    stations = np.linspace(own[0], middle + _INNERMOST * (own[0] - middle), _STATIONS)
    across = shape[ahead, 0][:, None] - stations
    distance = across**2 + (shape[ahead, 1][:, None] - own[1]) ** 2
    line: NDArray[np.int64] = ahead[distance.argmin(axis=0)].astype(np.int64)
    # Nearest may be a neighbour; the first must be the landmark, which a frontal face shows.
    line[0] = start
    return line


class ShapeDistance(nn.Module):
    """Mean squared distance of the vertices of two faces of a model, mm².

    Coefficients then count by what they move. With the bases A the distance is a quadratic form,
    dᵀ AᵀA d / V in the difference d of the coefficients, so that no vertex need be computed.
    """

    form: Tensor

    def __init__(self, decoder: FaceDecoder) -> None:
        super().__init__()
        # In double: AᵀA squares the spread between strong modes and weak ones.
        basis = torch.cat([decoder.identity_basis, decoder.expression_basis], dim=1).double()
        form = basis.T @ basis / (len(basis) // 3)
        self.register_buffer("form", form.float(), persistent=False)

    def forward(self, found: Coefficients, true: Coefficients) -> Tensor:
        """(B,) of two batches."""
        parts = [found.identity - true.identity, found.expression - true.expression]
        apart = torch.cat(parts, dim=1)
        # K² products a face instead of 3 V K.
        distance: Tensor = ((apart @ self.form) * apart).sum(1)
        return distance


def landmark_distance(found: Coefficients, true: Coefficients, decoder: FaceDecoder) -> Tensor:
    """Mean squared distance (B,) by which the found pose misplaces the true landmarks, px² of 224.

    The pose's angles, shifts and scale are then all in one unit.
    """
    # The true shape under both poses: a wrong shape is not the pose's fault.
    shape = decoder.landmark_shape(true.identity, true.expression)
    off = _place(shape, found.pose) - _place(shape, true.pose)
    # One that the model lacks takes no part, in the sum or in the number.
    known = (decoder.landmarks >= 0).to(off)
    squares: Tensor = (off.square().sum(1) * known[:, None]).sum(0) / known.sum()
    # From normalised units, where the side is 2.
    return squares * (FRAME / 2.0) ** 2


def batch_mean(each: Tensor, all_reduce: AllReduce = single_process) -> Tensor:
    """Mean of (B,) or (B, ...) over the photographs of all workers, summed over the rest."""
    return each.sum() / all_reduce(each.new_tensor(float(len(each))))


def _place(shape: Tensor, pose: Tensor) -> Tensor:
    return project(rotate(shape, rotation_matrix(pose[:, :3])), pose)[:, :2]
