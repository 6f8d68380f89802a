"""The refining regressor sees its own render, and what it puts out moves the face it saw."""

from __future__ import annotations

import pytest
import torch
from training_faces import random_faces, small_model

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.regressors.checkpoint import fresh_network
from facebench.recon.regressors.regressor import RefiningRegressor

SIZES = ("network.width=8", "network.image_size=48", "network.passes=3")


@pytest.fixture(scope="module")
def network() -> RefiningRegressor:
    torch.manual_seed(3)
    recipe = load_any_recipe("richardson-ict", SIZES)
    made = fresh_network(recipe, small_model())  # type: ignore[arg-type]
    assert isinstance(made, RefiningRegressor)
    torch.nn.init.normal_(made.backbone.fc.weight, std=0.02)
    return made.eval()


def images() -> torch.Tensor:
    return torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def same(first: Coefficients, second: Coefficients) -> bool:
    return torch.allclose(first.vector(), second.vector(), atol=1e-5)


@torch.no_grad()
def test_all_passes_are_single_passes_one_after_another(network: RefiningRegressor) -> None:
    faces = network.refine(images(), 0)
    assert faces.pose.shape == (1, 7)
    for _ in range(3):
        faces = network(images(), faces)
    assert same(network(images()), faces)
    assert not same(network.refine(images(), 1), faces)


@torch.no_grad()
def test_a_pass_depends_on_the_render_alone_but_for_where_it_starts(
    network: RefiningRegressor,
) -> None:
    """The move is a function of photograph and render: another face, another move."""
    people = random_faces(small_model(), 3, 1)
    moves = [
        network(images(), last).identity - last.identity
        for last in (people, Coefficients(*(part.flip(0) for part in vars(people).values())))
    ]
    assert not torch.allclose(*moves, atol=1e-4)


@torch.no_grad()
def test_its_render_does_not_lose_bits_where_the_network_does(network: RefiningRegressor) -> None:
    people = random_faces(small_model(), 3, 1)
    exact = network._draw(people)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network._draw(people), exact)


def test_a_fresh_network_gives_the_mean_face_in_view_after_any_pass() -> None:
    recipe = load_any_recipe("richardson-ict", SIZES)
    fresh = fresh_network(recipe, small_model()).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        found = fresh(images())
    assert found.identity.abs().max() == 0.0
    torch.testing.assert_close(found.pose, fresh.start_pose.expand(3, 7))  # type: ignore[operator]


def test_the_face_model_is_no_part_of_its_state(network: RefiningRegressor) -> None:
    names = set(network.state_dict())
    assert all(name.startswith("backbone.") or "." not in name for name in names)
    assert sum(buffer.numel() for buffer in network.buffers()) < 20_000
