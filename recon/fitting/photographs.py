"""What photographs show at the points of a surface: colours, gradients, and what is hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, pad

from ..losses.landmarks import FRAME
from ..morphable.model import MorphableModel
from ..render.geometry import Boxes, Grid, edge_functions
from .shading import ShadedPoints, turn
from .surface_points import cluster_vertices, collapse_triangles, component_rows

# Deviations after which the blur's kernel ends.
_REACH = 3.0

# Spacing of the head that hides: much less than a nose.
_COARSE_MM = 6.0

# Its picture; a pixel of it is about 2.5 mm wide.
_GRID = Grid(64, 64)

# A point is in sight when nothing is drawn so much nearer: more than a slope over such a pixel
# and what the coarse head cuts off, less than a nose before a cheek.
_DEPTH_MM = 8.0


@dataclass(frozen=True)
class Photographs:
    """Blurred pictures and their gradients.

    Attributes:
        colours: (B, 3, S, S) float32.
        gradients: (B, 6, S, S) float32: of red, green, blue to the right, then upwards, in a
            normalised unit.
    """

    colours: Tensor
    gradients: Tensor

    @classmethod
    def of(cls, images: Tensor, blur: float) -> Photographs:
        """From (B, 3, S, S) and the deviation of the blur in px of the 224 frame."""
        colours = blur_images(images, blur)
        # The border is repeated: beyond it the picture is constant, and so its gradient ends there.
        framed = pad(colours, (1, 1, 1, 1), mode="replicate")
        gradients = torch.empty_like(colours).repeat(1, 2, 1, 1)
        # Central differences: of the same order as the bilinear look-up, and without its jumps at
        # pixels.
        torch.sub(framed[:, :, 1:-1, 2:], framed[:, :, 1:-1, :-2], out=gradients[:, :3])
        # Row above minus row below: y points up.
        torch.sub(framed[:, :, :-2, 1:-1], framed[:, :, 2:, 1:-1], out=gradients[:, 3:])
        # Two pixels apart, and a normalised unit has S / 2 of them.
        return cls(colours, gradients.mul_(images.shape[-1] / 4))

    def colour_at(self, places: Tensor) -> Tensor:
        """Colours (3, N, B) at normalised places (≥2, N, B); the border's beyond it."""
        return look_up(self.colours, places)

    def gradient_at(self, places: Tensor) -> Tensor:
        """Derivative (3, 2, N, B) of the colours with respect to the place."""
        return look_up(self.gradients, places).view(2, 3, *places.shape[1:]).transpose(0, 1)

    def of_faces(self, chosen: Tensor) -> Photographs:
        """Those that a mask (B,) chooses."""
        return Photographs(self.colours[chosen], self.gradients[chosen])


def look_up(maps: Tensor, places: Tensor, mode: str = "bilinear") -> Tensor:
    """Values (C, N, B) of maps (B, C, S, S) at normalised places (≥2, N, B), y up."""
    # `grid_sample` counts rows downwards; its [-1, 1] with align_corners=False is ours.
    downwards = torch.stack([places[0], -places[1]], dim=2).transpose(0, 1)
    grid = downwards.to(maps.dtype).unsqueeze(1)
    found = grid_sample(maps, grid, mode=mode, padding_mode="border", align_corners=False)
    return found[:, :, 0].permute(1, 2, 0).to(places.dtype).contiguous()


def blur_images(images: Tensor, deviation: float) -> Tensor:
    """Gaussian blur of a deviation in px of the 224 frame, with the border's colour beyond it.

    A product with a matrix either side.
    """
    size = images.shape[-1]
    deviation = deviation * size / FRAME
    reach = max(int(_REACH * deviation + 0.5), 1)
    steps = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    # Not normalised yet: it is by its own sum below, so that a cut kernel keeps the brightness.
    kernel = torch.exp(-0.5 * (steps / deviation).square())
    pixels = torch.arange(size, device=images.device)
    sources = (pixels[:, None] + steps.long()).clamp(0, size - 1)
    blur = images.new_zeros(size, size)
    # Steps beyond the border fall on it and add up there.
    blur.scatter_add_(1, sources, (kernel / kernel.sum()).expand(size, -1).contiguous())
    # Separable; two products of matrices are faster here than convolutions with long kernels.
    return blur @ images @ blur.mT


