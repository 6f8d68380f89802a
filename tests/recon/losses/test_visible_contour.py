from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_faces import random_faces, small_model

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.face.imaging import rotate, rotation_matrix
from facebench.recon.losses.landmarks import CONTOUR, VisibleContour, contour_lines
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.face import FaceDecoder

RADIUS = 80.0


def ball() -> MorphableModel:
    """A ball of a face: however turned, it is seen to end a radius from its middle."""
    model = small_model()
    all_reduce, up = np.meshgrid(np.linspace(-1.5, 1.5, 151), np.linspace(-1.2, 1.2, 49))
    x, y = np.sin(all_reduce) * np.cos(up), np.sin(up)
    shape = RADIUS * np.stack([x, y, np.cos(all_reduce) * np.cos(up)], axis=2).reshape(-1, 3)
    n = len(shape)
    landmarks = np.full(68, 24 * 151 + 75, np.int32)
    for number in range(CONTOUR):  # down the left edge, up the right one
        row, column = 24 - 2 * (8 - abs(number - 8)), 0 if number < 8 else 150
        landmarks[number] = row * 151 + column
    return replace(
        model,
        mean_shape=shape.astype(np.float32),
        identity_basis=np.zeros((n, 3, 1), np.float32),
        expression_basis=np.zeros((n, 3, 1), np.float32),
        albedo_basis=np.zeros((n, 3, 1), np.float32),
        mean_albedo=np.zeros((n, 3), np.float32),
        triangles=np.int32([[0, 1, 2]]),
        landmarks=landmarks,
        region=np.zeros(n, np.uint8),
        identity_names=(),
        expression_names=(),
        albedo_names=(),
    )


def posed(model: MorphableModel, *angles: tuple[float, float, float]) -> Coefficients:
    """Mean faces under pitch, yaw and roll in degrees."""
    pose = torch.zeros(len(angles), 7)
    pose[:, :3] = torch.tensor(angles).deg2rad()
    pose[:, 6] = 0.01
    sizes = [getattr(model, f"{name}_basis").shape[2] for name in ("identity", "expression")]
    identity, expression = (torch.zeros(len(angles), size) for size in sizes)
    return Coefficients(identity, expression, identity, pose, torch.zeros(len(angles), 9, 3))


def points(model: MorphableModel, found: Coefficients) -> tuple[torch.Tensor, torch.Tensor]:
    """Landmarks in mm, turned into the picture: on fixed vertices, and on the visible contour."""
    decoder, turn = FaceDecoder(model), rotation_matrix(found.pose[:, :3])
    fixed = decoder.landmark_shape(found.identity, found.expression)
    seen = VisibleContour(model)(fixed, found, decoder)
    return rotate(fixed, turn), rotate(seen, turn)


@pytest.mark.parametrize("yaw", [-60.0, -30.0, 30.0, 60.0])
def test_a_turned_ball_ends_where_its_outline_is(yaw: float) -> None:
    model = ball()
    fixed, seen = points(model, posed(model, (0.0, yaw, 0.0)))
    outline = np.sqrt(RADIUS**2 - model.mean_shape[model.landmarks[:CONTOUR], 1] ** 2)
    far = range(10, 17) if fixed[16, 2] < fixed[0, 2] else range(7)
    for index in far:
        assert abs(float(seen[index, 0])) == pytest.approx(outline[index], rel=0.01)
        assert abs(float(fixed[index, 0])) < 0.9 * outline[index]


def test_a_frontal_face_keeps_its_vertices_and_a_turned_one_its_near_side_and_chin() -> None:
    model = small_model()
    fixed, seen = points(model, posed(model, (0.0, 0.0, 0.0), (0.0, 50.0, 0.0)))
    assert torch.equal(fixed[:, :, 0], seen[:, :, 0])
    near = range(10, 17) if fixed[16, 2, 1] > fixed[0, 2, 1] else range(7)
    assert torch.equal(fixed[list(near), :, 1], seen[list(near), :, 1])
    assert torch.equal(fixed[7:10], seen[7:10])
    assert torch.equal(fixed[CONTOUR:], seen[CONTOUR:])
    assert (seen - fixed)[:CONTOUR, 0, 1].abs().max() > 10.0


def test_no_point_moves_inwards() -> None:
    model = small_model()
    found = random_faces(model, 8, 1)
    found = replace(found, pose=found.pose * torch.tensor([1.0, 4.0, 0.0, 1.0, 1.0, 1.0, 1.0]))
    decoder, turn = FaceDecoder(model), rotation_matrix(found.pose[:, :3])
    fixed = decoder.landmark_shape(found.identity, found.expression)
    moved = rotate(VisibleContour(model)(fixed, found, decoder) - fixed, turn)
    up = turn[:, :2, 1]
    right = torch.stack([up[:, 1], -up[:, 0]])
    side = torch.tensor(contour_lines(model)[1]).view(-1, 1)
    assert ((moved[:CONTOUR, :2] * right).sum(1) * side).min() > -1e-4


def test_the_gradient_agrees_with_differences() -> None:
    model = small_model()
    decoder, contour = FaceDecoder(model, torch.float64), VisibleContour(model)
    found = posed(model, (0.1, 40.0, 3.0), (0.0, -35.0, 0.0))
    doubles = replace(found, **{name: value.double() for name, value in vars(found).items()})

    def landmarks(identity: torch.Tensor, expression: torch.Tensor) -> torch.Tensor:
        faces = replace(doubles, identity=identity, expression=expression)
        return contour(decoder.landmark_shape(identity, expression), faces, decoder)

    parts = [doubles.identity.requires_grad_(), doubles.expression.requires_grad_()]
    assert torch.autograd.gradcheck(landmarks, parts)
