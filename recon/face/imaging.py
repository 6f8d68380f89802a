"""How a face becomes a picture: weak-perspective camera (eq. 5) and harmonic light (eq. 6).

The camera has the 7-number layout of the 300W-LP pose record; light is nine spherical harmonics
per colour, and can be solved for from a photograph.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TINY = 1e-12

AMBIENT = 0.8
"""Share of the albedo that the first renders show; with no offset they would be black."""

# Normalised over the sphere, without the factors of the cosine lobe: γ takes them in.
_BAND_0 = 0.5 / math.sqrt(math.pi)
_BAND_1 = math.sqrt(3.0 / (4.0 * math.pi))
_BAND_2 = math.sqrt(15.0 / (4.0 * math.pi))
_BAND_20 = math.sqrt(5.0 / (16.0 * math.pi))

# Share of the mean curvature that keeps a light apart which few normals tell.
_LIGHT_RIDGE = 1e-3


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
    # The order of the 300W-LP record; another would give other angles for the same pose.
    return x @ y @ z


def rotate(vertices: Tensor, rotation: Tensor) -> Tensor:
    """Turn vertex-major (V, 3, B) vectors by (B, 3, 3) rotations."""
    # Vertex-major arrays: three weighted sums over contiguous batches, where a batched product
    # would first turn the array round.
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


def rotation_derivatives(angles: Tensor) -> Tensor:
    """Derivative (3, B, 3, 3) of `rotation_matrix` with respect to pitch, yaw and roll (B, 3).

    Exact: each angle enters by its sine and cosine alone, and for a + b cos φ + c sin φ half the
    difference between a quarter turn ahead and one behind is the derivative.
    """
    # φ ± 90° turns a + b cos φ + c sin φ into a ∓ b sin φ ± c cos φ; half the difference is the
    # derivative.
    quarter = torch.eye(3, dtype=angles.dtype, device=angles.device) * (math.pi / 2)
    return torch.stack(
        [(rotation_matrix(angles + q) - rotation_matrix(angles - q)) / 2 for q in quarter]
    )


def turning_axes(angles: Tensor) -> Tensor:
    """Axes (B, 3, 3), one a column, about which pitch, yaw and roll (B, 3) turn a turned vector.

    A vector that the rotation has turned to v changes by axis × v.
    """
    # dR Rᵀ is skew-symmetric; its three numbers are the axis.
    spin = (rotation_derivatives(angles) @ rotation_matrix(angles).mT).permute(1, 2, 3, 0)
    return torch.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], dim=1)


def angles_of(rotation: Tensor) -> Tensor:
    """Pitch, yaw, roll (B, 3) of rotations (B, 3, 3); yaw within ±90°."""
    # Rounding may leave the sine just beyond 1, where asin is NaN.
    yaw = (-rotation[:, 0, 2]).clamp(-1.0, 1.0).asin()
    pitch = torch.atan2(rotation[:, 1, 2], rotation[:, 2, 2])
    roll = torch.atan2(rotation[:, 0, 1], rotation[:, 0, 0])
    return torch.stack([pitch, yaw, roll], dim=1)


def pose_of_camera(camera: Tensor) -> Tensor:
    """Pose (B, 7) of scaled orthographic cameras (B, 2, 4), see `fit_pose`."""
    rows = camera[:, :, :3]
    # Of a fitted camera both rows have one length; the mean is for cameras that are only nearly so.
    scale = rows.norm(dim=2).mean(1).clamp_min(1e-12)
    first, second = (torch.nn.functional.normalize(row, dim=1) for row in rows.unbind(1))
    # The third row is not seen under weak perspective: right-handedness gives it.
    rotation = torch.stack([first, second, torch.linalg.cross(first, second)], dim=1)
    depth = torch.zeros_like(scale)
    shift = camera[:, :, 3]
    return torch.cat([angles_of(rotation), shift, depth[:, None], scale[:, None]], dim=1)


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
    # Shares, so that a face with few known points has the same ridge and tolerances.
    share = (weights / weights.sum(0).clamp_min(1e-8)).T.unsqueeze(2)
    p, q = points.permute(2, 0, 1), targets.permute(2, 0, 1)
    p_centre, q_centre = (share * p).sum(1, keepdim=True), (share * q).sum(1, keepdim=True)
    # Centred first: translation then drops out of the least squares.
    p, q = p - p_centre, q - q_centre
    linear = _affine_rotation(p, q, share)
    for _ in range(iterations):
        linear = _refine(linear, p, q, share)
    shown = linear[:, :2]
    shift = q_centre.mT - shown @ p_centre.mT
    return torch.cat([shown, shift], dim=2)


def apply_pose(camera: Tensor, points: Tensor) -> Tensor:
    """Image points (N, 2, B) of points (N, 3, B) under cameras (B, 2, 4)."""
    return torch.einsum("bij,njb->nib", camera[:, :, :3], points) + camera[:, :, 3].T


def _finite(values: Tensor) -> Tensor:
    """Zeros in place of NaN and infinity, at which the decompositions below would stop."""
    return values.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _affine_rotation(p: Tensor, q: Tensor, share: Tensor) -> Tensor:
    """Scaled rotations (B, 3, 3) nearest to the affine cameras of centred points."""
    spread = (share * p).mT @ p
    # A face's points lie nearly in a plane seen from ahead; without a ridge noise alone would
    # decide the third column.
    ridge = 1e-4 * spread.diagonal(dim1=1, dim2=2).mean(1).view(-1, 1, 1) + _TINY
    damped = spread + ridge * torch.eye(3, dtype=p.dtype, device=p.device)
    affine = torch.linalg.solve(damped, (share * p).mT @ q).mT
    left, strengths, right = torch.linalg.svd(affine, full_matrices=False)
    # The nearest matrix with orthonormal rows (Procrustes).
    rows = left @ right
    rotation = torch.cat([rows, torch.linalg.cross(rows[:, :1], rows[:, 1:], dim=2)], dim=1)
    scaled: Tensor = strengths.mean(1).view(-1, 1, 1) * rotation
    return scaled


def _refine(linear: Tensor, p: Tensor, q: Tensor, share: Tensor) -> Tensor:
    """One step: targets take the depth seen by the camera, then a 3D similarity (Umeyama)."""
    # The camera so far tells depths, which makes a 3D problem with a closed solution of it.
    seen = p @ linear.mT
    target = torch.cat([q, seen[:, :, 2:]], dim=2)
    left, strengths, right = torch.linalg.svd((share * target).mT @ p)
    signs = torch.ones_like(strengths)
    # The last direction is turned round where the best orthogonal matrix is a reflection.
    signs[:, 2] = torch.det(left @ right).sign()
    rotation = (left * signs.unsqueeze(1)) @ right
    scale = (strengths * signs).sum(1) / (share * p * p).sum((1, 2)).clamp_min(_TINY)
    scaled: Tensor = scale.view(-1, 1, 1) * rotation
    return scaled


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
