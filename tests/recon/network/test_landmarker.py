from __future__ import annotations

import torch

from facebench.recon.network.dense import LandmarkNetwork


def test_shapes_and_size() -> None:
    network = LandmarkNetwork(width=16, image_size=96).eval()
    crops = torch.rand(2, 3, 96, 96)
    assert network.heat_maps(crops).shape == (2, 68, 24, 24)
    assert network(crops).shape == (2, 68, 2)
    halves = sum(value.numel() * 2 for value in network.state_dict().values())
    assert halves < 2_000_000
