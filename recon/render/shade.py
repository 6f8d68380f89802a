"""From a model's vertices and albedo to lit vertices in the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..face.camera import project, rotate, rotation_matrix
from ..face.lighting import illuminate


class VertexNormals(nn.Module):
    """Unit vertex normals of one topology: area-weighted means of the triangles' normals.

    Args:
        triangles: (F, 3) int64, counter-clockwise seen from outside.
    """

    corners: Tensor

    def __init__(self, triangles: Tensor) -> None:
        super().__init__()
        self.register_buffer("corners", triangles.T.contiguous(), persistent=False)

    def forward(self, vertices: Tensor) -> Tensor:
        """Normals (V, 3, B) of vertices (V, 3, B); zero where a vertex has no triangle."""
        first, second, third = (vertices.index_select(0, corner) for corner in self.corners)
        normal = _cross(second - first, third - first)
        total = torch.zeros_like(vertices)
        for corner in self.corners:
            total = total.index_add(0, corner, normal)
        return _unit(total)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product along the middle dimension, 3 times faster than `torch.linalg.cross` there."""
    (ax, ay, az), (bx, by, bz) = a.unbind(1), b.unbind(1)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim=1)


def _unit(vectors: Tensor) -> Tensor:
    """Unit vectors along the middle dimension, zero where the vector is."""
    x, y, z = vectors.unbind(1)
    return vectors * (x * x + y * y + z * z).clamp_min(1e-24).rsqrt().unsqueeze(1)


def vertex_normals(vertices: Tensor, triangles: Tensor) -> Tensor:
    """Unit normals (V, 3, B) of vertices (V, 3, B) and triangles (F, 3)."""
    normals: Tensor = VertexNormals(triangles)(vertices)
    return normals


def shade(
    vertices: Tensor, albedo: Tensor, pose: Tensor, light: Tensor, normals: VertexNormals
) -> tuple[Tensor, Tensor]:
    """Turn, light and project faces (METHOD eq. 5 and 6).

    Args:
        vertices: (V, 3, B) in the model's frame, mm.
        albedo: (V, 3, B).
        pose: (B, 7), see `recon.camera`.
        light: (B, 9, 3), see `recon.lighting`; it stays with the camera.
        normals: of the model's topology.

    Returns:
        vertices (V, 3, B) in normalised image coordinates and lit colours (V, 3, B).
    """
    turned = rotate(vertices, rotation_matrix(pose[:, :3]))
    colours = illuminate(albedo, normals(turned), light)
    return project(turned, pose), colours
