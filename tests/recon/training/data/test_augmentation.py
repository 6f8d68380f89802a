from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.recipes.regressor import AugmentationRecipe
from facebench.recon.training.data.augmentation import augmentation, moved_sample, recoloured
from facebench.recon.training.data.shards import Sample


def blob(x: float, y: float, size: int = 65) -> Sample:
    """A bright soft spot with a landmark on it, and a mask of it."""
    rows, columns = np.mgrid[:size, :size]
    value = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8.0)
    image = np.repeat((value * 255).astype(np.uint8)[..., None], 3, axis=2)
    mask = (value > 0.5).astype(np.uint8)
    return Sample(image, np.tile(np.float32([x, y]), (68, 1)), mask)


@pytest.mark.parametrize(
    ("zoom", "turn", "shift"),
    [(1.0, 0.0, (7.0, -3.0)), (1.3, 0.0, (0.0, 0.0)), (1.0, 0.5, (0.0, 0.0)), (0.8, -0.4, (3, 5))],
)
def test_landmark_and_mask_stay_on_the_spot(
    zoom: float, turn: float, shift: tuple[float, float]
) -> None:
    moved = moved_sample(blob(40.0, 25.0), zoom, turn, np.array(shift))
    weight = moved.image[..., 0].astype(float)
    rows, columns = np.mgrid[:65, :65]
    centre = [(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()]
    np.testing.assert_allclose(moved.landmarks[0], centre, atol=0.1)
    marked = np.argwhere(moved.mask).mean(axis=0)[::-1]
    np.testing.assert_allclose(moved.landmarks[0], marked, atol=0.4)


def test_gain_is_per_channel_and_contrast_keeps_the_mean() -> None:
    sample = blob(30.0, 30.0)
    brighter = recoloured(sample, np.array([1.0, 0.5, 1.0]), 1.0).image
    np.testing.assert_allclose(brighter[..., 1], sample.image[..., 1] / 2, atol=0.6)
    flat = recoloured(sample, np.ones(3), 0.0).image
    assert np.ptp(flat) == 0
    assert flat.mean() == pytest.approx(sample.image.mean(), abs=0.5)


def test_nothing_asked_changes_nothing() -> None:
    sample = blob(30.0, 20.0)
    same = augmentation(AugmentationRecipe())(sample, np.random.default_rng(0))
    assert (same.image == sample.image).all()
    assert (same.landmarks == sample.landmarks).all()
