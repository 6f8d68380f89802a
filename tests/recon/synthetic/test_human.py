"""People of the human face model: faces that faces make, in skins that people have."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.appearance import (
    bounded_expression,
    random_albedo,
    random_expression,
    strong_expression,
)
from facebench.recon.synthetic.faces import FaceSampler, true_coefficients
from facebench.recon.synthetic.photograph import random_stream


@pytest.mark.parametrize("draw", [random_expression, strong_expression])
def test_expressions_are_weights(draw: object) -> None:
    human = load_model("human")
    faces = np.stack([draw(random_stream(0, "test", i), human) for i in range(40)])  # type: ignore[operator]
    assert faces.min() >= 0.0 and faces.max() <= 1.0 and faces.std(axis=0).max() > 0.1
    np.testing.assert_array_equal(bounded_expression(human, faces[0]), faces[0])


def test_skins_are_drawn_as_they_go_together() -> None:
    human, embedded = load_model("human"), load_model("embedded")
    names = human.albedo_names
    skins = np.stack([random_albedo(random_stream(0, "test", i), human) for i in range(80)])
    by_name = dict(zip(names, skins.T, strict=True))
    # Beards and freckles are there or not; dark skin goes with dark eyes and brows.
    assert by_name["stubble"].min() == 0.0 and by_name["freckles"].min() >= 0.0
    dark = by_name["skin_tone"] > 0.2
    assert by_name["iris_blue"][dark].max() < 0.0 < by_name["iris_blue"][~dark].max()
    assert np.ptp(by_name["skin_tone"]) > 4.0
    normal = random_stream(0, "test", 1).standard_normal(embedded.albedo_basis.shape[2])
    np.testing.assert_allclose(
        random_albedo(random_stream(0, "test", 1), embedded), normal.clip(-3, 3), rtol=1e-6
    )


def test_a_photograph_of_one() -> None:
    human = load_model("human")
    face = FaceSampler(human, 3, 64).face(2, 0)
    true = true_coefficients(human, face)
    assert CoefficientSizes.of(human).total == len(face.coefficients)
    assert true.expression.min() >= 0.0 and true.expression.max() <= 1.0
    assert face.image.std() > 10.0 and len(np.unique(face.mask)) > 6
