"""The correspondence estimator, judged by deformations that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.registration.dense import align
from facebench.bench.registration.nonrigid import (
    PLANES_ALONE,
    NonRigidRegistration,
    NonRigidSettings,
    correspond,
    counterparts,
    deviation_of_mean,
    register_nonrigidly,
)
from facebench.bench.surface.overlap import Correspondences
from facebench.bench.surface.region import OverlapRegion, Sphere
from facebench.bench.surface.similarity import Similarity, similarity_between
from facebench.bench.surface.surface import Surface
from facebench.bench.surface.triangles import vertex_normals
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

RULES = OverlapRegion()


@pytest.fixture(scope="module")
def crop(face: Mesh) -> Sphere:
    return Sphere(face.vertices[face.landmarks[30]].astype(np.float64), 95.0)


@pytest.fixture(scope="module")
def shifts(face: Mesh) -> np.ndarray:
    """A known field (V, 3): the nose rises by 3 mm, the mouth moves aside by 2, the face widens."""
    points = np.asarray(face.vertices, np.float64)
    nose, mouth = points[face.landmarks[30]], points[face.landmarks[[48, 54]]].mean(0)
    near_nose = np.exp(-((points - nose) ** 2).sum(1) / (2 * 35**2))
    near_mouth = np.exp(-((points - mouth) ** 2).sum(1) / (2 * 35**2))
    widened = 0.03 * points * [1, 0, 0]
    return widened + near_nose[:, None] * [0, 3, 0] + near_mouth[:, None] * [2, 0, 0]


@pytest.fixture(scope="module")
def deformed(face: Mesh, shifts: np.ndarray) -> Mesh:
    return replace(face, vertices=face.vertices + shifts)


@pytest.fixture(scope="module")
def registration(face: Mesh, deformed: Mesh, crop: Sphere) -> NonRigidRegistration:
    return register_nonrigidly(Surface(face), Surface(deformed), crop, RULES)


@pytest.fixture(scope="module")
def recovered(registration: NonRigidRegistration, crop: Sphere) -> Correspondences:
    return counterparts(registration, crop, RULES)


def test_a_face_corresponds_to_itself(face: Mesh, crop: Sphere) -> None:
    matches = correspond(Surface(face), Surface(face), crop, RULES)
    assert matches.inliers.sum() > 1000
    # Between the places where the scan's normals were fitted they are taken to turn evenly.
    assert matches.distances[matches.inliers].mean() < 0.02
    matches = correspond(Surface(face), Surface(face), crop, RULES, None, PLANES_ALONE)
    # A point of the scan finds those of the prediction around it, not the very same.
    assert matches.distances[matches.inliers].mean() < 0.02


def test_a_known_field_is_recovered(face, deformed, crop, shifts, recovered, model) -> None:
    """To 0.7 mm root mean square, along the surface too, where nearest points know nothing."""
    surface = Surface(face)
    features = model.vertices_of("nose", "upper_lip", "lower_lip")
    at = surface.vertex_of[features]
    features, at = features[recovered.inliers[at]], at[recovered.inliers[at]]
    truth = face.vertices[features] + shifts[features]
    nearest = Surface(deformed).closest(surface.vertices[at]).position
    assert root_mean_square(recovered.on_scan[at] - truth) < 0.7
    assert root_mean_square(nearest - truth) > 1.5

    normals = surface.normals[at]
    along = recovered.on_scan[at] - truth
    along -= (along * normals).sum(1, keepdims=True) * normals
    slide = shifts[features] - (shifts[features] * normals).sum(1, keepdims=True) * normals
    assert root_mean_square(along) < 0.4 * root_mean_square(slide)


def test_distances_are_from_the_prediction_to_its_counterparts(face, deformed, recovered) -> None:
    kept, vertices = recovered.inliers, Surface(face).vertices
    assert kept.mean() > 0.5
    np.testing.assert_array_equal(recovered.on_prediction[kept], vertices[kept])
    offset = (recovered.on_prediction - recovered.on_scan)[kept]
    np.testing.assert_allclose(recovered.distances[kept], np.linalg.norm(offset, axis=1))
    assert Surface(deformed).closest(recovered.on_scan[kept]).distance.max() < 1e-6


def test_landmarks_help(face, deformed, crop, shifts, recovered) -> None:
    own, moved = (mesh.vertices[mesh.landmarks] for mesh in (face, deformed))
    aided = correspond(Surface(face), Surface(deformed), crop, RULES, (own, moved))
    surface = Surface(face)
    truth = np.zeros_like(surface.vertices)
    truth[surface.vertex_of] = face.vertices + shifts
    both = aided.inliers & recovered.inliers
    errors = [root_mean_square((m.on_scan - truth)[both]) for m in (aided, recovered)]
    assert errors[0] < 0.9 * errors[1]


def test_landmarks_tell_of_skin_that_slid_within_itself(face, crop) -> None:
    """No plane is off: without its own say a landmark would drag a face that expects no motion."""
    own = face.vertices[face.landmarks].astype(np.float64)
    once = NonRigidSettings(max_steps=1)

    def spread_mm(shift: float) -> float:
        pairs = own, own + np.array([0.0, shift, 0.0])
        surface = Surface(face)
        return register_nonrigidly(surface, surface, crop, RULES, pairs, once).system.spread_mm

    assert spread_mm(0.0) == spread_mm(once.landmark_mm) == 0.1
    assert spread_mm(3.0) == pytest.approx(np.sqrt(9 / 3 - once.landmark_mm**2))


def test_nearer_to_the_truth_than_nearest_points(face, person, crop, scan_of) -> None:
    """Another person's scan: mean error and correlation over vertices."""
    scan = Surface(scan_of(person))
    found = align(Surface(face), scan, Similarity.identity(), RULES, crop).transform
    moved = replace(face, vertices=found.apply(np.asarray(face.vertices, np.float64)))
    surface = Surface(moved)
    matches = correspond(surface, scan, crop, RULES)
    truth = np.zeros(len(surface.vertices))
    truth[surface.vertex_of] = np.linalg.norm(moved.vertices - person.vertices, axis=1)
    kept, nearest = matches.inliers, scan.closest(surface.vertices).distance
    true, ours, plain = (values[kept] for values in (truth, matches.distances, nearest))
    assert abs(ours.mean() - true.mean()) < 0.5 * abs(plain.mean() - true.mean())
    assert np.corrcoef(ours, true)[0, 1] > np.corrcoef(plain, true)[0, 1] + 0.1


