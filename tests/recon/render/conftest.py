"""Meshes and renderers that the renderer tests share."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from facebench.recon.render import Renderer
from facebench.recon.render.blend import SoftRasConfig
from facebench.recon.render.outline import OutlineRenderer
from facebench.recon.render.softras import SoftRasRenderer

if not torch.cuda.is_available():
    # Triton reads it when it is imported: its kernels are then interpreted.
    os.environ["TRITON_INTERPRET"] = "1"

Colour = tuple[float, float, float]
Drawable = tuple[Tensor, Tensor, Tensor]
"""Vertices (V, 3, 1), colours (V, 3, 1), triangles (F, 3)."""


def disc(n: int = 48, radius: float = 0.6) -> Drawable:
    """A flat fan facing the viewer, with smooth colours, in float64."""
    angle = torch.arange(n, dtype=torch.float64) * (2 * torch.pi / n) + 0.1
    rim = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], 1) * radius
    vertices = torch.cat([torch.zeros(1, 3, dtype=torch.float64), rim])
    around = torch.arange(n)
    triangles = torch.stack([torch.zeros_like(around), around + 1, (around + 1) % n + 1], 1)
    return vertices.unsqueeze(2), 0.5 + 0.4 * vertices.roll(1, 1).unsqueeze(2), triangles


def blob(n: int = 12, seed: int = 0) -> Drawable:
    """A closed, bumpy sphere of random colours, in float64; some of it hides some of it."""
    generator = torch.Generator().manual_seed(seed)
    polar = torch.linspace(0.05, torch.pi - 0.05, n, dtype=torch.float64)
    azimuth = torch.arange(2 * n, dtype=torch.float64) * (torch.pi / n)
    p, a = torch.meshgrid(polar, azimuth, indexing="ij")
    vertices = torch.stack([p.sin() * a.sin(), p.cos(), p.sin() * a.cos()], -1).flatten(0, 1)
    # Bumps on every axis: equal depths and pixels exactly on a line are no generic scene.
    noise = torch.rand(len(vertices), 3, generator=generator, dtype=torch.float64)
    vertices = vertices * 0.6 + 0.1 * noise - 0.05
    index = torch.arange(len(vertices)).view(n, 2 * n)
    upper, lower = index[:-1], index[1:]
    upper_next, lower_next = upper.roll(-1, 1), lower.roll(-1, 1)
    quads = [(upper, lower, lower_next), (upper, lower_next, upper_next)]
    triangles = torch.cat([torch.stack(quad, -1).flatten(0, 1) for quad in quads])
    colours = torch.rand(len(vertices), 3, generator=generator, dtype=torch.float64)
    return vertices.unsqueeze(2), colours.unsqueeze(2), triangles


def _outline(sigma: float, background: Colour = (0.2, 0.3, 0.4)) -> Renderer:
    return OutlineRenderer(sigma=sigma, background=background)


def _softras(sigma: float, background: Colour = (0.2, 0.3, 0.4)) -> Renderer:
    config = SoftRasConfig(sigma, gamma=1e-2, near=2.0, far=-2.0, background=background)
    return SoftRasRenderer(config)


@pytest.fixture(params=[_outline, _softras], ids=["outline", "softras"])
def make(request: pytest.FixtureRequest) -> Callable[..., Renderer]:
    """A function of σ and the background that makes each of our renderers in turn."""
    maker: Callable[..., Renderer] = request.param
    return maker


@pytest.fixture(name="disc")
def disc_fixture() -> Drawable:
    return disc()


@pytest.fixture(name="blob")
def blob_fixture() -> Drawable:
    return blob()
