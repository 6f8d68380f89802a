"""A fitter in a network's place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from facebench.errors import FacebenchError
from facebench.recon.face.crop import Box, box_overlap, crop_square
from facebench.recon.morphable.load import load_model
from facebench.recon.network.vision_weights import embedded_network
from facebench.recon.portraits.reconstructor import (
    FITTED_SIZE,
    FaceCrop,
    FittingNetwork,
    ReconstructionMethod,
    Reconstructor,
    choose_method,
    choose_network,
)
from facebench.recon.vision.landmarks import MOUTH, MOUTH_SHARPNESS, make_landmark_detector

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
        assert usual == ReconstructionMethod("fitting", "human", None, "embedded")
        trained = choose_method(None, None, weights)
        assert trained == ReconstructionMethod("ours", "embedded", weights, "embedded")
        assert choose_method("ours", None, None) == ReconstructionMethod(
            "ours", "human", None, "embedded"
        )
        own = choose_method("fitting", "mine.npz", landmarker)
        assert own == ReconstructionMethod("fitting", "mine.npz", None, str(landmarker))


def test_an_unknown_method_and_a_fit_to_nothing_are_refused() -> None:
    with pytest.raises(FacebenchError, match="no method 'hope'"):
        choose_method("hope", None, None)
    with pytest.raises(FacebenchError, match="a fit starts from landmarks"):
        choose_method("fitting", None, None, "none")


@pytest.fixture(scope="module")
def fitted() -> Reconstructor:
    human = load_model("human")
    return Reconstructor(
        human, choose_network(choose_method(None, None, None, "embedded"), human)[0]
    )


def test_boxes_are_brought_to_the_landmarks(
    fitted: Reconstructor,
) -> None:
    frame = skimage.data.astronaut()
    off = Box(_FACE.left + 15.0, _FACE.top - 12.0, 1.15 * _FACE.width, 1.15 * _FACE.height)
    (first,), (second,) = (fitted.frame_faces(frame, [box]) for box in (_FACE, off))
    # Two starts that overlap by less end in boxes of the same face.
    assert box_overlap(first, second) > 0.85 > box_overlap(_FACE, off)
    assert fitted.frame_faces(frame, []) == []


def test_the_black_beyond_a_picture_is_no_shadow(fitted: Reconstructor) -> None:
    """The same face, whole and cut in two by the picture's edge."""
    frame = skimage.data.astronaut()
    (box,) = fitted.frame_faces(frame, [_FACE])
    whole = FaceCrop(frame, box, fitted.crop_size).crop
    cut = whole.copy()
    cut[:, len(cut) // 2 :] = 0
    faces = fitted.regress(np.stack([whole, cut]))
    cheeks = fitted.model.vertices_of("left_cheek", "right_cheek")
    shown = [np.asarray(fitted.mesh(faces[n]).colours)[cheeks].mean() for n in range(2)]
    assert shown[1] > 0.9 * shown[0]


class _Elsewhere:
    """Landmarks in the left half of whatever box is given, as where there is no face."""

    def landmarks(self, frames: Sequence[np.ndarray], boxes: Sequence[Box]) -> np.ndarray:
        share = np.linspace(0.0, 1.0, 68)[:, None] * [0.45, 1.0]
        return np.stack([share * [b.width, b.height] + [b.left, b.top] for b in boxes])


def test_a_box_that_its_landmarks_leave_is_no_face(
    fitted: Reconstructor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(fitted.regressor, FittingNetwork)
    monkeypatch.setattr(fitted.regressor.crop_fitter, "detector", _Elsewhere())
    boxes = [_FACE, Box(0.0, 0.0, 60.0, 60.0)]
    assert fitted.frame_faces(skimage.data.astronaut(), boxes) == []


def test_a_sharper_mouth_moves_the_lips_alone() -> None:
    frame = skimage.data.astronaut()
    plain, sharp = (
        make_landmark_detector("embedded", mouth_sharpness=power).landmarks([frame], [_FACE])[0]
        for power in (1.0, MOUTH_SHARPNESS)
    )
    np.testing.assert_array_equal(sharp[: MOUTH.start], plain[: MOUTH.start])
    # She smiles with her lips apart.
    opened, before = (np.linalg.norm(points[62] - points[66]) for points in (sharp, plain))
    assert opened > before
