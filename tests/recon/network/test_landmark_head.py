from __future__ import annotations

import torch

from facebench.recon.network.dense import LandmarkHead, soft_argmax


def test_a_sharp_peak_is_found_at_its_cells_centre() -> None:
    heat = torch.full((1, 2, 6, 8), -50.0)
    heat[0, 0, 2, 5] = heat[0, 1, 0, 0] = 50.0
    places = soft_argmax(heat, stride=4)
    torch.testing.assert_close(places[0], torch.tensor([[21.5, 9.5], [1.5, 1.5]]))


def test_a_peak_between_cells_is_found_between_them() -> None:
    """Heat of a Gaussian far from the border has its mean where the Gaussian has."""
    x, y = torch.arange(24.0), torch.arange(24.0)
    for wanted in (11.0, 11.3, 12.5):
        heat = -((x[None, :] - wanted) ** 2 + (y[:, None] - 9.7) ** 2) / 4.5
        found = soft_argmax(heat[None, None], stride=4)[0, 0]
        expected = torch.tensor([wanted * 4 + 1.5, 9.7 * 4 + 1.5])
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_places_follow_a_moved_heat_map() -> None:
    heat = torch.zeros(1, 1, 16, 16)
    heat[..., 4:7, 4:7] = 60.0
    moved = heat.roll((2, 5), dims=(2, 3))
    shift = soft_argmax(moved, 4) - soft_argmax(heat, 4)
    torch.testing.assert_close(shift[0, 0], torch.tensor([20.0, 8.0]))


def test_places_are_in_pixels_of_the_picture() -> None:
    """One channel of the trunk's scale of 1/8 has a peak in a cell, and the path hands it on."""
    network = LandmarkHead((4, 8, 16, 32), image_size=64, count=3).eval()
    torch.nn.init.zeros_(network.heat.weight)
    network.heat.weight.data[:, 0] = 1e4
    for unit in (network.lateral[0], *network.merge):
        torch.nn.init.dirac_(unit.conv.weight)  # type: ignore[union-attr, arg-type]
    scales = [torch.zeros(1, c, 16 >> i, 16 >> i) for i, c in enumerate((4, 8, 16, 32))]
    scales[1][0, 0, 2, 6] = 1.0
    torch.testing.assert_close(network(scales)[0], torch.tensor([51.5, 19.5]).expand(3, 2))


def test_how_places_lie_to_each_other_is_read_apart_from_where_and_how_large() -> None:
    torch.manual_seed(0)
    network = LandmarkHead((4, 8, 16, 32), image_size=64, count=5)
    places = 64 * torch.rand(2, 5, 2)
    here, there = network.read(places), network.read(0.5 * places + torch.tensor([9.0, 3.0]))
    assert here.shape == (2, network.features)
    torch.testing.assert_close(here[:, :10], there[:, :10])
    assert (here[:, 10:13] - there[:, 10:13]).abs().min() > 0.05
