"""The soft outline: where it stands, how it moves, and what lies beside it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from facebench.recon.render.outline import Edges, OutlineRenderer

SIZE = (96, 96)
PIXEL_AREA = (2 / 96) ** 2


def _disc(radius: Tensor, n: int = 400, depth: float = 0.0) -> tuple[Tensor, Tensor]:
    angle = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n) + 0.01
    rim = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], 1)
    fan = torch.cat([torch.zeros(1, 3, dtype=torch.float64), rim]) * radius
    around = torch.arange(n)
    triangles = torch.stack([torch.zeros_like(around), around + 1, (around + 1) % n + 1], 1)
    return (fan + torch.tensor([0.03, -0.02, depth])).unsqueeze(2), triangles


def _rectangle(scale: Tensor) -> tuple[Tensor, Tensor]:
    corners = torch.tensor([[-0.5, -0.3], [0.5, -0.3], [0.5, 0.3], [-0.5, 0.3]]).double() * scale
    turn = torch.tensor([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]]).double()
    flat = corners @ turn.T
    vertices = torch.cat([flat, torch.zeros(4, 1, dtype=torch.float64)], 1).unsqueeze(2)
    return vertices, torch.tensor([[0, 1, 2], [0, 2, 3]])


def _draw(vertices: Tensor, triangles: Tensor, sigma: float = 3e-4) -> Tensor:
    renderer = OutlineRenderer(sigma=sigma)
    return renderer(vertices, torch.ones_like(vertices), triangles, SIZE).silhouette[0]


@pytest.mark.parametrize("sigma", [3e-5, 1e-4, 3e-4])
def test_area_and_its_derivative_are_exact_for_a_disc(sigma: float) -> None:
    radius = torch.tensor(0.61, dtype=torch.float64, requires_grad=True)
    area = _draw(*_disc(radius), sigma).sum() * PIXEL_AREA
    (slope,) = torch.autograd.grad(area, radius)
    polygon = 400 / 2 * math.sin(2 * math.pi / 400)
    assert math.isclose(slope.item(), 2 * polygon * 0.61, rel_tol=0.02)
    # No widening: the outline stands within 0.02 pixels of where it should.
    excess = (area.item() - polygon * 0.61**2) / (2 * math.pi * 0.61) * 48
    assert abs(excess) < 0.02


def test_area_and_its_derivative_are_exact_for_a_rectangle() -> None:
    scale = torch.tensor(1.1, dtype=torch.float64, requires_grad=True)
    area = _draw(*_rectangle(scale)).sum() * PIXEL_AREA
    (slope,) = torch.autograd.grad(area, scale)
    assert math.isclose(slope.item(), 2 * 0.6 * 1.1, rel_tol=0.02)
    assert math.isclose(area.item(), 0.6 * 1.1**2, rel_tol=0.005)


def test_coverage_is_one_half_on_the_edge() -> None:
    left = torch.tensor([[-0.8, -0.8], [0.0, -0.8], [0.0, 0.8], [-0.8, 0.8]]).double()
    vertices = torch.cat([left, torch.zeros(4, 1)], 1).unsqueeze(2)
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])
    renderer = OutlineRenderer(sigma=1e-3)
    # An odd width has a column of pixels at x = 0, where the edge runs.
    drawn = renderer(vertices, torch.ones_like(vertices), triangles, (97, 97)).silhouette[0]
    assert torch.allclose(drawn[40:57, 48], torch.full((17,), 0.5).double(), atol=1e-6)


def test_an_inner_contour_does_not_show_in_the_silhouette() -> None:
    large, triangles = _disc(torch.tensor(0.7, dtype=torch.float64))
    small, _ = _disc(torch.tensor(0.3, dtype=torch.float64), depth=0.5)
    both = torch.cat([large, small])
    joined = torch.cat([triangles, triangles + len(large)])
    assert torch.equal(_draw(both, joined), _draw(large, triangles))


def test_a_surface_turned_away_is_not_drawn() -> None:
    vertices, triangles = _disc(torch.tensor(0.6, dtype=torch.float64))
    assert not _draw(vertices, triangles.flip(1)).any()


def test_pixels_outside_take_the_colour_of_the_nearest_edge() -> None:
    vertices, triangles = _rectangle(torch.tensor(1.0, dtype=torch.float64))
    colours = vertices * 0.5 + 0.5
    background = (0.1, 0.2, 0.3)
    renderer = OutlineRenderer(sigma=1e-3, background=background)
    drawn = renderer(vertices, colours, triangles, SIZE)
    share = drawn.silhouette[0]
    behind = torch.tensor(background, dtype=torch.float64).view(3, 1, 1)
    face = (drawn.image[0] - (1 - share) * behind) / share.clamp(min=1e-9)
    column = (2 * torch.arange(96, dtype=torch.float64) - 95) / 96
    # Colours are positions, so a colour is that of a point one pixel away at most a few pixels.
    seen = share > 1e-3
    away = torch.hypot(face[0] * 2 - 1 - column, face[1] * 2 - 1 + column.view(-1, 1))[
        seen & (share < 0.5)
    ]
    assert len(away) > 50 and (away < 4 * 2 / 96).all()
    logit = torch.log((1 - share) / share.clamp(min=1e-9))[seen & (share < 0.5)]
    assert torch.allclose(away**2, logit * 1e-3, atol=1e-9)


def test_coverage_beyond_the_stated_probability_is_certain() -> None:
    vertices, triangles = _disc(torch.tensor(0.6, dtype=torch.float64))
    silhouette = _draw(vertices, triangles)
    doubt = silhouette[(silhouette > 0) & (silhouette < 1)]
    assert len(doubt) and doubt.min() >= 1e-4 * 0.999 and doubt.max() <= 1 - 1e-4 * 0.999


def test_edges_of_a_mesh() -> None:
    edges = Edges(torch.tensor([[0, 1, 2], [0, 2, 3]]))
    assert len(edges.start) == 5
    shared = edges.right < 2
    assert shared.sum() == 1
    assert {int(edges.start[shared]), int(edges.end[shared])} == {0, 2}


def test_a_hard_outline_has_no_gradient_to_follow() -> None:
    """Why the outline is soft: with a vanishing σ the same disc gets no gradient at all."""
    for sigma, moves in ((1e-12, False), (3e-5, True)):
        radius = torch.tensor(0.61, dtype=torch.float64, requires_grad=True)
        area = _draw(*_disc(radius), sigma).sum()
        assert bool(torch.autograd.grad(area, radius)[0].abs() > 1) is moves
