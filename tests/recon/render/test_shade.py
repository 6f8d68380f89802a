"""Normals, light and projection together."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from facebench.recon.face.imaging import ambient_light, project, rotate, rotation_matrix
from facebench.recon.render.face import VertexNormals, shade, vertex_normals


def _sphere(n: int = 24) -> tuple[Tensor, Tensor]:
    polar = torch.linspace(0.02, math.pi - 0.02, n, dtype=torch.float64)
    azimuth = torch.arange(2 * n, dtype=torch.float64) * (math.pi / n)
    p, a = torch.meshgrid(polar, azimuth, indexing="ij")
    vertices = torch.stack([p.sin() * a.sin(), p.cos(), p.sin() * a.cos()], -1).flatten(0, 1)
    index = torch.arange(len(vertices)).view(n, 2 * n)
    upper, lower = index[:-1], index[1:]
    upper_next, lower_next = upper.roll(-1, 1), lower.roll(-1, 1)
    quads = [(upper, lower, lower_next), (upper, lower_next, upper_next)]
    triangles = torch.cat([torch.stack(quad, -1).flatten(0, 1) for quad in quads])
    return vertices.unsqueeze(2), triangles


def test_a_sphere_s_normals_are_its_points() -> None:
    vertices, triangles = _sphere()
    normals = vertex_normals(80.0 * vertices, triangles)
    inner = vertices[:, 1, 0].abs() < 0.95
    assert (normals[inner] * vertices[inner]).sum(1).min() > 0.999
    assert torch.allclose(normals.norm(dim=1), torch.ones(1).double())


def test_normals_weigh_triangles_by_area() -> None:
    vertices = torch.tensor(
        [[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 1], [5, 5, 5]], dtype=torch.float64
    ).unsqueeze(2)
    # Twice the areas are 4 along z and 2 along x; the last vertex has no triangle.
    normals = vertex_normals(vertices, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    expected = torch.tensor([2.0, 0.0, 4.0], dtype=torch.float64)
    assert torch.allclose(normals[0, :, 0], expected / expected.norm())
    assert not normals[4].any()


def test_normals_turn_with_the_face() -> None:
    vertices, triangles = _sphere(8)
    vertices = vertices * torch.tensor([0.6, 0.9, 1.3], dtype=torch.float64).view(3, 1)
    rotation = rotation_matrix(torch.tensor([[0.3, -0.7, 0.2]], dtype=torch.float64))
    turned = vertex_normals(rotate(vertices, rotation), triangles)
    assert torch.allclose(turned, rotate(vertex_normals(vertices, triangles), rotation))


def test_normals_have_the_gradient_of_finite_differences() -> None:
    vertices, triangles = _sphere(4)
    vertices = vertices.expand(-1, -1, 2).clone().requires_grad_()
    assert torch.autograd.gradcheck(VertexNormals(triangles), (vertices,))


@pytest.mark.parametrize("yaw", [0.0, 0.8])
def test_light_stays_with_the_camera(yaw: float) -> None:
    vertices, triangles = _sphere()
    light = ambient_light(1).double()
    light[:, 2] = 0.5  # grows towards the viewer
    pose = torch.tensor([[0.0, yaw, 0.0, 0.1, -0.2, 0.0, 0.01]], dtype=torch.float64)
    placed, colours = shade(
        80.0 * vertices, torch.ones_like(vertices), pose, light, VertexNormals(triangles)
    )
    brightest = placed[colours[:, 0, 0].argmax(), :, 0]
    assert torch.allclose(brightest[:2], torch.tensor([0.1, -0.2]).double(), atol=0.1)
    assert brightest[2] > 0.75
    turned = rotate(80.0 * vertices, rotation_matrix(pose[:, :3]))
    assert torch.equal(placed, project(turned, pose))
