"""A fitter in a network's place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from facebench.errors import FacebenchError
from facebench.recon.face.crop import Box, crop_square
from facebench.recon.morphable.load import load_model
from facebench.recon.network.vision_weights import embedded_network
from facebench.recon.portraits.reconstructor import (
    FITTED_SIZE,
    MethodChoice,
    Reconstructor,
    choose_method,
    choose_network,
)

_FACE = Box(174.0, 70.0, 95.0, 110.0)
"""The face in scikit-image's astronaut, from brows to chin and ear to ear."""


def test_it_fits_what_a_network_would_regress() -> None:
    human = load_model("human")
    network, name, digest = choose_network(choose_method(None, None, None, "embedded"), human)
    assert name == "fitting"
    assert digest == hashlib.sha256(embedded_network("landmarker").read_bytes()).hexdigest()
    reconstructor = Reconstructor(human, network)
    assert reconstructor.crop_size == FITTED_SIZE
    crop = crop_square(skimage.data.astronaut(), _FACE, FITTED_SIZE)
    face = reconstructor.regress(crop[None])
    direct = network.crop_fitter.fit(crop[None]).coefficients
    # The skin of the photograph is not the mean one, and what is seen is the fit's.
    assert np.abs(face.albedo - direct.albedo.numpy()).max() > 0.1
    np.testing.assert_allclose(face.identity, direct.identity.numpy(), atol=1e-5)
    assert np.abs(face.identity).max() > 0.3
    # Weights of face units, about where they may be; landmarks of the fit on the face.
    assert face.expression.min() > -0.5 and face.expression.max() < 1.35
    points = reconstructor.landmarks(face, (FITTED_SIZE, FITTED_SIZE))[0]
    middle = points.mean(axis=0)
    assert np.abs(middle - FITTED_SIZE / 2).max() < 25 and np.ptp(points[:, 0]) > 90


def test_a_photograph_is_fitted_unless_a_network_is_asked_for(tmp_path: Path) -> None:
    weights, landmarker = tmp_path / "weights.pt", tmp_path / "landmarker.pt"
    landmarker.write_bytes(b"")
    with pytest.MonkeyPatch.context() as nothing_fetched:
        nothing_fetched.setenv("FACEBENCH_WEIGHTS", str(tmp_path))
        usual = choose_method(None, None, None)
        assert usual == MethodChoice("fitting", "human", None, "embedded")
        trained = choose_method(None, None, weights)
        assert trained == MethodChoice("ours", "embedded", weights, "none")
        assert choose_method("ours", None, None) == MethodChoice("ours", "embedded", None, "none")
        own = choose_method("fitting", "mine.npz", landmarker)
        assert own == MethodChoice("fitting", "mine.npz", None, str(landmarker))


def test_an_unknown_method_and_a_fit_to_nothing_are_refused() -> None:
    with pytest.raises(FacebenchError, match="no method 'hope'"):
        choose_method("hope", None, None)
    with pytest.raises(FacebenchError, match="a fit starts from landmarks"):
        choose_method("fitting", None, None, "none")
