"""The optional library: a clear refusal without it, the same image with it."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import Tensor

from facebench.errors import FacebenchError
from facebench.recon.render import make_renderer
from facebench.recon.render.softras import _warn_when_full

INSTALLED = importlib.util.find_spec("pytorch3d") is not None


@pytest.mark.skipif(INSTALLED, reason="pytorch3d is installed")
def test_without_the_library_one_line_says_so() -> None:
    with pytest.raises(FacebenchError, match=r"pytorch3d.*not installed.*softras"):
        make_renderer("pytorch3d")


def test_full_pixels_are_told() -> None:
    face = torch.tensor([3, 7, -1]).expand(1, 2, 2, 3).clone()
    _warn_when_full(face)
    face[0, 0, 1, 2] = 9
    with pytest.warns(UserWarning, match="kept 3 fragments a pixel and 1 pixels are full"):
        _warn_when_full(face)


@pytest.mark.skipif(not INSTALLED, reason="pytorch3d is not installed")
def test_it_draws_what_softras_draws(blob: tuple[Tensor, Tensor, Tensor]) -> None:
    vertices, colours, triangles = blob[0].float(), blob[1].float(), blob[2]
    theirs, ours = (
        make_renderer(name, sigma=1e-3)(vertices, colours, triangles, (24, 24))
        for name in ("pytorch3d", "softras")
    )
    assert torch.allclose(theirs.image, ours.image, atol=1e-3)
    assert torch.allclose(theirs.silhouette, ours.silhouette, atol=1e-3)
