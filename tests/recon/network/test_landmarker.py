from __future__ import annotations

import torch

from facebench.recon.network.landmarker import LandmarkNetwork, mean_places


def test_a_sharp_peak_is_found_at_its_cells_centre() -> None:
    heat = torch.full((1, 2, 6, 8), -50.0)
    heat[0, 0, 2, 5] = heat[0, 1, 0, 0] = 50.0
    places = mean_places(heat, stride=4)
    torch.testing.assert_close(places[0], torch.tensor([[21.5, 9.5], [1.5, 1.5]]))


def test_a_peak_between_cells_is_found_between_them() -> None:
    """Heat of a Gaussian far from the border has its mean where the Gaussian has."""
    x, y = torch.arange(24.0), torch.arange(24.0)
    for wanted in (11.0, 11.3, 12.5):
        heat = -((x[None, :] - wanted) ** 2 + (y[:, None] - 9.7) ** 2) / 4.5
        found = mean_places(heat[None, None], stride=4)[0, 0]
        expected = torch.tensor([wanted * 4 + 1.5, 9.7 * 4 + 1.5])
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_places_follow_a_moved_heat_map() -> None:
    heat = torch.zeros(1, 1, 16, 16)
    heat[..., 4:7, 4:7] = 60.0
    moved = heat.roll((2, 5), dims=(2, 3))
    shift = mean_places(moved, 4) - mean_places(heat, 4)
    torch.testing.assert_close(shift[0, 0], torch.tensor([20.0, 8.0]))


def test_shapes_and_size() -> None:
    network = LandmarkNetwork(width=16, image_size=96).eval()
    crops = torch.rand(2, 3, 96, 96)
    assert network.heat_maps(crops).shape == (2, 68, 24, 24)
    assert network(crops).shape == (2, 68, 2)
    halves = sum(value.numel() * 2 for value in network.state_dict().values())
    assert halves < 2_000_000
