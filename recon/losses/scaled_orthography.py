"""The weak-perspective pose that best lays a 3D shape over image points, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-12


def fit_pose(points: Tensor, targets: Tensor, weights: Tensor, iterations: int = 5) -> Tensor:
    """Scaled orthographic cameras (B, 2, 4) that bring points nearest to their targets.

    Least squares over scale, rotation and translation: started from the affine camera, refined by
    giving the targets the depth that the camera so far sees and aligning in 3D.

    Args:
        points: (N, 3, B) in the model's frame.
        targets: (N, 2, B) in the image, x right and y up.
        weights: (N, B), 0 where a target is unknown.
        iterations: of the refinement.

    An element without known targets, or with values that are not finite, gets some finite camera.
    """
    points, targets = _finite(points), _finite(targets)
    share = (weights / weights.sum(0).clamp_min(1e-8)).T.unsqueeze(2)
    p, q = points.permute(2, 0, 1), targets.permute(2, 0, 1)
    p_centre, q_centre = (share * p).sum(1, keepdim=True), (share * q).sum(1, keepdim=True)
    p, q = p - p_centre, q - q_centre
    linear = _affine(p, q, share)
    for _ in range(iterations):
        linear = _refined(linear, p, q, share)
    shown = linear[:, :2]
    shift = q_centre.mT - shown @ p_centre.mT
    return torch.cat([shown, shift], dim=2)


def apply_pose(camera: Tensor, points: Tensor) -> Tensor:
    """Image points (N, 2, B) of points (N, 3, B) under cameras (B, 2, 4)."""
    return torch.einsum("bij,njb->nib", camera[:, :, :3], points) + camera[:, :, 3].T


def _finite(values: Tensor) -> Tensor:
    """Zeros in place of NaN and infinity, at which the decompositions below would stop."""
    return values.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _affine(p: Tensor, q: Tensor, share: Tensor) -> Tensor:
    """Scaled rotations (B, 3, 3) nearest to the affine cameras of centred points."""
    spread = (share * p).mT @ p
    ridge = 1e-4 * spread.diagonal(dim1=1, dim2=2).mean(1).view(-1, 1, 1) + _TINY
    damped = spread + ridge * torch.eye(3, dtype=p.dtype, device=p.device)
    affine = torch.linalg.solve(damped, (share * p).mT @ q).mT
    left, strengths, right = torch.linalg.svd(affine, full_matrices=False)
    rows = left @ right
    rotation = torch.cat([rows, torch.linalg.cross(rows[:, :1], rows[:, 1:], dim=2)], dim=1)
    scaled: Tensor = strengths.mean(1).view(-1, 1, 1) * rotation
    return scaled


def _refined(linear: Tensor, p: Tensor, q: Tensor, share: Tensor) -> Tensor:
    """One step: targets take the depth seen by the camera, then a 3D similarity (Umeyama)."""
    seen = p @ linear.mT
    target = torch.cat([q, seen[:, :, 2:]], dim=2)
    left, strengths, right = torch.linalg.svd((share * target).mT @ p)
    signs = torch.ones_like(strengths)
    signs[:, 2] = torch.det(left @ right).sign()
    rotation = (left * signs.unsqueeze(1)) @ right
    scale = (strengths * signs).sum(1) / (share * p * p).sum((1, 2)).clamp_min(_TINY)
    scaled: Tensor = scale.view(-1, 1, 1) * rotation
    return scaled
