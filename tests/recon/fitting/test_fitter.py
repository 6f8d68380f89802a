"""Fits of drawn faces: what is known of them comes back, and no face disturbs another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from drawn_faces import Drawn

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import Coefficients
from facebench.recon.fitting.fitter import FEWEST_LANDMARKS, Fit, Fitter
from facebench.recon.fitting.solver import FittingSettings
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(scope="module")
def fit(fitter: Fitter, drawn: Drawn) -> Fit:
    return fitter.fit(drawn.images, drawn.landmarks)


def _landmarks_alone(model: MorphableModel, **settings: float) -> Fitter:
    chosen = replace(FittingSettings(pixel_blurs=(), pixel_spacing=9.0), **settings)
    return Fitter(model, 96, chosen)


def test_exact_landmarks_give_the_face_back(model: MorphableModel, drawn: Drawn) -> None:
    """With no noise to fear, 136 numbers decide 27; the prior's share is its weight."""
    exact = _landmarks_alone(model, landmark_deviation=1e-3, contour_weight=1.0)
    found = exact.fit(drawn.images, drawn.landmarks)
    true = drawn.faces
    assert found.converged.all() and found.landmark_residual.max() < 2e-3
    torch.testing.assert_close(found.coefficients.pose, true.pose, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.coefficients.identity, true.identity, atol=0.02, rtol=0)
    torch.testing.assert_close(found.coefficients.expression, true.expression, atol=0.02, rtol=0)


def test_the_less_landmarks_are_trusted_the_nearer_to_the_mean_face(
    model: MorphableModel, drawn: Drawn
) -> None:
    sizes = [
        _landmarks_alone(model, landmark_deviation=deviation, landmark_tail=1e3)
        .fit(drawn.images, drawn.landmarks)
        .coefficients.identity.norm()
        for deviation in (1.0, 4.0, 16.0, 64.0)
    ]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.1 * sizes[0]


def test_pixels_improve_on_landmarks(
    model: MorphableModel, fitter: Fitter, drawn: Drawn, fit: Fit
) -> None:
    before = _landmarks_alone(model).fit(drawn.images, drawn.landmarks)
    assert (fit.pixel_residual < 0.7 * before.pixel_residual).all()
    gain = _identity_error(before, drawn.faces) - _identity_error(fit, drawn.faces)
    assert (gain > 0).all()


def test_the_same_twice(fitter: Fitter, drawn: Drawn, fit: Fit) -> None:
    again = fitter.fit(drawn.images, drawn.landmarks)
    assert torch.equal(again.coefficients.vector(), fit.coefficients.vector())


def test_alone_or_with_a_face_gone_wrong(fitter: Fitter, drawn: Drawn, fit: Fit) -> None:
    """The neighbours of one face are: none; a photograph of NaN; landmarks that are not there."""
    alone = fitter.fit(drawn.images[:1], drawn.landmarks[..., :1])
    spoilt = drawn.images.clone()
    spoilt[1] = torch.nan
    lost = drawn.landmarks.clone()
    lost[FEWEST_LANDMARKS - 1 :, :, 2] = torch.nan
    among = fitter.fit(spoilt, lost)
    for other in (alone, among):
        torch.testing.assert_close(
            other.coefficients.vector()[0], fit.coefficients.vector()[0], atol=1e-4, rtol=0
        )
    assert among.converged.tolist() == [bool(fit.converged[0]), False, False]
    assert among.coefficients.vector().isfinite().all()


def test_landmarks_far_off_end_in_a_face_all_the_same(fitter: Fitter, drawn: Drawn) -> None:
    wild = drawn.landmarks.clone()
    wild[:, :, 0] = 1e6 * torch.randn(68, 2, generator=torch.Generator().manual_seed(0))
    found = fitter.fit(drawn.images, wild)
    assert found.coefficients.vector().isfinite().all()
    assert found.landmark_residual[0] > 1e4 > found.landmark_residual[1:].max()


def test_one_wild_landmark_hardly_moves_the_face(model: MorphableModel, drawn: Drawn) -> None:
    fitter = _landmarks_alone(model, landmark_deviation=1.0, landmark_tail=4.0)
    wild = drawn.landmarks.clone()
    wild[30] += 40.0
    straight, bent = (fitter.fit(drawn.images, points) for points in (drawn.landmarks, wild))
    off = straight.coefficients.identity - bent.coefficients.identity
    assert off.abs().max() < 0.35


def test_hidden_pixels_do_not_count(fitter: Fitter, drawn: Drawn, fit: Fit) -> None:
    covered, weights = drawn.images.clone(), torch.ones(3, 96, 96)
    covered[:, :, 58:], weights[:, 58:] = torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1), 0.0
    found = fitter.fit(covered, drawn.landmarks, weights)
    assert (found.pixel_residual < 2.0 * fit.pixel_residual + 0.01).all()


def test_arrays_of_other_shapes_are_refused(fitter: Fitter, drawn: Drawn) -> None:
    with pytest.raises(FacebenchError, match="photographs are"):
        fitter.fit(drawn.images[..., :50], drawn.landmarks)
    with pytest.raises(FacebenchError, match="landmarks are"):
        fitter.fit(drawn.images, drawn.landmarks.permute(2, 0, 1))
    with pytest.raises(FacebenchError, match="weights are"):
        fitter.fit(drawn.images, drawn.landmarks, torch.ones(3, 50, 50))


@pytest.mark.parametrize(
    "wrong",
    [{"landmark_deviation": 0.0}, {"pixel_blurs": (1.0, -1.0)}, {"contour_from": 60.0}],
    ids=str,
)
def test_settings_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(FacebenchError, match=f"fitting: {next(iter(wrong))}"):
        FittingSettings(**wrong)


def _identity_error(fit: Fit, true: Coefficients) -> torch.Tensor:
    return (fit.coefficients.identity - true.identity).norm(dim=1)
