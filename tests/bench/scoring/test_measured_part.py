from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.landmarks import MEAN_SEVEN_MM, SEVEN, Landmarks
from facebench.bench.protocol.record import Points, preset
from facebench.bench.registration.prepared_mesh import PreparedMesh
from facebench.bench.scoring.register import crop_sphere, seven_sphere
from facebench.bench.surface.similarity import Similarity
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

IDENTITY = Similarity.identity()


@pytest.fixture(scope="module")
def side(face: Mesh) -> PreparedMesh:
    return PreparedMesh.of(replace(face, landmarks=None), None, "scan")


def with_landmarks(side: PreparedMesh, face: Mesh) -> PreparedMesh:
    return replace(side, landmarks=Landmarks(face.vertices[face.landmarks]))


def test_the_sphere_of_seven_points() -> None:
    """By hand: bridge (0, 31, 6), bottom (0, −16, 27), eyes 90 apart, nose √(47² + 21²) long."""
    sphere = seven_sphere(MEAN_SEVEN_MM, 1.4)
    np.testing.assert_allclose(sphere.centre, [0.0, -16 + 0.3 * 47, 27 - 0.3 * 21])
    assert sphere.radius_mm == pytest.approx(1.4 * (90 + np.hypot(47, 21)) / 2)


def test_the_sphere_moves_with_the_face(any_pose) -> None:
    pose = any_pose(1, 1.1)
    first, second = (
        seven_sphere(seven, 1.2) for seven in (MEAN_SEVEN_MM, pose.apply(MEAN_SEVEN_MM))
    )
    np.testing.assert_allclose(second.centre, pose.apply(first.centre[None])[0])
    assert second.radius_mm == pytest.approx(1.1 * first.radius_mm)


def test_a_mesh_made_larger_has_its_edges_halved_at_the_new_size(any_pose, face: Mesh) -> None:
    edges = np.linalg.norm(np.diff(face.vertices[face.triangles[:, :2]], axis=1), axis=2)
    longest = Points(longest_edge_mm=5 * float(np.median(edges)))
    side = PreparedMesh(face, None, longest)
    assert len(side.surface.vertices) == len(face.vertices)
    for scale, finer in ((1.0, False), (10.0, True)):
        moved = side.transform(any_pose(1, scale))
        anew = PreparedMesh(moved.mesh, None, longest).surface
        assert (len(anew.vertices) > len(face.vertices)) == finer
        np.testing.assert_allclose(moved.surface.vertices, anew.vertices, atol=1e-9)
        np.testing.assert_allclose(moved.surface.areas, anew.areas, atol=1e-9)


def test_seven_landmarks_centre_the_crop_of_now(side: PreparedMesh, face: Mesh) -> None:
    crop = preset("now").crop
    sphere, centre = crop_sphere(side, with_landmarks(side, face), IDENTITY, crop, "", None)
    assert centre.source == "seven_landmarks"
    np.testing.assert_array_equal(sphere.centre, centre.position)
    expected = seven_sphere(face.vertices[face.landmarks][SEVEN], 1.4)
    assert sphere.radius_mm == expected.radius_mm
    with pytest.raises(FacebenchError, match="landmarks of the scan, which has none"):
        crop_sphere(side, side, IDENTITY, crop, "", None)


def test_a_subject_may_have_a_radius_of_its_own(side: PreparedMesh, face: Mesh) -> None:
    crop, label = preset("ganfit2019").crop, face.vertices[face.landmarks[30]]
    ours = replace(side, mesh=face)
    sphere, tip = crop_sphere(ours, side, IDENTITY, crop, "subject_28", label)
    assert (sphere.radius_mm, tip.source) == (60.0, "label")
    assert crop_sphere(ours, side, IDENTITY, crop, "subject_29", label)[0].radius_mm == 95.0


def test_landmark_31_of_the_scan_labels_its_nose_tip(side: PreparedMesh, face: Mesh) -> None:
    ours, labelled = replace(side, mesh=face), with_landmarks(side, face)
    crop = preset("micc").crop
    _, tip = crop_sphere(ours, labelled, IDENTITY, crop, "", None)
    assert tip.source == "label"
    np.testing.assert_array_equal(tip.position, face.vertices[face.landmarks[30]])
    _, given = crop_sphere(ours, labelled, IDENTITY, crop, "", tip.position + 1)
    np.testing.assert_array_equal(given.position, tip.position + 1)
    assert crop_sphere(ours, side, IDENTITY, crop, "", None)[1].source == "found"
