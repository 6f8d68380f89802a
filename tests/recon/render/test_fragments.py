"""Fragments: every pixel within reach, none lost, true coordinates and distances."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from facebench.recon.render.blend import SoftRasConfig
from facebench.recon.render.geometry import Clipping, Grid, doubled_area, reach
from facebench.recon.render.rasterise import Block, group_windows
from facebench.recon.render.softras import SoftRasRenderer

GRID = Grid(30, 44)
RADIUS = 2.5


def _random_triangles(n: int = 60) -> Tensor:
    """x, y and depth of the corners, (3, 3, N)."""
    generator = torch.Generator().manual_seed(2)
    centre = torch.rand(2, 1, n, generator=generator, dtype=torch.float64) * 60 - 10
    spread = torch.rand(1, 1, n, generator=generator, dtype=torch.float64) ** 3 * 20
    corner = torch.rand(2, 3, n, generator=generator, dtype=torch.float64) * spread
    depth = torch.rand(3, n, generator=generator, dtype=torch.float64)
    return torch.stack([centre[0] + corner[0], centre[1] + corner[1], depth])


def _blocks(triangles: Tensor) -> Iterator[tuple[Tensor, Block]]:
    for triangle, *window in group_windows(triangles[0], triangles[1], GRID, RADIUS):
        rows = triangles[:, :, triangle].flatten(0, 1)
        yield triangle, Block(*window, torch.cat([rows, torch.zeros_like(rows)]))


def _sampled_distance(triangles: Tensor, column: Tensor, up: Tensor) -> Tensor:
    """Distance (F, P) to the triangles' outlines by dense sampling."""
    share = torch.linspace(0, 1, 150, dtype=torch.float64).view(-1, 1, 1)
    x, y, _ = triangles.roll(-1, 1)
    side_x = (triangles[0] + share * (x - triangles[0])).flatten(0, 1)
    side_y = (triangles[1] + share * (y - triangles[1])).flatten(0, 1)
    distance = torch.full((side_x.shape[1], len(column)), torch.inf, dtype=torch.float64)
    for one_x, one_y in zip(side_x, side_y, strict=True):
        here = torch.hypot(one_x.view(-1, 1) - column, one_y.view(-1, 1) - up)
        distance = torch.minimum(distance, here)
    return distance


def test_every_pixel_in_reach_is_met_once_with_its_distance() -> None:
    triangles = _random_triangles()
    pixel = torch.arange(GRID.n_pixels)
    column, up = (part.double() for part in GRID.position(pixel))
    sampled = _sampled_distance(triangles, column, up)
    found = torch.full_like(sampled, torch.inf)
    for triangle, block in _blocks(triangles):
        met = block.meet(block.windows(), GRID, Clipping.ZERO)
        owner = triangle.expand_as(met.pixel)
        assert found[owner, met.pixel].isinf().all()
        found[owner, met.pixel] = met.squared_distance.abs().sqrt()
        assert torch.allclose(met.barycentric.sum(0), torch.ones(1).double())
        assert ((met.barycentric >= 0) & (met.barycentric <= 1)).all()
    wanted = (sampled < RADIUS - 0.05) & (
        doubled_area(triangles[0], triangles[1]).abs() > 1e-3
    ).view(-1, 1)
    assert wanted.sum() > 500
    assert (found[wanted] - sampled[wanted]).abs().max() < 0.12


def test_barycentric_coordinates_give_back_the_pixel_inside() -> None:
    triangles = _random_triangles()
    for triangle, block in _blocks(triangles):
        met = block.meet(block.windows(), GRID, Clipping.UNIT)
        column, up = GRID.position(met.pixel)
        inside = met.squared_distance > 0
        for corner, place in ((triangles[0], column), (triangles[1], up)):
            back = (met.barycentric * corner[:, triangle].view(3, 1, 1, -1)).sum(0)
            assert torch.allclose(back[inside], place[inside].double())


def test_pixel_and_position_are_inverse() -> None:
    pixel = torch.arange(GRID.n_pixels)
    assert torch.equal(GRID.pixel(*GRID.position(pixel)), pixel)


@pytest.mark.parametrize("clipping", list(Clipping))
def test_probability_is_cut_where_stated(clipping: Clipping) -> None:
    triangle = torch.tensor([[-0.4, -0.3, 0.0], [0.5, -0.2, 0.0], [0.0, 0.5, 0.0]]).double()
    config = SoftRasConfig(sigma=2e-3, min_probability=1e-2, clipping=clipping)
    drawn = SoftRasRenderer(config)(
        triangle.unsqueeze(2), torch.ones(3, 3, 1).double(), torch.tensor([[0, 1, 2]]), (40, 40)
    )
    reached = drawn.silhouette[drawn.silhouette > 0]
    assert 1e-2 < reached.min() < 2e-2
    assert (drawn.background_weight[drawn.silhouette == 0] == 1).all()


def test_reach_is_where_probability_falls_to_the_least() -> None:
    distance = reach(2e-3, 1e-2, Grid(40, 40)) / Grid(40, 40).pixels_per_unit
    assert torch.sigmoid(torch.tensor(-(distance**2) / 2e-3)).item() == pytest.approx(1e-2)


def test_clippings_differ_only_outside() -> None:
    triangle = torch.tensor([[-0.4, -0.3, 0.0], [0.5, -0.2, 0.0], [0.0, 0.5, 0.0]]).double()
    colours = torch.eye(3, dtype=torch.float64).unsqueeze(2)
    images = [
        SoftRasRenderer(SoftRasConfig(sigma=2e-2, clipping=clipping))(
            triangle.unsqueeze(2), colours, torch.tensor([[0, 1, 2]]), (40, 40)
        )
        for clipping in Clipping
    ]
    differs = (images[0].image - images[1].image).abs().amax(1) > 1e-9
    assert differs.any() and (images[0].silhouette[differs] < 0.5).all()
