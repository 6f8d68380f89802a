import os
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facebench.bench.registration.dense import AlignmentSettings, agreement, align, align_coarsely
from facebench.bench.registration.global_search import register
from facebench.bench.surface.overlap import Correspondences, match_symmetric
from facebench.bench.surface.region import OverlapRegion, Sphere
from facebench.bench.surface.similarity import Similarity
from facebench.bench.surface.surface import Surface
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

SEEDS = range(2 if "FACEBENCH_SLOW" in os.environ else 1)


def moved(mesh: Mesh, transform: Similarity) -> Mesh:
    return replace(mesh, vertices=transform.apply(mesh.vertices))


def solve(prediction: Surface, scan: Surface, start: Similarity, **settings) -> Similarity:
    chosen = AlignmentSettings(**settings)
    rough = align_coarsely(prediction, scan, start, OverlapRegion(), chosen)
    found = align(prediction, scan, rough, OverlapRegion(), Sphere.everywhere(), chosen)
    assert found.converged
    return found.transform


@pytest.mark.parametrize("seed", SEEDS)
def test_a_known_similarity_is_recovered_from_any_pose(
    person: Mesh, scan_of, any_pose, seed
) -> None:
    """To 1e-3 mm and 1e-6 in scale, without landmarks or a start."""
    scan = scan_of(person, seed)
    truth = any_pose(seed, scale=float(np.random.default_rng(seed).uniform(0.85, 1.18)))
    prediction, target = Surface(moved(scan, truth.inverse())), Surface(scan)
    found = solve(prediction, target, register(prediction, target))
    error = np.linalg.norm(
        found.apply(truth.inverse().apply(scan.vertices)) - scan.vertices, axis=1
    )
    assert error.max() < 1e-3
    assert abs(found.scale / truth.scale - 1) < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_another_face_is_laid_on_a_scan_in_any_pose(
    face: Mesh, person: Mesh, scan_of, any_pose, seed
) -> None:
    truth = any_pose(seed)
    scan = Surface(moved(scan_of(person, seed), truth))
    tip = face.vertices[face.landmarks[30]]
    start = register(Surface(face), scan, tip)
    turn = start.rotation @ truth.rotation.T
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 12
    assert np.linalg.norm(start.apply(tip[None])[0] - truth.apply(tip[None])[0]) < 15


@pytest.mark.parametrize("scale", [0.75, 1.35])
def test_the_scale_neither_collapses_nor_grows(face: Mesh, person: Mesh, scan_of, scale) -> None:
    """From starts of the wrong size the alignment comes to where it comes from the right one."""
    prediction, scan = Surface(face), Surface(scan_of(person))
    centre = person.vertices.mean(0)
    wrong = Similarity(scale, np.eye(3), centre - scale * centre)
    found = solve(prediction, scan, wrong)
    right = solve(prediction, scan, Similarity.identity())
    assert found.scale == pytest.approx(right.scale, rel=2e-3)
    assert 0.9 < found.scale < 1.1


def test_without_scale_the_motion_is_rigid(face: Mesh, person: Mesh, scan_of) -> None:
    found = solve(Surface(face), Surface(scan_of(person)), Similarity.identity(), scale="none")
    assert found.scale == 1.0
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-12)


def test_the_solution_is_a_minimum_of_the_squared_distances(face: Mesh, person: Mesh) -> None:
    prediction, scan = Surface(face), Surface(person)
    found = solve(prediction, scan, Similarity.identity())
    weigh = [side.weights * side.areas for side in both(prediction, scan, found)]
    weights = [weights / weights.sum() for weights in weigh]

    def cost(transform: Similarity) -> float:
        sides = both(prediction, scan, transform)
        return sum(float(w @ side.distances**2) for w, side in zip(weights, sides, strict=True))

    centre = person.vertices.mean(0)
    for parameter in np.diag([0.003] * 3 + [0.2] * 3 + [0.003]):
        for sign in (-1, 1):
            assert cost(Similarity.step(sign * parameter, centre).after(found)) > cost(found)


def both(
    prediction: Surface, scan: Surface, transform: Similarity
) -> tuple[Correspondences, Correspondences]:
    return match_symmetric(prediction, scan, transform, OverlapRegion(), Sphere.everywhere())


def test_the_region_is_the_same_without_its_fading(face: Mesh, person: Mesh, scan_of) -> None:
    """Rims, holes and the crop's edge included: errors are taken over the sharp region."""
    surfaces = Surface(face), Surface(scan_of(person))
    crop = Sphere(person.vertices[person.landmarks[30]], 70.0)
    faded, sharp = (
        match_symmetric(*surfaces, Similarity.identity(), region, crop)
        for region in (OverlapRegion(), OverlapRegion().without_fade)
    )
    for fading, plain in zip(faded, sharp, strict=True):
        assert 0 < plain.inliers.sum() < len(plain.inliers)
        np.testing.assert_array_equal(fading.inliers, plain.inliers)


def test_a_face_agrees_most_with_a_scan_in_its_own_pose(face: Mesh, person: Mesh) -> None:
    prediction, scan = Surface(face), Surface(person)
    tip = face.vertices[face.landmarks[30]]
    right = agreement(prediction, scan, Similarity.identity(), OverlapRegion())
    for degrees in (60, 120, 180):
        turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
        turned = Similarity(1.0, turn, tip - turn @ tip)
        assert agreement(prediction, scan, turned, OverlapRegion()) < right - 0.1
    assert 0.5 < right <= 1


def test_surfaces_that_do_not_meet_are_an_error(face: Mesh, person: Mesh) -> None:
    away = Similarity(1.0, np.eye(3), np.array([5000.0, 0, 0]))
    with pytest.raises(FacebenchError, match="do not overlap"):
        align(Surface(face), Surface(person), away, OverlapRegion(), Sphere.everywhere())


def test_what_shrinks_into_the_scan_is_left_before_it_vanishes(face: Mesh) -> None:
    """A dome fits a nose better the smaller it is; at nothing there was no overlap to speak of."""
    grid = np.linspace(-70, 70, 40)
    across, up = np.meshgrid(grid, grid)
    dome = np.stack([across, up, -(across**2 + up**2) / 140], axis=2).reshape(-1, 3)
    corner = np.arange(1600).reshape(40, 40)
    lower = [corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:]]
    upper = [corner[:-1, :-1], corner[1:, 1:], corner[1:, :-1]]
    triangles = np.concatenate([np.stack(part, axis=2).reshape(-1, 3) for part in (lower, upper)])
    tip = face.vertices[face.landmarks[30]]
    prediction = Surface(Mesh(dome + tip - [0.0, 10.0, 8.0], triangles))
    crop = Sphere(tip, 95.0)
    found = align(prediction, Surface(face), Similarity.identity(), OverlapRegion(), crop)
    assert not found.converged
    assert 0.3 < found.transform.scale < 2 / 3