class Visibility(nn.Module):
    """A coarse copy of a head that tells which of its points are hidden, for a batch at once.

    Args:
        model: the face model.
    """

    mean: Tensor
    basis: Tensor
    corners: Tensor

    def __init__(self, model: MorphableModel) -> None:
        super().__init__()
        chosen, owner = cluster_vertices(model.mean_shape, _COARSE_MM)
        corners = torch.from_numpy(collapse_triangles(model.triangles, owner).T.copy())
        bases = np.concatenate([model.identity_basis, model.expression_basis], axis=2)
        self.register_buffer(
            "mean", component_rows(model.mean_shape[chosen, :, None]), persistent=False
        )
        self.register_buffer("basis", component_rows(bases[chosen]), persistent=False)
        self.register_buffer("corners", corners, persistent=False)

    @torch.no_grad()
    def seen(self, points: ShadedPoints, shape: Tensor) -> Tensor:
        """Share (N, B) of the picture that each point stands for, 0 where hidden or outside.

        The points lie evenly on the surface, so one seen aslant stands for less.

        Args:
            points: of the faces.
            shape: (B, K) coefficients of the same faces, identity and expression.
        """
        placed, scale = points.placed, points.pose[:, 6]
        nearest = nearest_depth(self._place(points, shape), self.corners, _GRID)
        # Nearest, not bilinear: a mean over an outline's depths would lie between face and
        # background.
        ahead = look_up(nearest.unsqueeze(1), placed, mode="nearest")[0] - placed[2]
        inside = (placed[:2].abs() < 1.0).all(0)
        # By the cosine to the viewer: the points lie evenly on the surface, so one seen aslant
        # stands for less of the picture.
        return points.turned_normal[2].clamp_min(0.0) * (inside & (ahead < _DEPTH_MM * scale))

    def _place(self, points: ShadedPoints, shape: Tensor) -> Tensor:
        """Normalised places (3, V, B) of the coarse head."""
        flat = torch.addmm(self.mean, self.basis, shape.T)
        scaled = points.rotation * points.pose[:, 6].view(-1, 1, 1)
        return turn(flat.view(3, -1, len(shape)), scaled) + points.pose[:, 3:6].T.unsqueeze(1)


def nearest_depth(placed: Tensor, corners: Tensor, grid: Grid) -> Tensor:
    """Depth (B, H, W) of what is nearest to the viewer at each pixel; -inf where nothing is.

    Triangles count from either side.

    Args:
        placed: (3, V, B) normalised image coordinates.
        corners: (3, F) vertices of the triangles.
        grid: the pictures.
    """
    batch = placed.shape[2]
    x, y, depth = (rows[corners].flatten(1) for rows in placed)
    x, y = grid.columns(x), grid.ups(y)
    # Triangles of all faces in one list, face by face innermost; no pixel of one can meet
    # another's.
    boxes = Boxes.around(x, y, 0.0, grid)
    filled = boxes.filled().nonzero()[:, 0]
    owner, column, up = boxes.select(filled).pixels()
    triangle = filled.index_select(0, owner)
    parts = edge_functions(x.index_select(1, triangle), y.index_select(1, triangle), column, up)
    area = parts.sum(0)
    # From either side: `collapse_triangles` keeps no order of the corners.
    hit = ((parts * area.sign()).amin(0) >= 0) & (area != 0)
    there = (depth.index_select(1, triangle) * parts).sum(0) / area
    # Corners were flattened with the faces innermost, so the remainder is the face.
    pixel = triangle % batch * grid.n_pixels + grid.pixel(column, up)
    nothing = depth.new_full((batch * grid.n_pixels,), -torch.inf)
    nearest: Tensor = nothing.scatter_reduce(0, pixel[hit], there[hit], "amax")
    return nearest.view(batch, grid.height, grid.width)
