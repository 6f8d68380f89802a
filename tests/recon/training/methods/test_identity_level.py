from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_recogniser import small_recogniser, write_recogniser
from torch.nn.functional import cosine_similarity
from training_faces import random_faces, small_model, small_recipe

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import Coefficients
from facebench.recon.losses.multilevel import Supervision
from facebench.recon.recipes.regressor import IdentityRecipe
from facebench.recon.training.methods.ours import Trainer, has_recogniser, load_features
from facebench.recon.training.workers import Worker

CPU = torch.device("cpu")
WEIGHED = ("loss.weights.identity=0.24",)


def trainer(*settings: str) -> Trainer:
    recipe = small_recipe(*WEIGHED, *settings)
    return Trainer(recipe, small_model(), Worker(), features=small_recogniser())


def drawn_photographs(training: Trainer, people: Coefficients) -> Supervision:
    """The people as photographs, with exact landmarks."""
    with torch.no_grad():
        drawn = training.face(people)
    masks = (drawn[0].silhouette > 0.5).long()
    return Supervision(drawn[0].image, drawn[1], masks)


def level(training: Trainer, people: Coefficients, truth: Supervision) -> torch.Tensor:
    training.step = 4
    second = training.second_view(people)
    assert second is not None
    return training.identity_term(training.face(people), second, truth)


def test_the_level_is_the_mean_over_the_three_pairs() -> None:
    training, people = trainer(), random_faces(small_model(), 3, 1)
    truth = drawn_photographs(training, people)
    others = replace(people, identity=-people.identity)
    features, drawn = small_recogniser(), training.face(others)
    training.step = 4
    second = training.second_view(others)
    assert second is not None
    photograph = features(truth.images, truth.landmarks)
    render = features(drawn[0].image, drawn[1])
    turned = features(second[0].image, second[1])
    pairs = ((photograph, render), (photograph, turned), (render, turned))
    expected = sum(1 - cosine_similarity(a, b).mean() for a, b in pairs) / 3
    torch.testing.assert_close(level(training, others, truth), expected, rtol=1e-4, atol=1e-6)


def test_the_second_view_shows_the_face_elsewhere() -> None:
    training, people = trainer(), random_faces(small_model(), 3, 1)
    first = training.face(people)
    training.step = 4
    second = training.second_view(people)
    assert second is not None
    assert (first[0].image - second[0].image).abs().mean() > 0.01
    assert (second[0].silhouette.mean((1, 2)) > 0.1).all()


def test_faces_are_drawn_in_float32_where_the_networks_compute_in_half_the_bits() -> None:
    training, people = trainer("network.precision=bfloat16"), random_faces(small_model(), 3, 1)
    truth = drawn_photographs(training, people)
    drawn: list[tuple[Coefficients, torch.Tensor]] = []
    training.face.register_forward_hook(lambda _, of, found: drawn.append((of[0], found[0].image)))
    training.compute_losses(truth)
    first, second = drawn
    for faces, image in (first, second):
        assert torch.equal(training.face(faces)[0].image, image)


def test_photographs_without_landmarks_do_not_count() -> None:
    training, people = trainer(), random_faces(small_model(), 3, 1)
    truth = drawn_photographs(training, people)
    landmarks = truth.landmarks.clone()
    landmarks[:, :, 1] = torch.nan
    without = level(training, people, replace(truth, landmarks=landmarks))
    spoilt = truth.images.clone()
    spoilt[1] = torch.rand_like(spoilt[1])
    again = level(training, people, replace(truth, images=spoilt, landmarks=landmarks))
    assert torch.equal(without, again)
    assert without.isfinite()


@pytest.mark.parametrize("part", ["albedo", "light"])
def test_the_gradient_agrees_with_differences(part: str) -> None:
    training = trainer()
    people = random_faces(small_model(), 2, 1)
    truth = drawn_photographs(training, people)
    others = replace(people, albedo=people.albedo + 0.5)
    value = getattr(others, part).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        level(training, replace(others, **{part: value}), truth), value
    )
    direction, step = gradient / gradient.norm(), 2e-2
    with torch.no_grad():
        sides = [
            level(training, replace(others, **{part: value + sign * step * direction}), truth)
            for sign in (1.0, -1.0)
        ]
    slope = float(sides[0] - sides[1]) / (2 * step)
    assert slope == pytest.approx(float(gradient.norm()), rel=0.03)


def test_descending_it_makes_the_renders_more_like_the_photographs() -> None:
    training, people = trainer(), random_faces(small_model(), 2, 1)
    truth = drawn_photographs(training, people)
    albedo = (people.albedo + 1.0).requires_grad_()
    values = []
    for _ in range(8):
        loss = level(training, replace(people, albedo=albedo), truth)
        (gradient,) = torch.autograd.grad(loss, albedo)
        albedo = (albedo - 0.3 * gradient / gradient.norm()).detach().requires_grad_()
        values.append(loss.item())
    assert values[-1] < 0.8 * values[0]


def test_a_step_logs_the_level_and_its_pull() -> None:
    training = trainer()
    truth = drawn_photographs(training, random_faces(small_model(), 2, 2))
    report = training.training_step(truth)
    assert report.applied
    assert 0.0 < report.terms["identity"] < 2.0
    assert report.gradients["identity"] > 0.0
    assert set(report.gradients) == set(report.terms)


def test_no_recogniser_no_level(tmp_path: Path) -> None:
    assert load_features(IdentityRecipe(weights=""), CPU) is None
    path = write_recogniser(tmp_path / "recogniser.pt")
    features = load_features(IdentityRecipe(weights=str(path)), CPU)
    assert features is not None
    assert features(torch.rand(2, 3, 48, 48), 48 * torch.rand(68, 2, 2)).shape == (2, 16)
    missing = IdentityRecipe(weights=str(tmp_path / "none.pth"))
    assert has_recogniser(missing)
    with pytest.raises(FacebenchError, match="no recogniser weights"):
        load_features(missing, CPU)
