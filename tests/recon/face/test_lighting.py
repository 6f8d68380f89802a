"""Spherical-harmonic light: the basis by integration over the sphere, the ambient light by hand."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from facebench.recon.face.imaging import AMBIENT, ambient_light, harmonics, illuminate


def _sphere() -> tuple[torch.Tensor, torch.Tensor]:
    """Normals (N, 3, 1) and weights (N,) of a quadrature exact for the harmonics' products."""
    height, weight = np.polynomial.legendre.leggauss(8)
    turn = np.arange(16) * 2 * np.pi / 16
    z, angle = (grid.ravel() for grid in np.meshgrid(height, turn, indexing="ij"))
    ring = np.sqrt(1 - z**2)
    normals = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    weights = np.repeat(weight, 16) * 2 * np.pi / 16
    return torch.tensor(normals)[..., None], torch.tensor(weights)


def test_the_basis_is_orthonormal_over_the_sphere() -> None:
    normals, weights = _sphere()
    basis = harmonics(normals)[..., 0]
    gram = basis.T @ (weights[:, None] * basis)
    torch.testing.assert_close(gram, torch.eye(9, dtype=torch.float64), atol=1e-12, rtol=0.0)


def test_each_band_spans_its_rotations() -> None:
    """Turned harmonics are a mixture of the harmonics of the same band, of equal norm."""
    normals, weights = _sphere()
    turn = torch.tensor(Rotation.random(random_state=0).as_matrix())
    basis, turned = harmonics(normals)[..., 0], harmonics(turn @ normals)[..., 0]
    mixing = turned.T @ (weights[:, None] * basis)
    blocks = torch.block_diag(torch.ones(1, 1), torch.ones(3, 3), torch.ones(5, 5))
    assert (mixing * (1 - blocks)).abs().max() < 1e-12
    torch.testing.assert_close(mixing @ mixing.T, torch.eye(9, dtype=torch.float64))


def test_ambient_light_shows_its_share_of_the_albedo_from_every_side() -> None:
    normals = _sphere()[0].float().expand(-1, -1, 2)
    albedo = torch.rand(normals.shape)
    lit = illuminate(albedo, normals, ambient_light(2))
    assert AMBIENT == 0.8
    torch.testing.assert_close(lit, 0.8 * albedo)


def test_light_is_linear_and_separate_for_each_face() -> None:
    torch.manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(20, 3, 3, dtype=torch.float64), dim=1)
    albedo, light = torch.rand(20, 3, 3).double(), torch.randn(3, 9, 3).double()
    whole = illuminate(albedo, normals, light)
    alone = illuminate(albedo[..., 1:2], normals[..., 1:2], light[1:2])
    torch.testing.assert_close(whole[..., 1:2], alone)
    torch.testing.assert_close(illuminate(albedo, normals, 2 * light), 2 * whole)
