"""People of the human face model: faces that faces make, in skins that people have."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.appearance import (
    bounded_expression,
    random_albedo,
    random_beard,
    random_expression,
    strong_expression,
)
from facebench.recon.synthetic.faces import FaceSampler, true_coefficients
from facebench.recon.synthetic.photograph import cast_shadow, degrade, random_stream


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


def test_mouths_are_open_as_often_as_on_photographs() -> None:
    """References on 86 photographs: 7 % of the eye distance on average, a tenth above 16 %."""
    human = load_model("human")
    eye, other, upper, lower = human.landmarks[[36, 45, 62, 66]]
    gap = (human.mean_shape[upper] - human.mean_shape[lower])[1]
    moved = human.expression_basis[upper] - human.expression_basis[lower]
    faces = [random_expression(random_stream(0, "mouth", i), human) for i in range(400)]
    distance = np.linalg.norm(human.mean_shape[eye] - human.mean_shape[other])
    opening = np.array([(gap + moved[1] @ face) / distance for face in faces])
    assert 0.06 < opening.mean() < 0.10
    assert 0.12 < np.percentile(opening, 90) < 0.22 and np.percentile(opening, 99) > 0.28


def test_beards_grow_where_stubble_does_and_on_people_alone() -> None:
    human, embedded = load_model("human"), load_model("embedded")
    streams = [random_stream(0, "beard", i) for i in range(60)]
    beards = np.stack([random_beard(stream, human) for stream in streams])
    worn = beards.max(axis=1) > 0
    assert 3 <= worn.sum() <= 20 and beards.max() <= 1.0
    stubble = human.albedo_basis[:, 0, human.albedo_names.index("stubble")]
    assert beards[:, stubble == 0].max() == 0.0
    assert random_beard(streams[0], embedded).max() == 0.0


def test_what_happens_to_a_picture_later() -> None:
    """Smaller, compressed and grey pictures are among them; most stay as they are."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (48, 48, 3)).astype(np.uint8)
    found = [degrade(random_stream(0, "later", i), image) for i in range(60)]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in found)
    assert 15 < sum(np.array_equal(one, image) for one in found) < 45
    grey = [np.ptp(one.astype(int), axis=2).max() == 0 for one in found]
    assert 2 <= sum(grey) <= 16
    shadowed = cast_shadow(random_stream(0, "shadow"), np.ones((32, 32, 3), np.float32))
    assert 0.25 < shadowed.min() < shadowed.max() <= 1.0


def test_a_photograph_of_one() -> None:
    human = load_model("human")
    face = FaceSampler(human, 3, 64).face(2, 0)
    true = true_coefficients(human, face)
    assert CoefficientSizes.of(human).total == len(face.coefficients)
    assert true.expression.min() >= 0.0 and true.expression.max() <= 1.0
    assert face.image.std() > 10.0 and len(np.unique(face.mask)) > 6
