"""Made-up methods are as good as they say."""

from __future__ import annotations

import numpy as np

from facebench.bench.audit.grades import GRADES, Grade
from facebench.bench.audit.truth import PersonTruth, face_vertices, true_errors
from facebench.recon.morphable.model import MorphableModel


def test_the_best_is_the_truth_and_the_rest_are_ordered_by_their_true_error(
    model: MorphableModel,
) -> None:
    generator = np.random.default_rng(3)
    errors: dict[str, list[float]] = {grade.name: [] for grade in GRADES}
    for _ in range(6):
        identity = generator.standard_normal(model.identity_basis.shape[2])
        vertices = np.asarray(model.mesh(identity=identity).vertices, np.float64)
        person = PersonTruth("s", vertices, identity, {}, vertices[model.landmarks])
        face = face_vertices(model, person)
        for grade in GRADES:
            mesh = grade.predict(model, identity, generator)
            errors[grade.name].append(float(true_errors(mesh, person, face, scaled=True).mean()))
    means = {name: float(np.mean(values)) for name, values in errors.items()}
    assert means["the model's best"] < 1e-9
    shrunk = [means[name] for name in ("three quarters", "half", "mean face", "another person")]
    assert shrunk == sorted(shrunk)
    assert means["half and off"] > means["half"]


def test_what_is_added_comes_from_the_generator(model: MorphableModel) -> None:
    identity = np.zeros(model.identity_basis.shape[2])
    first, again = (
        Grade("x", 0.0, 1.0).predict(model, identity, np.random.default_rng(1)).vertices
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
