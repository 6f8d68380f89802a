"""The soft rasteriser on a GPU as a function of PyTorch, with its gradient, by Triton's kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .blend import EPSILON, Blend, SoftRasConfig, lowest_exponent, pixel_gradients
from .geometry import Grid, reach
from .rasterise import LEAST_DOUBLED_AREA
from .softras_kernels import add_fragments, add_gradients, find_nearest

TRIANGLES = 128
"""Triangles of one program, one for each thread."""
# Fused, `a * b + c` rounds once instead of twice, and differently in each kernel: the nearest
# fragment would no longer equal the largest ζ found before.
FUSION = False
"""Given to every launch as `enable_fp_fusion`."""


class FusedSoftRas(torch.autograd.Function):
    """Points and colours (B, 6, V) to image, silhouette and background weight.

    Sums run over fragments in no order, so two runs agree to float32's rounding, not bit for bit.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, corners: Tensor, grid: Grid, config: SoftRasConfig
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw (B, 3, H, W), (B, H, W) and (B, H, W) from corners (3, F)."""
        # The kernels step by rows and by 32-bit indices.
        launch = Launch(rows.contiguous(), corners.int().contiguous(), grid, config)
        # The background's ζ is the floor of every pixel's largest.
        nearest = rows.new_full((launch.n_pixels,), EPSILON)
        sums = rows.new_zeros(6, launch.n_pixels)
        launch.find_nearest(nearest)
        launch.add_fragments(nearest, sums)
        blended = Blend(nearest, sums, config)
        ctx.launch, ctx.blended = launch, blended
        shape = (len(rows), grid.height, grid.width)
        image = blended.image.view(3, *shape).transpose(0, 1).contiguous()
        weight = blended.background_weight / blended.total
        return image, (1.0 - blended.transparency).view(shape), weight.view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the points and colours."""
        launch: Launch = ctx.launch
        image, silhouette, weight = gradients
        flat = image.transpose(0, 1).reshape(3, -1)
        upstream = pixel_gradients(
            ctx.blended, flat, silhouette.reshape(-1), weight.reshape(-1), launch.config
        )
        on_rows = torch.zeros_like(launch.rows)
        launch.add_gradients(upstream.contiguous(), on_rows)
        return on_rows, None, None, None


@dataclass(frozen=True)
class Launch:
    """What every kernel is given of a batch.

    Attributes:
        rows: (B, 6, V) float32, x and y in pixels, depth and colours.
        corners: (3, F) int32 vertices of the triangles.
        grid: the images.
        config: settings.
    """

    rows: Tensor
    corners: Tensor
    grid: Grid
    config: SoftRasConfig

    @property
    def n_pixels(self) -> int:
        """Pixels of the whole batch."""
        return len(self.rows) * self.grid.n_pixels

    def find_nearest(self, nearest: Tensor) -> None:
        """Raise (B * H * W,) values to the largest ζ of each pixel."""
        find_nearest[self._programs()](
            self.rows, self.corners, nearest, *self._counts(), *self._geometry(), **self._options()
        )

    def add_fragments(self, nearest: Tensor, sums: Tensor) -> None:
        """Add up the fragments in (6, B * H * W); see `Blend`."""
        self._run(add_fragments, nearest, sums)

    def add_gradients(self, upstream: Tensor, gradient: Tensor) -> None:
        """Add up at the vertices, (B, 6, V), what follows from `pixel_gradients`."""
        self._run(add_gradients, upstream, gradient)

    def _run(self, kernel: Any, given: Tensor, added: Tensor) -> None:
        kernel[self._programs()](
            self.rows,
            self.corners,
            given,
            added,
            *self._counts(),
            self.n_pixels,
            *self._geometry(),
            self.config.gamma,
            lowest_exponent(self.rows.dtype),
            **self._options(),
        )

    def _programs(self) -> tuple[int, int]:
        # Rounded up; the second axis of programs is the image.
        return -(-self.corners.shape[1] // TRIANGLES), len(self.rows)

    def _counts(self) -> tuple[int, int]:
        return self.rows.shape[2], self.corners.shape[1]

    def _geometry(self) -> tuple[float, ...]:
        config, grid = self.config, self.grid
        return (
            grid.height,
            grid.width,
            reach(config.sigma, config.min_probability, grid),
            LEAST_DOUBLED_AREA * grid.pixels_per_unit**2,
            config.clipping.highest,
            config.logit_scale(grid),
            config.min_probability,
            config.far,
            config.depth_scale,
        )

    @staticmethod
    def _options() -> dict[str, Any]:
        return {"block": TRIANGLES, "num_warps": TRIANGLES // 32, "enable_fp_fusion": FUSION}
