"""Smoothing over time against what a parabola fit must leave alone, and must remove."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facebench.recon.face.coefficients import FaceCoefficients
from facebench.recon.portraits.track import smooth

RATE = 25.0


def faces(curves: NDArray[np.float64]) -> FaceCoefficients:
    """Every changing coefficient follows one of the curves (N, 7 + 3 + 27)."""
    n = len(curves)
    constant = np.tile(np.arange(4.0), (n, 1))
    pose = curves[:, :7].copy()
    pose[:, 6] = np.exp(pose[:, 6])
    return FaceCoefficients(
        constant, curves[:, 7:10], constant, pose, curves[:, 10:].reshape(n, 9, 3)
    )


def curves_of(found: FaceCoefficients) -> NDArray[np.float64]:
    pose = found.pose.copy()
    pose[:, 6] = np.log(pose[:, 6])
    return np.hstack([pose, found.expression, found.light.reshape(len(found), 27)])


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 60), st.integers(0, 1000))
def test_a_parabola_is_left_as_it_is(count: int, seed: int) -> None:
    time = np.linspace(0.0, 1.0, count)[:, None]
    a, b, c = np.random.default_rng(seed).normal(0, 0.2, (3, 1, 37))
    truth = a + b * time + c * time**2
    found = smooth(faces(truth), np.arange(count), RATE)
    np.testing.assert_allclose(curves_of(found), truth, atol=1e-9)


def test_jitter_goes_and_movement_stays() -> None:
    time = np.arange(150)[:, None] / RATE
    truth = 0.3 * np.sin(2.0 * np.pi * 0.5 * time + np.arange(37))
    noise = np.random.default_rng(0).normal(0.0, 0.05, truth.shape)
    found = curves_of(smooth(faces(truth + noise), np.arange(150), RATE))
    assert np.std(found - truth) < 0.6 * np.std(noise)
    lag = [np.mean((found[5 + k : 140 + k] - truth[5:140]) ** 2) for k in range(-3, 4)]
    assert int(np.argmin(lag)) == 3


def test_identity_and_albedo_stay() -> None:
    given_faces = faces(np.random.default_rng(0).normal(0, 0.1, (20, 37)))
    found = smooth(given_faces, np.arange(20), RATE)
    np.testing.assert_array_equal(found.identity, given_faces.identity)
    np.testing.assert_array_equal(found.albedo, given_faces.albedo)


def test_an_angle_that_passes_pi_does_not_jump() -> None:
    turning = np.zeros((40, 37))
    turning[:, 2] = np.linspace(2.5, 3.8, 40)
    wrapped = turning.copy()
    wrapped[:, 2] = (wrapped[:, 2] + np.pi) % (2 * np.pi) - np.pi
    found = smooth(faces(wrapped), np.arange(40), RATE).pose[:, 2]
    np.testing.assert_allclose(np.exp(1j * found), np.exp(1j * turning[:, 2]), atol=1e-9)


def test_the_filter_starts_anew_after_a_gap() -> None:
    step = np.repeat([[0.0], [1.0]], 12, axis=0) * np.ones(37)
    apart = np.concatenate([np.arange(12), np.arange(12) + 60])
    np.testing.assert_allclose(curves_of(smooth(faces(step), apart, RATE)), step, atol=1e-9)
    together = curves_of(smooth(faces(step), np.arange(24), RATE))
    assert np.abs(together - step).max() > 0.1


def test_a_missing_frame_within_a_run_is_bridged() -> None:
    time = np.delete(np.arange(30), [4, 11, 12])
    truth = 0.01 * time[:, None] * np.ones(37)
    np.testing.assert_allclose(curves_of(smooth(faces(truth), time, RATE)), truth, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_frames_stay_as_they_are(count: int) -> None:
    values = np.random.default_rng(1).normal(0, 0.1, (count, 37))
    found = smooth(faces(values), np.arange(count) * 3, RATE, seconds=0.1)
    np.testing.assert_allclose(curves_of(found), values, atol=1e-12)
