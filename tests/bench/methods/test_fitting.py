"""Method `fitting`: crops to vectors, whatever else is in the batch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facebench.bench.method.interface import Method, MethodOptions, TakesLandmarks
from facebench.bench.method.registry import build_method
from facebench.bench.methods.fitting import CROP_SIZE, Fitting
from facebench.errors import FacebenchError
from facebench.recon.face.crop import crop_window
from facebench.recon.fitting.fitter import box_of_crop
from facebench.recon.morphable.load import load_model
from facebench.recon.regressors.checkpoint import embedded_weights
from facebench.recon.synthetic.faces import FaceSampler


@pytest.fixture(scope="module")
def method() -> Method:
    return build_method("fitting", MethodOptions(expression="predicted"))


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    """A made-up person, noise, and nothing at all."""
    noise = np.random.default_rng(0).integers(0, 256, (CROP_SIZE, CROP_SIZE, 3), np.uint8)
    face = FaceSampler(load_model("embedded"), 5, CROP_SIZE).face(0, 0).image
    return np.stack([face, noise, np.zeros_like(noise)])


def test_every_crop_gives_a_face_whatever_is_beside_it(
    method: Method, crops: NDArray[np.uint8]
) -> None:
    model = load_model("embedded")
    n_identity, n_expression = model.identity_basis.shape[2], model.expression_basis.shape[2]
    vectors = method.describe(crops)
    assert vectors.shape == (3, n_identity + n_expression) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    alone = method.describe(crops[:1])
    np.testing.assert_allclose(alone, vectors[:1], atol=2e-3)
    expected = model.mesh(vectors[0, :n_identity], vectors[0, n_identity:])
    np.testing.assert_array_equal(method.mesh(vectors[0]).vertices, expected.vertices)


def test_landmarks_that_are_given_are_better_than_found(method: Method) -> None:
    """The fit lies nearer to a made-up face's true landmarks when it is told them."""
    face = FaceSampler(load_model("embedded"), 5, CROP_SIZE).face(0, 0)
    given = np.full((2, 68, 2), np.nan)
    given[1] = face.landmarks
    assert isinstance(method, TakesLandmarks) and isinstance(method, Fitting)
    fit = method.fitter.fit(np.stack([face.image] * 2), given)
    found = method.fitter.fitter.face.landmarks(fit.coefficients).permute(2, 0, 1).cpu().numpy()
    off = np.linalg.norm(found - face.landmarks, axis=2).mean(axis=1)
    assert off[1] < 0.75 * off[0]
    one, two = method.faces_at_landmarks(np.stack([face.image] * 2), given)
    assert not np.array_equal(one.mesh.vertices, two.mesh.vertices)


def test_the_box_of_a_crop_is_cut_to_all_of_it() -> None:
    window = crop_window(box_of_crop(CROP_SIZE))
    np.testing.assert_allclose((window.left, window.top, window.side), (0, 0, CROP_SIZE), atol=1e-9)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(FacebenchError):
        build_method("fitting", MethodOptions(embedded_weights()))
