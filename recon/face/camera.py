"""Weak-perspective camera in the 7-number layout of the 300W-LP pose record (METHOD eq. 5).

Normalised image coordinates: x right, y up, the shorter side of the image spans [-1, 1], z towards
the viewer and in the same unit. Pixel (row, column) of an H x W image has its centre at
`((2 column + 1 - W) / min(H, W), (H - 1 - 2 row) / min(H, W))`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rotation_matrix(angles: Tensor) -> Tensor:
    """Rotation (B, 3, 3) from pitch, yaw, roll (B, 3) in radians: R_x(pitch) R_y(yaw) R_z(roll).

    Signs are those of the 300W-LP record: each factor is the transpose of the usual right-handed
    rotation, so that positive yaw turns the nose towards the viewer's left.
    """
    (sin_x, sin_y, sin_z), (cos_x, cos_y, cos_z) = angles.sin().T, angles.cos().T
    zero, one = torch.zeros_like(sin_x), torch.ones_like(sin_x)
    about_x = torch.stack([one, zero, zero, zero, cos_x, sin_x, zero, -sin_x, cos_x], 1)
    about_y = torch.stack([cos_y, zero, -sin_y, zero, one, zero, sin_y, zero, cos_y], 1)
    about_z = torch.stack([cos_z, sin_z, zero, -sin_z, cos_z, zero, zero, zero, one], 1)
    x, y, z = (matrix.view(-1, 3, 3) for matrix in (about_x, about_y, about_z))
    return x @ y @ z


def rotate(vertices: Tensor, rotation: Tensor) -> Tensor:
    """Turn vertex-major (V, 3, B) vectors by (B, 3, 3) rotations."""
    columns = rotation.permute(1, 2, 0)
    return torch.stack([(vertices * row.unsqueeze(0)).sum(1) for row in columns], dim=1)


def project(rotated: Tensor, pose: Tensor) -> Tensor:
    """Scale and shift rotated vertices (V, 3, B) in mm to normalised image coordinates.

    Args:
        rotated: vertices already turned by `rotate`.
        pose: (B, 7) pitch, yaw, roll, t_x, t_y, t_z, f.

    Returns:
        (V, 3, B); z keeps the depth, which weak perspective does not show.
    """
    return rotated * pose[:, 6] + pose[:, 3:6].T


def to_pixels(points: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Pixel coordinates (…, 2, B), x right and y down, of normalised points (…, ≥2, B).

    Integer coordinates are pixel centres.
    """
    height, width = image_size
    short = min(height, width)
    x = (points[..., 0, :] * short + width - 1) / 2
    y = (height - 1 - points[..., 1, :] * short) / 2
    return torch.stack([x, y], dim=-2)


def from_pixels(points: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Normalised coordinates (…, 2, B), x right and y up, of pixels: `to_pixels` undone."""
    height, width = image_size
    short = min(height, width)
    x = (2 * points[..., 0, :] + 1 - width) / short
    y = (height - 1 - 2 * points[..., 1, :]) / short
    return torch.stack([x, y], dim=-2)
