"""The soft rasteriser (Liu et al. 2019), exact: every fragment above a stated probability counts.

A triangle reaches a pixel with probability D = sigmoid(±d²/σ). Colours are blended by a softmax
over depth, w = D exp(ζ/γ) with ζ the depth scaled to [0, 1], beside a background weight; the
silhouette is 1 - Π(1 - D). The backward pass is analytic and looks again only at the fragments that
were kept. On a GPU the same function runs as three kernels for a whole batch. `PyTorch3DRenderer`
is the same by the optional pytorch3d library, with the nearest K fragments only.
"""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from importlib.util import find_spec
from shutil import which
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...errors import FacebenchError
from . import Rendering
from .blend import EPSILON, Blend, SoftRasConfig, blend, blend_gradient, pixel_gradients
from .geometry import Grid, reach
from .rasterise import Block, Scene, draw_each_image

MOST_FRAGMENTS = 150
"""What the library keeps at most for a pixel on a GPU."""


def has_compiler() -> bool:
    """Whether Triton finds what it compiles the small programs with that start its kernels."""
    # Triton itself brings its compiler; the launchers that it writes in C are compiled here.
    return any(which(name) for name in (os.environ.get("CC", ""), "gcc", "clang"))


class SoftRasRenderer:
    """Differentiable in vertices, their depth included, and in colours; draws both faces."""

    def __init__(self, config: SoftRasConfig | None = None) -> None:
        self.config = config or SoftRasConfig()

    def __call__(
        self, vertices: Tensor, colours: Tensor, triangles: Tensor, image_size: tuple[int, int]
    ) -> Rendering:
        """Render a batch; see `Renderer`.

        Raises:
            FacebenchError: on a GPU, no C compiler is there.
        """
        grid = Grid(*image_size)
        x, y, depth = vertices.permute(1, 2, 0)
        points = torch.stack([grid.columns(x), grid.ups(y), depth], dim=1)
        # One tensor of six rows, so that one gather and one scatter serve positions and colours.
        rows = torch.cat([points, colours.permute(2, 1, 0)], dim=1)
        # The kernels are written for float32; float64, which tests of gradients need, is drawn
        # plainly.
        function = _fused() if rows.is_cuda and rows.dtype == torch.float32 else None
        drawn: tuple[Tensor, Tensor, Tensor] = (function or _SoftRas).apply(
            rows, triangles.T.contiguous(), grid, self.config
        )
        return Rendering(*drawn)


def _fused() -> Any:
    """The same function in kernels, or None where Triton is not installed."""
    if find_spec("triton") is None:
        return None
    if not has_compiler():
        raise FacebenchError(
            "no C compiler for the kernels of the soft rasteriser on a GPU",
            "install gcc, or train with --set renderer.kind=outline",
        )

    from .softras_fused import FusedSoftRas

    return FusedSoftRas


class _SoftRas(torch.autograd.Function):
    """Points and colours (B, 6, V) to image, silhouette and background weight.

    Of an image only its triangles and the blended pixels are kept: a thread holds one image's
    fragments at a time in the forward pass and one block's in the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, vertices: Tensor, corners: Tensor, grid: Grid, config: SoftRasConfig
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.grid, ctx.config, ctx.n_vertices = grid, config, vertices.shape[2]
        # Beyond it D is below the least probability, whatever the triangle.
        radius = reach(config.sigma, config.min_probability, grid)

        def draw(image: Tensor) -> tuple[Scene, Blend]:
            scene = Scene(image, corners, grid, radius)
            blocks, nearest = scene.blocks, vertices.new_full((grid.n_pixels,), EPSILON)
            fragments = [block.meet(block.windows(), grid, config.clipping) for block in blocks]
            colours = [block.colours for block in blocks]
            return scene, blend(fragments, colours, nearest, grid, config)

        # Kept besides `save_for_backward`: these are no inputs or outputs, and nothing needs their
        # versions.
        ctx.drawn = draw_each_image(draw, vertices, vertices.device)
        blends = [blended for _, blended in ctx.drawn]
        shape = (len(vertices), grid.height, grid.width)
        image = torch.stack([one.image for one in blends])
        # The silhouette is a product over all fragments, the background weight a softmax: where a
        # face barely reaches a pixel the first is small and the second as well.
        silhouette = torch.stack([1.0 - one.transparency for one in blends])
        weight = torch.stack([one.background_weight / one.total for one in blends])
        return image.view(-1, 3, *shape[1:]), silhouette.view(shape), weight.view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grid, config, n_vertices = ctx.grid, ctx.config, ctx.n_vertices
        drawn: list[tuple[Scene, Blend]] = ctx.drawn

        def differentiate(i: int) -> Tensor:
            scene, blended = drawn[i]
            image, silhouette, weight = (gradient[i].flatten(-2) for gradient in gradients)
            upstream = pixel_gradients(blended, image, silhouette, weight, config)
            on_blocks = [_differentiate(block, upstream, grid, config) for block in scene.blocks]
            return scene.to_vertices(on_blocks, image.new_empty(6, n_vertices))

        on_vertices = draw_each_image(differentiate, range(len(drawn)), gradients[0].device)
        return torch.stack(on_vertices), None, None, None


def _differentiate(block: Block, upstream: Tensor, grid: Grid, config: SoftRasConfig) -> Tensor:
    """Gradients (18, N) of x, y, depth, red, green and blue at the triangles' corners."""
    # The geometry is worked out again: fragments kept from the forward pass would cost 18 MB an
    # image and reading them back takes nearly as long.
    windows = block.windows()
    met = block.meet(windows, grid, config.clipping)
    on_barycentric, on_distance, on_depth, on_colours = blend_gradient(
        met, upstream, block.depth, block.colours, grid, config
    )
    x, y = windows.distance_gradient(met.squared_distance, on_distance)
    bary_x, bary_y = windows.barycentric_gradient(met.barycentric, on_barycentric, config.clipping)
    return torch.cat([x + bary_x, y + bary_y, on_depth, on_colours])


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
        # pytorch3d is batch-major, so the arrays are turned once here.
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
            # Squared, as pytorch3d compares it with squared distances.
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
    # Empty places hold -1 in every array; `found` clears them.
    probability = (-distance / config.sigma).sigmoid() * found
    zeta = (1.0 - depth * config.depth_scale) * found
    # The same floors as in `blend`, so that both renderers agree to rounding.
    nearest = zeta.amax(-1, keepdim=True).clamp(min=EPSILON)
    weight = probability * ((zeta - nearest) / config.gamma).exp()
    background_weight = ((EPSILON - nearest[..., 0]) / config.gamma).exp().clamp(min=EPSILON)
    total = weight.sum(-1) + background_weight
    share = background_weight / total
    drawn = (weight.unsqueeze(-1) * colour).sum(-2) / total.unsqueeze(-1)
    image = drawn + share.unsqueeze(-1) * colour.new_tensor(config.background)
    silhouette = 1.0 - (1.0 - probability).prod(-1)
    return Rendering(image.permute(0, 3, 1, 2).contiguous(), silhouette, share)
