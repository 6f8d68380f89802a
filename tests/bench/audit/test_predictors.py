"""Reference predictors are as wrong as they say, in any topology, and differ over people."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from facebench.bench.audit import measure
from facebench.bench.audit.measure import AuditPlan, audit_person
from facebench.bench.audit.people import (
    INNER,
    AuditedPerson,
    PeopleMaker,
    shown_area,
    true_errors,
)
from facebench.bench.audit.predictors import (
    LADDER_MM,
    PREDICTORS,
    Predicted,
    area_mean,
    from_identity,
    rung,
)
from facebench.bench.protocol.record import preset
from facebench.bench.surface.surface import Surface
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.model import MorphableModel

BY_NAME = {predictor.name: predictor for predictor in PREDICTORS}


@pytest.fixture(name="person", scope="module")
def _person(model: MorphableModel) -> AuditedPerson:
    return PeopleMaker(model, seed=4).person(1)


@pytest.fixture(name="area", scope="module")
def _area(model: MorphableModel, person: AuditedPerson) -> np.ndarray:
    return shown_area(model, person)


def predict(name: str, model: MorphableModel, person: AuditedPerson, area: np.ndarray) -> Predicted:
    stream = np.random.default_rng(8)
    return BY_NAME[name].predict(model, person, area, stream)


def error(face: Predicted, person: AuditedPerson, area: np.ndarray) -> float:
    return area_mean(true_errors(face.vertices, person, area, True), area)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(PREDICTORS)


def test_knowing_less_is_worse_and_so_is_adding_more(
    model: MorphableModel, person: AuditedPerson, area: np.ndarray
) -> None:
    names = ("the model's best", "three quarters", "half", "mean face")
    errors = [error(predict(name, model, person, area), person, area) for name in names]
    assert errors == sorted(errors)
    off = error(predict("a little off", model, person, area), person, area)
    assert errors[0] < off < error(predict("another person", model, person, area), person, area)


def test_every_rung_is_one_step_above_the_last(
    model: MorphableModel, person: AuditedPerson, area: np.ndarray
) -> None:
    errors = []
    for number in range(4):
        shape = rung(number, model, person, area, np.random.default_rng(number))
        errors.append(area_mean(true_errors(shape, person, area, True), area))
    np.testing.assert_allclose(np.diff(errors), LADDER_MM, atol=2e-3)


@pytest.mark.parametrize(
    "name", [predictor.name for predictor in PREDICTORS if predictor.group == "topology"]
)
def test_another_topology_is_the_same_surface(
    name: str, model: MorphableModel, person: AuditedPerson, area: np.ndarray
) -> None:
    triangles = np.array(model.triangles)
    triangles.setflags(write=False)  # as Ray hands them to its workers
    model = replace(model, triangles=triangles)
    face = predict(name, model, person, area)
    own = from_identity(0.5, 0.0, model, person, area, np.random.default_rng(8))
    np.testing.assert_array_equal(face.vertices, own)
    handed = np.asarray(face.mesh.vertices, np.float64)
    surface = Surface(Mesh(own, np.asarray(model.triangles)))
    away = surface.closest(handed).distance
    assert away.max() < (2.5 if "tenth" in name else 1e-9)
    gaps = np.linalg.norm(own[face.origin] - handed, axis=1)
    assert np.median(gaps) < 4
    if face.mesh.landmarks is not None:
        np.testing.assert_array_equal(handed[face.mesh.landmarks], own[model.landmarks])


def test_a_face_only_mesh_has_no_eyeballs_and_covers_what_it_says(
    model: MorphableModel, person: AuditedPerson, area: np.ndarray
) -> None:
    face = predict("half, face only", model, person, area)
    assert not face.covered[np.setdiff1d(model.vertices_of(*INNER), model.landmarks)].any()
    assert face.covered[area > 0].mean() > 0.98
    small = predict("half, cropped to 80 mm", model, person, area)
    assert 0.5 < small.covered[area > 0].mean() < 1


def test_a_local_error_is_where_it_says(
    model: MorphableModel, person: AuditedPerson, area: np.ndarray
) -> None:
    face = predict("nose 3 mm up", model, person, area)
    moved = face.vertices - person.vertices
    assert moved[model.landmarks[30], 1] == pytest.approx(3.0, abs=1e-6)
    assert np.abs(moved[model.landmarks[8]]).max() < 0.1


def test_the_bump_is_on_skin_that_the_scan_shows(
    model: MorphableModel, person: AuditedPerson, area: np.ndarray
) -> None:
    face = predict("bump of 3 mm on a cheek", model, person, area)
    moved = np.linalg.norm(face.vertices - person.vertices, axis=1)
    assert moved[area > 0].max() == pytest.approx(3.0)


def test_two_people_are_given_two_strangers(
    model: MorphableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmeasured(*_: object, **__: object) -> None:
        raise FacebenchError("who it is shows in the true error")

    monkeypatch.setattr(measure, "initialise_pair", unmeasured)
    maker = PeopleMaker(model, seed=4)
    stranger = (BY_NAME["another person"],)
    plan = AuditPlan(model, stranger, (preset("facescape"),), seed=0)
    one, two = (audit_person(maker.person(number), plan)[0] for number in (1, 2))
    assert one.true_mm != pytest.approx(two.true_mm, rel=1e-3)
    assert one.subject != two.subject and one.group == "identity"
    # The same person under the same seed is given the same stranger again, whoever else is there.
    assert audit_person(maker.person(2), plan)[0].true_mm == two.true_mm
    other = audit_person(maker.person(2), replace(plan, seed=1))[0]
    assert other.true_mm != pytest.approx(two.true_mm, rel=1e-3)


def test_every_protocol_gives_beside_others_what_it_gives_alone(
    model: MorphableModel, person: AuditedPerson
) -> None:
    """One that fails among them, and one that registers otherwise."""
    micc = preset("micc").with_setting("points.longest_edge_mm", "inf")
    micc = micc.with_setting("alignment.start", "seven_landmarks")
    refused = replace(micc, distance=replace(micc.distance, measure="correspondence"))
    alike, unlike = (
        micc.with_setting("reduction.points", "rmse"),
        micc.with_setting("crop.radius_mm", "80"),
    )
    protocols = (refused, micc, alike, unlike)
    plan = AuditPlan(model, (BY_NAME["half"],), protocols, seed=0)
    together = audit_person(person, plan)
    alone = [audit_person(person, replace(plan, protocols=(one,)))[0] for one in protocols]
    # By NumPy, by which what is not a number is equal to itself.
    np.testing.assert_equal([asdict(row) for row in together], [asdict(row) for row in alone])
    assert [bool(row.reason) for row in together] == [True, False, False, False]
    assert len({row.measured_mm for row in together[1:]}) == 3
