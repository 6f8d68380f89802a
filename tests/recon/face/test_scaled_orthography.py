from __future__ import annotations

import torch

from facebench.recon.face.imaging import apply_pose, fit_pose, rotation_matrix


def _faces(noise: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points (68, 3, 5), their images (68, 2, 5) and the true cameras (5, 2, 4)."""
    torch.manual_seed(3)
    points = torch.randn(68, 3, 5, dtype=torch.float64) * torch.tensor([60.0, 80.0, 30.0]).view(
        3, 1
    )
    angles = torch.randn(5, 3, dtype=torch.float64) * 0.5
    scale = torch.rand(5, 1, 1, dtype=torch.float64) * 0.01 + 0.005
    shift = torch.randn(5, 2, 1, dtype=torch.float64)
    camera = torch.cat([scale * rotation_matrix(angles)[:, :2], shift], dim=2)
    images = apply_pose(camera, points)
    return points, images + noise * torch.randn_like(images), camera


def test_recovers_an_exact_camera() -> None:
    points, images, camera = _faces(noise=0.0)
    found = fit_pose(points, images, torch.ones(68, 5, dtype=torch.float64), iterations=20)
    torch.testing.assert_close(found, camera, atol=1e-5, rtol=1e-4)


def test_no_nearby_camera_fits_better() -> None:
    points, images, _ = _faces(noise=0.02)
    found = fit_pose(points, images, torch.ones(68, 5, dtype=torch.float64), iterations=200)
    best = (apply_pose(found, points) - images).square().sum((0, 1))
    for axis in range(3):
        for size in (-1e-3, 1e-3):
            angles = torch.zeros(5, 3, dtype=torch.float64)
            angles[:, axis] = size
            full = torch.cat([found[:, :, :3], torch.linalg.cross(*found[:, :, :3].split(1, 1))], 1)
            full[:, 2] *= full[:, 0].norm(dim=1, keepdim=True) / full[:, 2].norm(
                dim=1, keepdim=True
            )
            turned = torch.cat([(full @ rotation_matrix(angles))[:, :2], found[:, :, 3:]], dim=2)
            assert ((apply_pose(turned, points) - images).square().sum((0, 1)) >= best).all()


def test_an_element_without_targets_gets_a_finite_camera() -> None:
    points, images, _ = _faces(noise=0.0)
    weights = torch.ones(68, 5, dtype=torch.float64)
    weights[:, 2] = 0.0
    images[0, 0, 3] = torch.inf
    assert fit_pose(points, images, weights).isfinite().all()


def test_points_of_weight_zero_do_not_pull() -> None:
    points, images, camera = _faces(noise=0.0)
    images[10] += 5.0
    weights = torch.ones(68, 5, dtype=torch.float64)
    weights[10] = 0.0
    found = fit_pose(points, images, weights, iterations=20)
    torch.testing.assert_close(found, camera, atol=1e-5, rtol=1e-4)
