"""Hands and objects before a face, and the camera."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.synthetic.appearance import CLASS
from facebench.recon.synthetic.occluders import Occluder, foreground_object, hand, occlude
from facebench.recon.synthetic.photograph import CameraEffects

SHAPE = (96, 96)
LANDMARKS = np.random.default_rng(0).uniform(20, 76, (68, 2))


def _occluders(seed: int) -> list[Occluder]:
    generator = np.random.default_rng(seed)
    skin = np.array([0.6, 0.45, 0.4])
    return [hand(generator, LANDMARKS, skin, SHAPE), foreground_object(generator, LANDMARKS, SHAPE)]


@pytest.mark.parametrize("seed", range(6))
def test_occluders_turn_what_they_cover_into_background(seed: int) -> None:
    picture = np.full((*SHAPE, 3), 0.5, np.float32)
    classes = np.full(SHAPE, CLASS["skin"], np.uint8)
    for occluder in _occluders(seed):
        colour, coverage = occluder
        assert coverage.max() > 0.5
        covered, hidden = occlude(picture, classes, occluder)
        np.testing.assert_array_equal(hidden == 0, coverage > 0.5)
        untouched = coverage == 0
        np.testing.assert_array_equal(covered[untouched], picture[untouched])
        full = coverage == 1
        np.testing.assert_allclose(covered[full], colour[full], atol=1e-6)


def test_an_ideal_camera_changes_nothing_but_rounding() -> None:
    ideal = CameraEffects(0.0, 0.0, np.ones(3, np.float32), 1.0, 1.0, 0.0)
    generator = np.random.default_rng(0)
    picture = generator.random((*SHAPE, 3), dtype=np.float32)
    stored = ideal.photograph(generator, picture)
    np.testing.assert_allclose(stored / 255, picture, atol=0.5 / 255 + 1e-6)


def test_blur_keeps_brightness_and_noise_has_its_deviation() -> None:
    generator = np.random.default_rng(0)
    picture = generator.uniform(0.3, 0.7, (*SHAPE, 3)).astype(np.float32)
    blurred = CameraEffects(2.0, 5.0, np.ones(3, np.float32), 1.0, 1.0, 0.0)
    stored = blurred.photograph(generator, picture) / 255
    assert stored.mean() == pytest.approx(picture.mean(), abs=0.003)
    assert stored.std() < 0.2 * picture.std()
    noisy = CameraEffects(0.0, 0.0, np.ones(3, np.float32), 1.0, 1.0, 0.05)
    grey = np.full((*SHAPE, 3), 0.5, np.float32)
    assert (noisy.photograph(generator, grey) / 255).std() == pytest.approx(0.05, rel=0.05)
