from __future__ import annotations

import numpy as np

from facebench.recon.morphable.landmarks import MIRRORED
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.vision import LandmarkerRecipe
from facebench.recon.synthetic.appearance import CLASS
from facebench.recon.training.augmentation import mirror, random_change
from facebench.recon.training.shards import Sample


def sample() -> Sample:
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (12, 12, 3), dtype=np.uint8)
    mask = random.integers(0, 19, (12, 12), dtype=np.uint8)
    return Sample(image, random.uniform(0, 11, (68, 2)).astype(np.float32), mask)


def test_the_mirror_image_of_the_mirror_image_is_the_photograph() -> None:
    once = sample()
    twice = mirror(mirror(once))
    np.testing.assert_array_equal(twice.image, once.image)
    np.testing.assert_array_equal(twice.mask, once.mask)
    np.testing.assert_allclose(twice.landmarks, once.landmarks, atol=1e-5)


def test_landmarks_of_a_symmetric_face_mirror_into_themselves() -> None:
    """The embedded mean face is symmetric, so its mirror image has the same landmarks."""
    model = load_model("embedded")
    points = model.mean_shape[model.landmarks]
    reflected = points[list(MIRRORED)] * np.array([-1, 1, 1])
    np.testing.assert_allclose(reflected, points, atol=1e-3)


def test_labels_and_pixels_change_sides() -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[1, 0], mask[2, 4] = CLASS["l_eye"], CLASS["nose"]
    image = np.zeros((4, 6, 3), np.uint8)
    image[1, 0] = 9
    turned = mirror(Sample(image, np.zeros((68, 2), np.float32), mask))
    assert turned.mask[1, 5] == CLASS["r_eye"]
    assert turned.mask[2, 1] == CLASS["nose"]
    assert (turned.image[1, 5] == 9).all()
    assert (turned.landmarks[:, 0] == 5).all()


def test_the_recipe_says_how_often() -> None:
    always, never = LandmarkerRecipe("a", flip=1.0), LandmarkerRecipe("b", flip=0.0)
    random, once = np.random.default_rng(0), sample()
    np.testing.assert_array_equal(random_change(always)(once, random).image, mirror(once).image)
    np.testing.assert_array_equal(random_change(never)(once, random).image, once.image)
