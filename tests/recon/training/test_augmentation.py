from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.recipes.regressor import AugmentationRecipe
from facebench.recon.training.augmentation import augmentation, move, recolour, restyle
from facebench.recon.training.shards import Sample


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
    moved = move(blob(40.0, 25.0), zoom, turn, np.array(shift))
    weight = moved.image[..., 0].astype(float)
    rows, columns = np.mgrid[:65, :65]
    centre = [(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()]
    np.testing.assert_allclose(moved.landmarks[0], centre, atol=0.1)
    marked = np.argwhere(moved.mask).mean(axis=0)[::-1]
    np.testing.assert_allclose(moved.landmarks[0], marked, atol=0.4)


def test_gain_is_per_channel_and_contrast_keeps_the_mean() -> None:
    sample = blob(30.0, 30.0)
    brighter = recolour(sample, np.array([1.0, 0.5, 1.0]), 1.0).image
    np.testing.assert_allclose(brighter[..., 1], sample.image[..., 1] / 2, atol=0.6)
    flat = recolour(sample, np.ones(3), 0.0).image
    assert np.ptp(flat) == 0
    assert flat.mean() == pytest.approx(sample.image.mean(), abs=0.5)


def test_nothing_asked_changes_nothing() -> None:
    sample = blob(30.0, 20.0)
    same = augmentation(AugmentationRecipe())(sample, np.random.default_rng(0))
    assert (same.image == sample.image).all()
    assert (same.landmarks == sample.landmarks).all()


def test_another_style_keeps_landmarks_and_mask_and_follows_from_its_seed() -> None:
    sample = blob(30.0, 20.0)
    one, two, other = (restyle(sample, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.image, two.image)
    assert (one.image != other.image).any()
    for styled in (one, other):
        np.testing.assert_array_equal(styled.landmarks, sample.landmarks)
        np.testing.assert_array_equal(styled.mask, sample.mask)
        assert styled.image.dtype == np.uint8
        assert styled.image.shape == sample.image.shape


def test_another_style_leaves_what_is_face_where_it_is() -> None:
    """Over many styles the spot is found again by its contrast; what is around it is not kept."""
    sample = blob(40.0, 25.0)
    around = np.random.default_rng(0).integers(0, 256, sample.image.shape, np.uint8)
    inside = sample.mask[..., None] > 0
    drawn = Sample(np.where(inside, sample.image, around), sample.landmarks, sample.mask)
    inner, outer = [], []
    for seed in range(60):
        styled = restyle(drawn, np.random.default_rng(seed)).image.mean(2)
        for found, mask in ((inner, drawn.mask > 0), (outer, drawn.mask == 0)):
            found.append(abs(np.corrcoef(styled[mask], drawn.image.mean(2)[mask])[0, 1]))
    assert np.nanmedian(inner) > 0.7
    assert np.nanmean(np.array(outer) < 0.2) > 0.3


def test_a_style_changes_no_other_draw() -> None:
    moving = {"shift": 0.1, "zoom": 0.2, "turn": 10.0}
    shares = (AugmentationRecipe(**moving, style=share) for share in (0.0, 1.0))
    with_none, with_all = (
        augmentation(recipe)(blob(30.0, 20.0), np.random.default_rng(4)) for recipe in shares
    )
    np.testing.assert_array_equal(with_none.landmarks, with_all.landmarks)
    assert (with_none.image != with_all.image).any()
