"""Light as nine spherical harmonics per colour (eq. 6), and the light of a photograph."""

from __future__ import annotations

import math

import torch
from torch import Tensor

AMBIENT = 0.8
"""Share of the albedo that the first renders show; with no offset they would be black."""

# Normalised over the sphere, without the factors of the cosine lobe: γ takes them in.
_BAND_0 = 0.5 / math.sqrt(math.pi)
_BAND_1 = math.sqrt(3.0 / (4.0 * math.pi))
_BAND_2 = math.sqrt(15.0 / (4.0 * math.pi))
_BAND_20 = math.sqrt(5.0 / (16.0 * math.pi))

# Share of the mean curvature that keeps a light apart which few normals tell.
_LIGHT_RIDGE = 1e-3


def harmonics(normals: Tensor) -> Tensor:
    """Real spherical harmonics h_1..h_9 of vertex-major unit normals (V, 3, B), as (V, 9, B)."""
    x, y, z = normals.unbind(1)
    return torch.stack(
        [
            torch.full_like(x, _BAND_0),
            _BAND_1 * y,
            _BAND_1 * z,
            _BAND_1 * x,
            _BAND_2 * x * y,
            _BAND_2 * y * z,
            _BAND_20 * (3.0 * z * z - 1.0),
            _BAND_2 * x * z,
            _BAND_2 / 2.0 * (x * x - y * y),
        ],
        dim=1,
    )


def ambient_light(batch: int) -> Tensor:
    """Light (B, 9, 3), white and ambient, under which a face shows `AMBIENT` of its albedo."""
    light = torch.zeros(batch, 9, 3)
    # The constant harmonic is _BAND_0, so this is AMBIENT everywhere.
    light[:, 0] = AMBIENT / _BAND_0
    return light


def illuminate(albedo: Tensor, normals: Tensor, light: Tensor) -> Tensor:
    """Lit colours I(p) = T(p) Σ γ_j h_j(n), (V, 3, B).

    Args:
        albedo: (V, 3, B).
        normals: (V, 3, B) unit, in the camera's frame.
        light: (B, 9, 3).
    """
    return albedo * torch.einsum("vjb,bjc->vcb", harmonics(normals), light)


def solve_light(bands: Tensor, albedo: Tensor, colours: Tensor, weights: Tensor) -> Tensor:
    """The light (B, 9, 3) under which an albedo looks most like the photograph, in closed form.

    Args:
        bands: (9, N, B) harmonics of the normals.
        albedo: (3, N, B).
        colours: (3, N, B) of the photograph.
        weights: (N, B).
    """
    bands, albedo, colours = (rows.permute(2, 0, 1) for rows in (bands, albedo, colours))
    lit = bands.unsqueeze(1) * albedo.unsqueeze(2)
    # Each colour has nine unknowns and its own system; weights are the same for all three.
    weighed = lit * weights.T[:, None, None]
    hessian = weighed @ lit.mT
    # On normals that face the viewer several harmonics look alike; the ridge keeps the system
    # solvable, and the constant a face without weight finite.
    ridge = _LIGHT_RIDGE * hessian.diagonal(dim1=2, dim2=3).mean(2) + 1e-9
    hessian = hessian + torch.diag_embed(ridge.unsqueeze(2).expand(-1, -1, lit.shape[2]))
    right_hand_side = weighed @ colours.unsqueeze(3)
    light: Tensor = torch.linalg.solve(hessian, right_hand_side).squeeze(3).mT
    return light
