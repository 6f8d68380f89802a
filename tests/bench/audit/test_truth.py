"""The true error of predictions whose error is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facebench.bench.audit.truth import PersonTruth, face_vertices, read_truth, true_errors
from facebench.bench.surface.similarity import Similarity
from facebench.errors import FacebenchError
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(name="person")
def _person(model: MorphableModel) -> PersonTruth:
    identity = np.linspace(-1, 1, model.identity_basis.shape[2])
    mesh = model.mesh(identity=identity)
    vertices = np.asarray(mesh.vertices, np.float64)
    return PersonTruth("subject_01", vertices, identity, {}, vertices[model.landmarks])


def test_a_similarity_of_the_truth_has_no_error(model: MorphableModel, person: PersonTruth) -> None:
    face = face_vertices(model, person)
    moved = Similarity(1.1, Rotation.from_rotvec([0.2, 1.0, -0.4]).as_matrix(), np.ones(3))
    prediction = replace(model.mesh(), vertices=moved.apply(person.vertices))
    assert true_errors(prediction, person, face, scaled=True).max() < 1e-9
    rigid = true_errors(prediction, person, face, scaled=False)
    away = person.vertices[face] - person.vertices[face].mean(0)
    np.testing.assert_allclose(rigid, 0.1 * np.linalg.norm(away, axis=1), atol=1e-9)


def test_one_displaced_point_is_off_by_that_much(
    model: MorphableModel, person: PersonTruth
) -> None:
    face = face_vertices(model, person)
    vertices = person.vertices.copy()
    tip = model.landmarks[30]
    vertices[tip] += [0.0, 0.0, 2.0]
    errors = true_errors(replace(model.mesh(), vertices=vertices), person, face, scaled=True)
    place = int(face[:tip].sum())
    assert errors[place] == pytest.approx(2.0, abs=0.02)
    assert np.delete(errors, place).max() < 0.02


def test_the_face_is_near_the_nose_and_in_named_parts(
    model: MorphableModel, person: PersonTruth
) -> None:
    face = face_vertices(model, person)
    tip = person.landmarks[30]
    assert np.linalg.norm(person.vertices[face] - tip, axis=1).max() <= 95
    assert face[model.landmarks[17:]].mean() > 0.9


def test_a_set_without_truth_is_refused(tmp_path: Path, model: MorphableModel) -> None:
    with pytest.raises(FacebenchError, match="no truth beside it"):
        read_truth(tmp_path / "data", model)