def test_the_pose_changes_nothing(face, deformed, crop, recovered, any_pose) -> None:
    pose = any_pose(7)
    moved = [Surface(replace(m, vertices=pose.apply(m.vertices))) for m in (face, deformed)]
    matches = correspond(*moved, Sphere(pose.apply(crop.centre[None])[0], 95.0), RULES)
    of, of_moved = Surface(face).vertex_of, moved[0].vertex_of
    np.testing.assert_allclose(
        np.where(matches.inliers, matches.distances, 0.0)[of_moved],
        np.where(recovered.inliers, recovered.distances, 0.0)[of],
        atol=1e-6,
    )


def test_the_order_of_vertices_changes_nothing(face, deformed, crop, recovered) -> None:
    rng = np.random.default_rng(11)
    matches = correspond(
        Surface(shuffled(face, rng)), Surface(shuffled(deformed, rng)), crop, RULES
    )
    np.testing.assert_allclose(matches.distances, recovered.distances, rtol=0, atol=1e-11)
    np.testing.assert_allclose(matches.weights, recovered.weights, rtol=0, atol=1e-11)


def test_what_has_no_counterpart_does_not_count(face, deformed, crop) -> None:
    """A cheek that the scan lacks, and what lies outside of the crop."""
    between = deformed.vertices[deformed.landmarks[[3, 48]]].mean(0)
    distance = np.linalg.norm(deformed.vertices - between, axis=1)
    distance = np.linalg.norm(deformed.vertices - deformed.vertices[distance.argmin()], axis=1)
    gone = distance < 18
    scan = Surface(replace(deformed, triangles=face.triangles[~gone[face.triangles].any(1)]))
    small, surface = Sphere(crop.centre, 60.0), Surface(face)
    matches = correspond(surface, scan, small, RULES)
    middle = surface.vertex_of[distance < 9]
    assert len(middle) and not matches.inliers[middle].any()
    assert matches.inliers.sum() > 200
    assert small.holds(matches.on_scan[matches.inliers]).all()
    assert not matches.inliers[~Sphere(crop.centre, 80.0).holds(surface.vertices)].any()


def test_the_registration_tells_how_it_went(face, deformed, crop, registration) -> None:
    settings = registration.system.settings
    assert registration.converged and registration.moved_mm <= settings.tolerance_mm
    assert 1 < registration.steps <= settings.max_steps
    assert 0 < registration.residual_mm < 0.5
    assert registration.noise_mm == settings.noise_mm
    surfaces, twice = (Surface(face), Surface(deformed)), NonRigidSettings(max_steps=2)
    short = register_nonrigidly(*surfaces, crop, RULES, settings=twice)
    assert short.steps == 2 and not short.converged


