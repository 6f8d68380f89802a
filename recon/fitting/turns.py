"""Angles of a rotation, and how a rotation changes with its angles."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..face.camera import rotation_matrix


def rotation_slopes(angles: Tensor) -> Tensor:
    """Derivative (3, B, 3, 3) of `rotation_matrix` with respect to pitch, yaw and roll (B, 3).

    Exact: each angle enters by its sine and cosine alone, and for a + b cos φ + c sin φ half the
    difference between a quarter turn ahead and one behind is the derivative.
    """
    quarter = torch.eye(3, dtype=angles.dtype, device=angles.device) * (math.pi / 2)
    return torch.stack(
        [(rotation_matrix(angles + q) - rotation_matrix(angles - q)) / 2 for q in quarter]
    )


def turning_axes(angles: Tensor) -> Tensor:
    """Axes (B, 3, 3), one a column, about which pitch, yaw and roll (B, 3) turn a turned vector.

    A vector that the rotation has turned to v changes by axis × v.
    """
    spin = (rotation_slopes(angles) @ rotation_matrix(angles).mT).permute(1, 2, 3, 0)
    return torch.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], dim=1)


def angles_of(rotation: Tensor) -> Tensor:
    """Pitch, yaw, roll (B, 3) of rotations (B, 3, 3); yaw within ±90°."""
    yaw = (-rotation[:, 0, 2]).clamp(-1.0, 1.0).asin()
    pitch = torch.atan2(rotation[:, 1, 2], rotation[:, 2, 2])
    roll = torch.atan2(rotation[:, 0, 1], rotation[:, 0, 0])
    return torch.stack([pitch, yaw, roll], dim=1)


def pose_of_camera(camera: Tensor) -> Tensor:
    """Pose (B, 7) of scaled orthographic cameras (B, 2, 4), see `scaled_orthography.fit_pose`."""
    rows = camera[:, :, :3]
    scale = rows.norm(dim=2).mean(1).clamp_min(1e-12)
    first, second = (torch.nn.functional.normalize(row, dim=1) for row in rows.unbind(1))
    rotation = torch.stack([first, second, torch.linalg.cross(first, second)], dim=1)
    depth = torch.zeros_like(scale)
    shift = camera[:, :, 3]
    return torch.cat([angles_of(rotation), shift, depth[:, None], scale[:, None]], dim=1)
