"""From a model's vertices and albedo to lit vertices in the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..camera import project, rotate, rotation_matrix
from ..lighting import illuminate


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
        normal = torch.linalg.cross(second - first, third - first, dim=1)
        total = torch.zeros_like(vertices)
        for corner in self.corners:
            total = total.index_add(0, corner, normal)
        return nn.functional.normalize(total, dim=1)


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
