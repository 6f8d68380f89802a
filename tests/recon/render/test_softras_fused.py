"""The kernels for GPUs, run by Triton's interpreter where there is no GPU."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from facebench.recon.render.blend import SoftRasConfig
from facebench.recon.render.geometry import Clipping, Grid
from facebench.recon.render.softras import SoftRasRenderer, _SoftRas

pytest.importorskip("triton")

Drawable = tuple[Tensor, Tensor, Tensor]
Function = Callable[..., tuple[Tensor, Tensor, Tensor]]

CONFIGS = [
    SoftRasConfig(3e-3, gamma=1e-2, near=2.0, far=-2.0, background=(0.2, 0.3, 0.4)),
    SoftRasConfig(1e-3, gamma=1e-1, near=2.0, far=-2.0, clipping=Clipping.UNIT),
    SoftRasConfig(3e-4),
]


@pytest.fixture
def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def fused() -> Function:
    function = importlib.import_module("facebench.recon.render.softras_fused").FusedSoftRas
    apply: Function = function.apply
    return apply


@pytest.mark.parametrize(
    ("config", "size"), zip(CONFIGS, [(14, 14), (12, 20), (12, 12)], strict=True)
)
def test_image_and_gradients_are_those_of_the_plain_renderer(
    fused: Function,
    device: torch.device,
    blob: Drawable,
    config: SoftRasConfig,
    size: tuple[int, int],
) -> None:
    vertices, colours, triangles = (part.to(device) for part in blob)
    grid = Grid(*size)
    points = torch.stack([grid.columns(vertices[:, 0]), grid.ups(vertices[:, 1]), vertices[:, 2]])
    row = torch.cat([points, colours.transpose(0, 1)]).permute(2, 0, 1).float()
    # The second is seen from behind, larger than the image and partly outside of it.
    other = row * torch.tensor([-1.7, 1.7, 1, 1, 1, 1], device=device).view(6, 1)
    other[:, 0] += size[1]
    rows = torch.cat([row, other])
    corners = triangles[::5].T.contiguous()
    expected, on_expected = _drawn(_SoftRas.apply, rows.double(), corners, grid, config)
    actual, on_actual = _drawn(fused, rows, corners, grid, config)
    for one, two in zip(actual, expected, strict=True):
        assert torch.allclose(one.double(), two, rtol=0, atol=1e-4)
    assert on_expected.norm() > 1.0
    for axis in range(6):
        difference = (on_actual[:, axis].double() - on_expected[:, axis]).norm()
        assert difference < 1e-3 * on_expected[:, axis].norm() + 1e-6


def _drawn(
    apply: Function, rows: Tensor, corners: Tensor, grid: Grid, config: SoftRasConfig
) -> tuple[tuple[Tensor, ...], Tensor]:
    """What is drawn, and the gradient of a scalar that every output enters differently."""
    leaf = rows.clone().requires_grad_()
    drawn = apply(leaf, corners, grid, config)
    generator = torch.Generator().manual_seed(5)
    weights = [torch.randn(part.shape, generator=generator).to(part) for part in drawn]
    sum((part * w).sum() for part, w in zip(drawn, weights, strict=True)).backward()
    assert leaf.grad is not None
    return tuple(part.detach() for part in drawn), leaf.grad


def test_nothing_in_view_is_background(fused: Function, device: torch.device) -> None:
    rows = torch.full((1, 6, 3), -50.0, device=device)
    rows[0, 0, 1] += 3.0
    rows[0, 1, 2] += 3.0
    corners = torch.tensor([[0], [1], [2]], device=device)
    config = SoftRasConfig(background=(0.2, 0.3, 0.4))
    image, silhouette, background = fused(rows, corners, Grid(8, 8), config)
    assert torch.allclose(image[0, :, 3, 3].cpu(), torch.tensor([0.2, 0.3, 0.4]))
    assert silhouette.eq(0).all() and torch.allclose(background, torch.ones_like(background))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_renderer_takes_the_kernels_on_a_gpu(blob: Drawable) -> None:
    vertices, colours, triangles = (part.cuda() for part in blob)
    single = [part.float().requires_grad_() for part in (vertices, colours)]
    drawn = SoftRasRenderer(CONFIGS[0])(*single, triangles, (24, 24))
    assert "FusedSoftRas" in type(drawn.image.grad_fn).__name__
