"""Optional: jaw-line landmarks where the turned face ends, instead of on fixed vertices."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..face.camera import rotate, rotation_matrix
from ..face.coefficients import Coefficients
from ..morphable.decoder import FaceDecoder
from ..morphable.model import MorphableModel
from .landmark import CONTOUR

OUTSIDE = ("left_ear", "right_ear", "neck", "head")
"""Regions the contour never runs over."""

_STATIONS = 24
_INNERMOST = 0.4
_CHIN = range(7, 10)


class VisibleContour(nn.Module):
    """Moves each jaw-line point along its parallel to the vertex that is seen outermost.

    On a turned head a detector marks the far jaw line where the cheek ends against the background
    ("landmark marching", Zhu et al. 2015). Each point has a line of vertices at its own height,
    from its vertex towards the middle of the face; the one farthest out in the picture is taken.
    Which one is taken is a constant of the gradient. The chin's points stay.

    Args:
        model: the face model.
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
        points = _shape_at(self.lines.flatten(), coefficients, decoder)
        along = points.view(*self.lines.shape, 3, -1)
        with torch.no_grad():
            chosen = self._outermost(along, rotation_matrix(coefficients.pose[:, :3]))
        index = chosen[:, None, None].expand(-1, 1, 3, -1)
        return torch.cat([along.gather(1, index).squeeze(1), shape[CONTOUR:]])

    def _outermost(self, along: Tensor, rotation: Tensor) -> Tensor:
        """(17, B) place on its line of the vertex farthest out, the face upright in the picture."""
        turned = rotate(along.flatten(0, 1), rotation).view_as(along)
        up = rotation[:, :2, 1]
        right = torch.stack([up[:, 1], -up[:, 0]])
        reach = (turned[:, :, :2] * right).sum(2) * self.outward.to(turned).view(-1, 1, 1)
        return reach.argmax(1)


def _shape_at(vertices: Tensor, coefficients: Coefficients, decoder: FaceDecoder) -> Tensor:
    """(N, 3, B) mm of some vertices."""
    index = (3 * vertices[:, None] + torch.arange(3, device=vertices.device)).flatten()
    flat = decoder.mean_shape.index_select(0, index)
    flat = torch.addmm(flat, decoder.identity_basis.index_select(0, index), coefficients.identity.T)
    expression = decoder.expression_basis.index_select(0, index)
    flat = torch.addmm(flat, expression, coefficients.expression.T)
    return flat.view(len(vertices), 3, -1)


def contour_lines(model: MorphableModel) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Lines (17, N) of vertices that jaw-line points move along, and the side (17,) they end at.

    The first vertex of a line is the landmark's own. The side is 1 where outward is towards larger
    x, -1 on the other; a point of the chin, or one the model lacks, has only itself.
    """
    jaw = model.landmarks[:CONTOUR]
    middle = float(model.mean_shape[jaw[jaw >= 0], 0].mean()) if (jaw >= 0).any() else 0.0
    outside = [index for index, name in enumerate(model.region_names) if name in OUTSIDE]
    face = np.flatnonzero(~np.isin(model.region, outside))
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
    ahead = face[shape[face, 2] >= own[2] - 1.0]
    stations = np.linspace(own[0], middle + _INNERMOST * (own[0] - middle), _STATIONS)
    across = shape[ahead, 0][:, None] - stations
    distance = across**2 + (shape[ahead, 1][:, None] - own[1]) ** 2
    line: NDArray[np.int64] = ahead[distance.argmin(axis=0)].astype(np.int64)
    line[0] = start
    return line
