"""Agreement with images and gradients from an independent soft rasteriser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facebench.recon.render.blend import SoftRasConfig
from facebench.recon.render.softras import SoftRasRenderer

# Their z grows away from the viewer, ours towards.
MIRROR = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)


def _renderer(scene: Any) -> SoftRasRenderer:
    return SoftRasRenderer(
        SoftRasConfig(
            sigma=float(scene["sigma"]),
            gamma=float(scene["gamma"]),
            min_probability=float(scene["min_probability"]),
            near=-float(scene["near"]),
            far=-float(scene["far"]),
            background=tuple(scene["background"].tolist()),
        )
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_image_and_gradients_agree(shared: Path, number: int, dtype: torch.dtype) -> None:
    scene = np.load(shared / "oracles" / "renderer" / f"scene_{number}.npz")
    vertices = (torch.tensor(scene["vertices"]) * MIRROR).to(dtype).requires_grad_()
    colours = torch.tensor(scene["colours"]).to(dtype).requires_grad_()
    triangles = torch.tensor(scene["triangles"]).long()
    height, width = scene["image"].shape[:2]
    drawn = _renderer(scene)(
        vertices.unsqueeze(2), colours.unsqueeze(2), triangles, (height, width)
    )
    image = torch.cat([drawn.image[0], drawn.silhouette]).permute(1, 2, 0)
    assert torch.allclose(image, torch.tensor(scene["image"]).to(dtype), rtol=0, atol=1e-4)

    (image * torch.tensor(scene["weights"]).to(dtype)).sum().backward()
    assert vertices.grad is not None and colours.grad is not None
    on_vertices = vertices.grad.double() * MIRROR
    for axis in range(3):
        _assert_close(on_vertices[:, axis], torch.tensor(scene["grad_vertices"])[:, axis])
    _assert_close(colours.grad.double(), torch.tensor(scene["grad_colours"]))


def _assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert (actual - expected).norm() < 0.01 * expected.norm()
