"""Losses and measures of parser and landmarker against plain counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from facebench.recon.recipes.vision import HardPixels, LandmarkerRecipe, TrunkNetwork
from facebench.recon.training.tasks.landmarker import LandmarkLearner, point_errors
from facebench.recon.training.tasks.parser import class_overlaps, confusion, hard_cross_entropy


def test_overlaps_are_intersection_over_union() -> None:
    random = torch.Generator().manual_seed(0)
    truth, found = (torch.randint(0, 5, (2, 9, 9), generator=random) for _ in range(2))
    overlaps = class_overlaps(confusion(found, truth))
    for label in range(5):
        a, b = found == label, truth == label
        expected = (a & b).sum() / (a | b).sum()
        assert overlaps[label].item() == pytest.approx(expected.item())
    assert overlaps[5:].isnan().all()


def test_tables_of_parts_add_up_to_that_of_the_whole() -> None:
    truth, found = torch.randint(0, 19, (2, 4, 16, 16))
    whole = confusion(found, truth)
    assert torch.equal(whole, confusion(found[:1], truth[:1]) + confusion(found[1:], truth[1:]))
    assert whole.sum() == truth.numel()


def test_only_unsure_pixels_count_but_never_too_few() -> None:
    torch.manual_seed(0)
    scores, masks = 3 * torch.randn(2, 19, 8, 8), torch.randint(0, 19, (2, 8, 8))
    losses = cross_entropy(scores, masks, reduction="none").flatten()
    every = hard_cross_entropy(scores, masks, HardPixels(probability=1.0))
    torch.testing.assert_close(every, losses.mean())
    unsure = hard_cross_entropy(scores, masks, HardPixels(probability=0.7, share=1e-9))
    torch.testing.assert_close(unsure, losses[losses >= -math.log(0.7)].mean())
    worst = hard_cross_entropy(scores, masks, HardPixels(probability=1e-9, share=0.25))
    torch.testing.assert_close(worst, losses.topk(32).values.mean())


def test_errors_are_in_pixels_and_in_eye_distances() -> None:
    truth = torch.rand(68, 2, 3) * 50
    truth[36], truth[45] = 0.0, torch.tensor([30.0, 40.0])[:, None]
    pixels, shares = point_errors(truth + torch.tensor([3.0, 4.0])[:, None], truth)
    torch.testing.assert_close(pixels, torch.full((204,), 5.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(shares, torch.full((204,), 0.1), atol=1e-5, rtol=0)


def test_unknown_landmarks_and_those_off_the_picture_do_not_teach() -> None:
    torch.manual_seed(0)
    recipe = LandmarkerRecipe("l", network=TrunkNetwork(width=4, image_size=32))
    learner = LandmarkLearner(recipe)
    images, rest = (
        torch.rand(2, 3, 32, 32),
        (torch.zeros(2, 32, 32), torch.zeros(2), torch.zeros(2)),
    )
    landmarks = torch.rand(68, 2, 2) * 31
    fewer = landmarks.clone()
    fewer[5], fewer[9, 0] = torch.nan, -12.0
    learner.eval()
    first = learner(images, fewer, *rest)["landmark"]
    far = fewer.clone()
    far[9, 0] = 1000.0
    assert torch.equal(first, learner(images, far, *rest)["landmark"])
    assert first.isfinite()
    assert not torch.equal(first, learner(images, landmarks, *rest)["landmark"])
    assert np.isfinite(first.item())
