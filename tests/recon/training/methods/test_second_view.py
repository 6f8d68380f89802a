from __future__ import annotations

import math
from dataclasses import replace

import torch
from training_faces import random_faces, small_model

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.face.imaging import project, rotate, rotation_matrix
from facebench.recon.recipes.regressor import IdentityRecipe
from facebench.recon.render.face import FaceDecoder
from facebench.recon.training.methods.ours import second_view_change, second_view_faces
from facebench.recon.training.workers import ProcessGroup

RECIPE = IdentityRecipe(yaw=40.0, pitch=20.0, roll=5.0, expression=0.5)


def faces() -> Coefficients:
    return random_faces(small_model(), subjects=4, frames=1)


def change(
    seed: int, step: int, like: torch.Tensor, rank: int = 0, workers: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    return second_view_change(RECIPE, seed, ProcessGroup(rank, workers), step, like)


def test_the_change_follows_from_seed_and_step_alone() -> None:
    like = torch.zeros(4, 6)
    for step in range(3):
        change(3, step, like)
    once, again, later, other = (change(*at, like) for at in ((3, 9), (3, 9), (3, 10), (4, 9)))
    assert torch.equal(once[0], again[0]) and torch.equal(once[1], again[1])
    for part in range(2):
        assert not torch.equal(once[part], later[part])
        assert not torch.equal(once[part], other[part])


def test_workers_draw_what_one_would() -> None:
    alone = change(1, 5, torch.zeros(6, 4))
    shares = [change(1, 5, torch.zeros(2, 4), rank, 3) for rank in range(3)]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), whole)


def test_turns_fill_their_limits_and_expressions_have_their_deviation() -> None:
    turn, expression = change(0, 0, torch.zeros(20_000, 3))
    degrees = turn.rad2deg()
    for column, limit in enumerate((20.0, 40.0, 5.0)):
        assert degrees[:, column].abs().max() <= limit
        assert degrees[:, column].std().item() * math.sqrt(3) / limit - 1 < 0.02  # uniform
        assert abs(degrees[:, column].mean().item()) < 0.02 * limit
    assert abs(expression.std().item() - 0.5) < 0.01


def test_no_change_but_the_middle_of_the_picture() -> None:
    found, decoder = faces(), FaceDecoder(small_model())
    still = torch.zeros_like(found.expression)
    again = second_view_faces(found, torch.zeros(4, 3), still, decoder)
    for name in ("identity", "expression", "albedo", "light"):
        assert torch.equal(getattr(again, name), getattr(found, name))
    assert torch.equal(again.pose[:, [0, 1, 2, 6]], found.pose[:, [0, 1, 2, 6]])


def test_a_turned_face_stays_in_the_picture() -> None:
    found, decoder = faces(), FaceDecoder(small_model())
    turn = torch.tensor([[0.2, 1.4, 0.1], [0.0, -1.4, 0.0], [0.3, 0.5, 0.0], [0.0, 0.0, 0.2]])
    again = second_view_faces(found, turn, torch.zeros_like(found.expression), decoder)
    shape = decoder.landmark_shape(again.identity, again.expression)
    points = project(rotate(shape, rotation_matrix(again.pose[:, :3])), again.pose)
    torch.testing.assert_close(points[:, :2].mean(0), torch.zeros(2, 4), rtol=0, atol=1e-5)
    assert points[:, :2].abs().max() < 1.0


def test_the_view_is_a_constant_and_the_person_is_not() -> None:
    found, decoder = faces(), FaceDecoder(small_model())
    parts = {name: value.clone().requires_grad_() for name, value in vars(found).items()}
    turn, expression = change(0, 0, found.expression)
    again = second_view_faces(replace(found, **parts), turn, expression, decoder)
    assert not again.pose.requires_grad
    assert not again.expression.requires_grad
    assert again.identity.requires_grad
    assert again.albedo.requires_grad
    assert again.light.requires_grad
