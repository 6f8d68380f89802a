"""The parts of the embedded model come back on other faces, in any pose, unit and topology."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.landmarks import SEVEN, Landmarks, face_parts, transfer_parts
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model


@pytest.fixture(scope="module")
def whole() -> MorphableModel:
    return procedural_model()


@pytest.mark.parametrize("count", [7, 68])
def test_the_mean_face_gets_its_own_parts(whole: MorphableModel, any_pose, count: int) -> None:
    pose = any_pose(3, 0.01)
    face = replace(whole.mesh(), vertices=pose.apply(whole.mean_shape.astype(np.float64)))
    points = Landmarks.of_mesh(face).points
    landmarks = Landmarks(points if count == 68 else points[SEVEN])
    expected = face_parts(whole.region, whole.region_names)
    found = transfer_parts(face, landmarks)
    assert {name: inside.tolist() for name, inside in found.items()} == {
        name: inside.tolist() for name, inside in expected.items()
    }


def test_most_of_someone_else_s_parts_are_told(model: MorphableModel, person: Mesh) -> None:
    """A face of another number of vertices, whose own regions are known."""
    expected = face_parts(model.region, model.region_names)
    found = transfer_parts(person, Landmarks.of_mesh(person))
    for name, inside in expected.items():
        overlap = (found[name] & inside).sum() / (found[name] | inside).sum()
        assert overlap > 0.5, name


def test_what_is_far_from_a_face_is_in_no_part(person: Mesh) -> None:
    far = np.array([[0.0, -400.0, 0.0]])
    mesh = replace(person, vertices=np.concatenate([person.vertices, far]))
    parts = transfer_parts(mesh, Landmarks.of_mesh(person))
    assert not any(inside[-1] for inside in parts.values())
