"""The first modes of a model, or zeros beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.morphable.measures import mode_deviations, padding, with_mode_counts
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import embedded_model


@pytest.fixture
def model() -> MorphableModel:
    return embedded_model()


def test_nothing_asked_is_nothing_changed(model: MorphableModel) -> None:
    assert with_mode_counts(model, {}).digest == model.digest
    assert padding(model, {}) == {}


def test_fewer_are_the_first(model: MorphableModel) -> None:
    few = with_mode_counts(model, {"identity": 3, "albedo": 0})
    np.testing.assert_array_equal(few.identity_basis, model.identity_basis[..., :3])
    assert few.identity_names == model.identity_names[:3]
    assert few.albedo_basis.shape[2] == 0 and few.albedo_names == ()


def test_more_are_zeros_that_move_nothing(model: MorphableModel) -> None:
    counts = {"identity": 100, "expression": 80, "albedo": 100}
    paper = with_mode_counts(model, counts)
    assert CoefficientSizes.of(paper).total == 314
    assert padding(model, counts) == {"identity": 88, "expression": 71, "albedo": 92}
    assert not paper.expression_basis[..., 9:].any()
    np.testing.assert_array_equal(paper.expression_basis[..., :9], model.expression_basis)
    assert len(paper.expression_names) == 80 and len(set(paper.expression_names)) == 80


def test_deviations_are_those_of_drawn_faces(model: MorphableModel) -> None:
    """What the modes move together, against faces drawn at random."""
    random = np.random.default_rng(0)
    moved = [
        model.mesh(identity).vertices - model.mean_shape
        for identity in random.normal(size=(400, 12))
    ]
    drawn = np.sqrt((np.linalg.norm(moved, axis=2) ** 2).mean())
    together = np.sqrt((mode_deviations(model.identity_basis) ** 2).sum())
    assert together == pytest.approx(drawn, rel=0.05)
