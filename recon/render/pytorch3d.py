"""The soft rasteriser over the optional pytorch3d library: the nearest K fragments only."""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

from ...errors import FacebenchError
from . import Rendering
from .blend import EPSILON, SoftRasConfig
from .grid import Grid, reach

MOST_FRAGMENTS = 150
"""What the library keeps at most for a pixel on a GPU."""


class PyTorch3DRenderer:
    """SoftRas as pytorch3d draws it; see `softras` for the same without a limit.

    The library clips barycentric coordinates at 0 only, so `config.clipping` must be `ZERO` for
    the same image; fragments are found within the same distance.

    Args:
        config: settings of the soft rasteriser.
        fragments: how many of the nearest fragments to keep for a pixel.

    Raises:
        FacebenchError: pytorch3d is not installed.
    """

    def __init__(
        self, config: SoftRasConfig | None = None, fragments: int = MOST_FRAGMENTS
    ) -> None:
        self.config = config or SoftRasConfig()
        self.fragments = fragments
        self._rasterizer = _library("pytorch3d.renderer.mesh.rasterize_meshes")
        self._structures = _library("pytorch3d.structures")
        self._ops = _library("pytorch3d.ops")

    def __call__(
        self, vertices: Tensor, colours: Tensor, triangles: Tensor, image_size: tuple[int, int]
    ) -> Rendering:
        """Render a batch; see `Renderer`. Warns when a pixel has more fragments than are kept."""
        batch = vertices.shape[2]
        x, y, z = vertices.permute(1, 2, 0)
        # The library looks along +z with +x to the left, and drops what has z < 0.
        points = torch.stack([-x, y, self.config.near - z], dim=2)
        meshes = self._structures.Meshes(verts=points, faces=triangles.expand(batch, -1, -1))
        grid = Grid(*image_size)
        radius = reach(self.config.sigma, self.config.min_probability, grid) / grid.pixels_per_unit
        face, depth, barycentric, distance = self._rasterizer.rasterize_meshes(
            meshes,
            image_size=image_size,
            blur_radius=radius * radius,
            faces_per_pixel=self.fragments,
            perspective_correct=False,
            clip_barycentric_coords=True,
            cull_backfaces=False,
        )
        _warn_when_full(face)
        corner = colours.permute(2, 0, 1)[:, triangles].flatten(0, 1)
        colour = self._ops.interpolate_face_attributes(face, barycentric, corner)
        return _blend(colour, depth, distance, face >= 0, self.config)


def _library(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise FacebenchError(
            "renderer 'pytorch3d' needs the pytorch3d library, which is not installed",
            "build it from github.com/facebookresearch/pytorch3d, or use 'softras'",
        ) from error


def _warn_when_full(face: Tensor) -> None:
    full = int((face[..., -1] >= 0).sum())
    if full:
        warnings.warn(
            f"pytorch3d kept {face.shape[-1]} fragments a pixel and {full} pixels are full: "
            "fragments were cut and gradients are wrong there; use 'softras' or a smaller sigma",
            stacklevel=3,
        )


def _blend(
    colour: Tensor, depth: Tensor, distance: Tensor, found: Tensor, config: SoftRasConfig
) -> Rendering:
    """Blend (B, H, W, K) fragments; depth grows from `near`, distance is negative inside."""
    probability = (-distance / config.sigma).sigmoid() * found
    zeta = (1.0 - depth * config.depth_scale) * found
    nearest = zeta.amax(-1, keepdim=True).clamp(min=EPSILON)
    weight = probability * ((zeta - nearest) / config.gamma).exp()
    background_weight = ((EPSILON - nearest[..., 0]) / config.gamma).exp().clamp(min=EPSILON)
    total = weight.sum(-1) + background_weight
    share = background_weight / total
    drawn = (weight.unsqueeze(-1) * colour).sum(-2) / total.unsqueeze(-1)
    image = drawn + share.unsqueeze(-1) * colour.new_tensor(config.background)
    silhouette = 1.0 - (1.0 - probability).prod(-1)
    return Rendering(image.permute(0, 3, 1, 2).contiguous(), silhouette, share)
