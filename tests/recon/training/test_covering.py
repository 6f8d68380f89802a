from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.errors import FacebenchError
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.recipes.regressor import AugmentationRecipe
from facebench.recon.synthetic.appearance import CLASS
from facebench.recon.training.augmentation import augmentation, cover, straight_edged, surface
from facebench.recon.training.shards import Sample

MOVING = {"shift": 0.1, "zoom": 0.2, "turn": 10.0, "gain": 0.2, "contrast": 0.3}


def photograph(seed: int = 0, size: int = 48) -> Sample:
    """Noise in which every pixel is skin, so that each covered one is told by its class."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 255, (size, size, 3), dtype=np.uint8)
    mask = np.full((size, size), CLASS["skin"], np.uint8)
    return Sample(image, random.uniform(0, size, (68, 2)).astype(np.float32), mask)


def is_covered(sample: Sample) -> bool:
    return bool((sample.mask == CLASS["background"]).any())


@given(st.integers(0, 10_000), st.integers(32, 130))
def test_picture_and_mask_change_in_the_same_places(seed: int, size: int) -> None:
    before = photograph(seed, size)
    after = cover(before, np.random.default_rng(seed))
    coverage = straight_edged(np.random.default_rng(seed), before.mask.shape)
    free, hidden = coverage == 0, coverage == 1
    np.testing.assert_array_equal(after.image[free], before.image[free])
    np.testing.assert_array_equal(after.mask == CLASS["background"], coverage > 0.5)
    np.testing.assert_array_equal(after.mask[coverage <= 0.5], before.mask[coverage <= 0.5])
    np.testing.assert_array_equal(after.landmarks, before.landmarks)
    if hidden.any():
        # A smooth thing meets noise in few pixels of exactly the same colour.
        assert (after.image[hidden] != before.image[hidden]).any(axis=1).mean() > 0.95


@given(st.integers(0, 10_000))
def test_every_cut_through_a_thing_is_one_piece(seed: int) -> None:
    """Lines, bands and rectangles are convex."""
    hidden = straight_edged(np.random.default_rng(seed), (64, 64)) > 0.5
    for lines in (hidden, hidden.T):
        changes = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        assert (np.count_nonzero(changes, axis=1) <= 2).all()


def test_a_quarter_of_the_picture_is_hidden_on_average_and_the_shares_vary() -> None:
    random = np.random.default_rng(0)
    shares = np.array([straight_edged(random, (32, 32)).mean() for _ in range(2000)])
    assert 0.15 < shares.mean() < 0.4
    assert shares.max() < 0.7
    assert shares.std() > 0.08


def test_things_have_colours_of_the_photograph_and_others() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    random = np.random.default_rng(0)
    looks = np.array([surface(random, red).reshape(-1, 3).mean(axis=0) for _ in range(400)])
    alike = (np.abs(looks - (200, 0, 0)) < (40, 1, 1)).all(axis=1).mean()
    assert alike == pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize("cover", [0.3, 1.0])
def test_the_share_of_covered_photographs_is_as_asked(cover: float) -> None:
    change = augmentation(AugmentationRecipe(cover=cover))
    photographs = (change(photograph(), np.random.default_rng(k)) for k in range(600))
    # Some things are so small or so far out that no pixel is hidden.
    assert np.mean([is_covered(one) for one in photographs]) == pytest.approx(cover, abs=0.06)


def test_without_a_share_nothing_is_drawn() -> None:
    """The stream stands where it stood before there were covers, and so does the photograph."""
    random, plain = np.random.default_rng(5), np.random.default_rng(5)
    augmentation(AugmentationRecipe(**MOVING))(photograph(), random)
    plain.uniform(size=8)  # zoom, turn, two shifts, three gains, contrast
    assert random.bit_generator.state == plain.bit_generator.state


def test_a_cover_changes_no_other_draw() -> None:
    with_cover = augmentation(AugmentationRecipe(**MOVING, cover=1.0))
    without = augmentation(AugmentationRecipe(**MOVING))
    one, two = (f(photograph(), np.random.default_rng(3)) for f in (with_cover, without))
    np.testing.assert_array_equal(one.landmarks, two.landmarks)
    same = (one.image == two.image).all(axis=2)
    assert same[one.mask != CLASS["background"]].mean() > 0.9


def test_a_seed_gives_one_cover() -> None:
    one, two, other = (cover(photograph(), np.random.default_rng(k)) for k in (1, 1, 2))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.mask, two.mask)
    assert (one.image != other.image).any()


@pytest.mark.parametrize("recipe", ["parser-embedded", "ours"])
def test_a_share_beyond_one_is_refused(recipe: str) -> None:
    with pytest.raises(FacebenchError, match=r"augmentation.cover is 1.5"):
        load_any_recipe(recipe, ["augmentation.cover=1.5"])
