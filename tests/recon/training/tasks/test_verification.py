from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.training.tasks.recogniser import separation, verification_accuracy

RANDOM = np.random.default_rng(0)
PEOPLE = np.repeat(np.arange(40), 4)


def features(spread: float) -> np.ndarray:
    centres = RANDOM.standard_normal((40, 16))
    return centres[PEOPLE] + spread * RANDOM.standard_normal((160, 16))


def test_tight_people_are_told_apart_and_noise_is_not() -> None:
    assert verification_accuracy(features(0.01), PEOPLE) == 1.0
    assert separation(features(0.01), PEOPLE) == 1.0
    noise = RANDOM.standard_normal((160, 16))
    assert verification_accuracy(noise, PEOPLE) == pytest.approx(0.5, abs=0.06)
    assert separation(noise, PEOPLE) == pytest.approx(0.5, abs=0.06)


def test_separation_counts_pairs_as_a_double_loop_does() -> None:
    vectors, people = features(1.5)[:24], PEOPLE[:24]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    same, other = [], []
    for i in range(24):
        for j in range(i):
            (same if people[i] == people[j] else other).append(float(unit[i] @ unit[j]))
    wins = np.mean([a > b for a in same for b in other])
    assert separation(vectors, people) == pytest.approx(wins)


def test_length_of_a_vector_does_not_matter() -> None:
    vectors = features(1.0)
    scaled = vectors * RANDOM.uniform(0.1, 9, (160, 1))
    assert verification_accuracy(scaled, PEOPLE) == verification_accuracy(vectors, PEOPLE)


def test_too_few_people_give_no_number() -> None:
    assert np.isnan(verification_accuracy(RANDOM.standard_normal((4, 8)), np.zeros(4, int)))


def test_a_network_that_diverged_has_no_accuracy() -> None:
    vectors = RANDOM.standard_normal((len(PEOPLE), 8))
    vectors[3, 2] = np.nan
    assert np.isnan(verification_accuracy(vectors, PEOPLE))
    assert np.isnan(separation(RANDOM.standard_normal((4, 8)), np.zeros(4, int)))


def test_features_that_are_no_numbers_give_no_area() -> None:
    """In the order of scores NaN would be the largest, and the area a number."""
    vectors = features(0.01)
    vectors[3] = np.nan
    assert np.isnan(separation(vectors, PEOPLE))