def test_shape_that_no_smooth_motion_makes_is_not_taken_for_motion(face, person, crop) -> None:
    """Another person with bumps and dents of a millimetre: no error beyond the true one by much."""
    rng = np.random.default_rng(5)
    points = np.asarray(person.vertices, np.float64)
    middles = points[rng.choice(np.flatnonzero(crop.holds(points)), 90)]
    widths = rng.uniform(10, 20, 90)
    squared = ((points[:, None] - middles) ** 2).sum(2)
    heights = np.exp(-squared / (2 * widths**2)) @ rng.standard_normal(90)
    heights /= np.sqrt((heights[crop.holds(points)] ** 2).mean())
    bumpy = points + heights[:, None] * vertex_normals(points, np.asarray(person.triangles))
    surface, scan = Surface(face), Surface(replace(person, vertices=bumpy))

    found = register_nonrigidly(surface, scan, crop, RULES, settings=PLANES_ALONE)
    # Bumps three times as high are left over, and the planes are believed the less.
    rough = points + 3 * heights[:, None] * vertex_normals(points, np.asarray(person.triangles))
    rougher = Surface(replace(person, vertices=rough))
    noisy = register_nonrigidly(surface, rougher, crop, RULES, settings=PLANES_ALONE)
    assert noisy.noise_mm > 1.5 * found.noise_mm >= 1.5 * found.system.settings.noise_mm
    matches, planes = correspond(surface, scan, crop, RULES), counterparts(found, crop, RULES)
    true = np.zeros(len(surface.vertices))
    true[surface.vertex_of] = np.linalg.norm(np.asarray(face.vertices) - bumpy, axis=1)
    # Where on the face the errors are is seen by the normals.
    with_normals, without = (
        np.corrcoef(side.distances[side.inliers], true[side.inliers])[0, 1]
        for side in (matches, planes)
    )
    assert with_normals > without + 0.05
    ratio = matches.distances[matches.inliers].mean() / true[matches.inliers].mean()
    assert 0.85 < ratio < 1.15
    nearest = scan.closest(surface.vertices).distance[matches.inliers]
    assert nearest.mean() / true[matches.inliers].mean() < 0.6


@pytest.mark.parametrize("scaled", [True, False])
def test_the_deviation_is_that_of_draws_of_the_posterior(registration, recovered, scaled) -> None:
    """Drawn fields in place of formulas, the prediction laid anew on where each takes it."""
    found, matches = registration, recovered
    kept, areas = matches.inliers, matches.areas[matches.inliers]

    def mean_distance(theirs: np.ndarray) -> float:
        own = matches.on_prediction[kept]
        back = similarity_between(own, theirs, None if scaled else 1.0, areas)
        apart = np.linalg.norm(back.apply(own) - theirs, axis=1)
        return float(np.average(apart, weights=areas))

    system, theirs = found.system, matches.on_scan[kept]
    count = len(system.field.nodes)
    factor = np.linalg.cholesky(system.precision(found.displacement)).T
    draws = np.linalg.solve(factor, np.random.default_rng(0).standard_normal((3 * count, 60)))
    basis = system.near_basis[kept[system.near]]
    normals = matches.normals[kept]
    offs = []
    for draw in draws.T:
        moved = basis @ draw.reshape(3, count).T
        # Along the surface alone: across it the counterpart stays on the scan.
        moved -= (moved * normals).sum(1, keepdims=True) * normals
        offs.append(mean_distance(theirs + moved) - mean_distance(theirs))
    back = similarity_between(matches.on_prediction[kept], theirs, None if scaled else 1.0, areas)
    laid = replace(matches, on_prediction=back.apply(matches.on_prediction))
    drawn = float(np.sqrt(np.mean(np.square(offs))))
    assert deviation_of_mean(found, laid, scaled=scaled) == pytest.approx(drawn, rel=0.15)


def test_surfaces_apart_are_refused(face, crop) -> None:
    away = replace(face, vertices=face.vertices + np.array([0, 0, 60.0]))
    with pytest.raises(FacebenchError, match="do not overlap"):
        correspond(Surface(away), Surface(face), crop, RULES)
    far = replace(face, vertices=face.vertices + 5000.0)
    with pytest.raises(FacebenchError, match="do not overlap"):
        correspond(Surface(far), Surface(face), crop, RULES)


def test_landmarks_that_are_not_pairs_are_refused(face, crop) -> None:
    with pytest.raises(FacebenchError, match=r"\(7, 3\) and \(6, 3\)"):
        correspond(Surface(face), Surface(face), crop, RULES, (np.zeros((7, 3)), np.zeros((6, 3))))


def root_mean_square(vectors: np.ndarray) -> float:
    return float(np.sqrt((vectors**2).sum(1).mean()))


def shuffled(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The same mesh in another order of vertices and triangles."""
    order = rng.permutation(len(mesh.vertices))
    triangles = np.argsort(order)[mesh.triangles]
    return Mesh(mesh.vertices[order], rng.permutation(triangles))
