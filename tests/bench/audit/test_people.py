"""What is true of synthetic people, and the true error of predictions whose error is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facebench.bench.audit.people import (
    INNER,
    MEASURED_MM,
    MOST_DETAIL_MM,
    AuditedPerson,
    PeopleMaker,
    read_people,
    shown_area,
    true_errors,
)
from facebench.bench.surface.similarity import Similarity
from facebench.bench.surface.triangles import triangle_areas, vertex_areas
from facebench.errors import FacebenchError
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(name="person", scope="module")
def _person(model: MorphableModel) -> AuditedPerson:
    return PeopleMaker(model, seed=3).person(1)


@pytest.fixture(name="area", scope="module")
def _area(model: MorphableModel, person: AuditedPerson) -> np.ndarray:
    return shown_area(model, person)


def test_a_similarity_of_the_truth_has_no_error(person: AuditedPerson, area: np.ndarray) -> None:
    turn = Rotation.from_rotvec([0.2, 1.0, -0.4]).as_matrix()
    moved = Similarity(1.1, turn, np.ones(3)).apply(person.vertices)
    assert np.nanmax(true_errors(moved, person, area, scaled=True)) < 1e-9
    rigid = true_errors(moved, person, area, scaled=False)
    skin = area > 0
    away = person.vertices - np.average(person.vertices, axis=0, weights=area)
    np.testing.assert_allclose(rigid[skin], 0.1 * np.linalg.norm(away[skin], axis=1), atol=1e-9)


def test_a_mirrored_face_is_not_the_truth(person: AuditedPerson, area: np.ndarray) -> None:
    mirrored = person.vertices * [-1.0, 1.0, 1.0]
    assert np.nanmean(true_errors(mirrored, person, area, scaled=True)) > 0.1


def test_the_alignment_has_the_least_squared_error_over_area(
    person: AuditedPerson, area: np.ndarray
) -> None:
    generator = np.random.default_rng(0)
    wrong = person.vertices + generator.normal(0, 2, person.vertices.shape)

    def cost(vertices: np.ndarray) -> float:
        return float(np.nansum(area * true_errors(vertices, person, area, True) ** 2))

    least = cost(wrong)
    for _ in range(6):  # no similarity beforehand changes what is reached
        step = Rotation.from_rotvec(generator.normal(0, 0.3, 3)).as_matrix()
        assert cost(1.3 * wrong @ step.T + generator.normal(0, 9, 3)) == pytest.approx(least)
    skin = area > 0
    plain = np.linalg.norm((wrong - person.vertices)[skin], axis=1)
    assert least <= float((area[skin] * plain**2).sum())


def test_one_displaced_point_is_off_by_that_much(
    model: MorphableModel, person: AuditedPerson, area: np.ndarray
) -> None:
    vertices, tip = person.vertices.copy(), model.landmarks[30]
    vertices[tip] += [0.0, 0.0, 2.0]
    errors = true_errors(vertices, person, area, scaled=True)
    assert errors[tip] == pytest.approx(2.0, abs=0.02)
    assert np.nanmax(np.delete(errors, tip)) < 0.02


def test_the_counted_area_is_skin_near_the_nose_that_the_scan_has(
    model: MorphableModel, person: AuditedPerson, area: np.ndarray
) -> None:
    shown = np.flatnonzero(area)
    reach = np.linalg.norm(person.vertices[shown] - person.landmarks[30], axis=1)
    assert reach.max() <= MEASURED_MM
    assert not area[model.vertices_of(*INNER)].any()
    assert 150 < area.sum() / 100 < 400  # square centimetres of a face
    tip = model.landmarks[30]
    middle = person.placement.apply(person.vertices[tip : tip + 1])
    far = np.linalg.norm(np.asarray(person.scan.vertices) - middle, axis=1) > 20
    holed = type(person.scan)(person.scan.vertices[far], np.zeros((0, 3), int))
    without = shown_area(model, replace(person, scan=holed))
    assert without[tip] == 0 < area[tip]


def test_areas_of_vertices_add_up_to_the_surface() -> None:
    corners = np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0], [3, 4, 0]])
    triangles = np.array([[0, 1, 2], [1, 3, 2]])
    areas = vertex_areas(triangles, triangle_areas(corners, triangles), len(corners))
    np.testing.assert_allclose(areas, [2, 4, 4, 2])


def test_people_differ_in_detail_and_do_not_depend_on_each_other(model: MorphableModel) -> None:
    maker = PeopleMaker(model, seed=5)
    people = [maker.person(number) for number in (1, 2, 3)]
    again = PeopleMaker(model, seed=5).person(3)
    np.testing.assert_array_equal(people[2].vertices, again.vertices)
    np.testing.assert_array_equal(people[2].scan.vertices, again.scan.vertices)
    lacking = [
        person.vertices - np.asarray(model.mesh(identity=person.identity).vertices)
        for person in people
    ]
    sizes = [np.sqrt((field**2).sum(1).mean()) for field in lacking]
    assert max(sizes) / min(sizes) > 1.1 and max(sizes) < MOST_DETAIL_MM + 0.1
    other = PeopleMaker(model, seed=6).person(1)
    assert not np.array_equal(other.identity, people[0].identity)


def test_a_set_without_truth_is_refused(tmp_path: Path, model: MorphableModel) -> None:
    with pytest.raises(FacebenchError, match="no truth beside it"):
        list(read_people(tmp_path / "data", model))
