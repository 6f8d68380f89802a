"""Scans that are clouds of points, and the noise of a scan."""

from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.audit.people import INNER
from facebench.bench.landmarks import Landmarks
from facebench.bench.meshes.clean import keep_vertices
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.scan_points import noise_floor_mm, noise_mm, surface_of_points
from facebench.bench.scoring.score import score_prediction
from facebench.bench.surface.triangles import double_areas
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.procedural import procedural_model

MICC = preset("micc")


@pytest.fixture(scope="module")
def cloud(person: Mesh, scan_of) -> Mesh:
    """The points of a frontal scan, in no order."""
    scan = scan_of(person, 3, 0.1, 2)
    away = np.linalg.norm(scan.vertices - person.vertices[person.landmarks[30]], axis=1)
    return Mesh(scan.vertices[away < 115], np.empty((0, 3), np.int64))


def test_the_surface_of_a_face_s_points_faces_outwards(cloud: Mesh, any_pose) -> None:
    pose = any_pose(2)
    made = surface_of_points(pose.apply(cloud.vertices))
    outward = pose.inverse().turn(double_areas(made.vertices, made.triangles))
    assert (outward[:, 2] > 0).mean() > 0.95
    assert len(made.triangles) > 1.7 * len(cloud.vertices)


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.3])
def test_noise_is_told_from_shape(sigma: float) -> None:
    """On a bowl as curved as a nose, 1 mm between points."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(-30, 31.0), np.arange(-30, 31.0))
    bowl = np.stack([x, y, (x**2 + y**2) / 60], axis=-1).reshape(-1, 3)
    assert noise_mm(bowl) < 2e-3
    noisy = bowl + sigma * rng.standard_normal(bowl.shape)
    assert noise_mm(noisy) == pytest.approx(sigma, rel=0.12)


def test_the_shape_of_a_face_is_no_noise() -> None:
    """A nose on points 2.4 mm apart, as thinned scans have them."""
    face = procedural_model(0, 9000).mesh()
    points = np.asarray(face.vertices, np.float64)
    points = points[np.linalg.norm(points - points[face.landmarks[30]], axis=1) < 95]
    noisy = points + 0.1 * np.random.default_rng(0).standard_normal(points.shape)
    assert noise_mm(points) < 0.015
    assert noise_mm(noisy) == pytest.approx(0.1, rel=0.05)


def test_the_floor_of_one_direction() -> None:
    """The mean of the absolute value of noise on points that are measured to a plane."""
    noise = 0.2 * np.random.default_rng(1).standard_normal(200_000)
    expected = {"mean": np.abs(noise).mean(), "rmse": 0.2, "median": np.median(np.abs(noise))}
    for statistic, value in expected.items():
        floor = noise_floor_mm(0.2, (1.0, 0.0), statistic)
        assert floor == pytest.approx(value, rel=0.01)


def test_a_cloud_is_measured_from_its_points(cloud: Mesh, person: Mesh, face: Mesh) -> None:
    marks = Landmarks(person.vertices[person.landmarks])
    score = score_prediction(person, cloud, preset("nersemble"), scan_landmarks=marks).score
    assert score.value_mm == pytest.approx(score.noise_floor_mm, rel=0.25)
    other = score_prediction(face, cloud, preset("nersemble"), scan_landmarks=marks).score
    assert other.value_mm > 5 * score.value_mm


def test_points_that_are_counted_need_no_triangles(person: Mesh, face: Mesh) -> None:
    """By FG2018's rule every point of a scan has an error, whatever triangles it has."""
    marks = Landmarks(np.asarray(person.vertices)[person.landmarks])
    bare = Mesh(person.vertices, np.empty((0, 3), np.int64))
    whole, points = (
        score_prediction(face, scan, preset("fg2018"), scan_landmarks=marks).score
        for scan in (Mesh(person.vertices, person.triangles), bare)
    )
    assert points.n_points == whole.n_points
    assert points.value_mm == pytest.approx(whole.value_mm, abs=1e-12)


def test_a_cloud_has_no_distance_from_the_prediction(cloud: Mesh, face: Mesh) -> None:
    with pytest.raises(
        FacebenchError, match=r"cloud of points.*take --protocol nersemble.*without"
    ):
        score_prediction(face, cloud, preset("micc"))


def test_the_points_of_a_head_score_as_its_triangles() -> None:
    """Ears, neck and jaw lie behind one another, from wherever the points are seen."""
    model, rng = load_model("human"), np.random.default_rng(5)
    skin = np.ones(len(model.mean_shape), bool)
    skin[model.vertices_of(*INNER)] = False
    whole_person = model.mesh(identity=0.8 * rng.standard_normal(60))
    person, face = keep_vertices(whole_person, skin), keep_vertices(model.mesh(), skin)
    marks = Landmarks(np.asarray(whole_person.vertices)[model.landmarks])
    own = Landmarks(np.asarray(model.mean_shape)[model.landmarks])
    protocol = MICC.with_setting("alignment.direction", "scan_to_prediction")
    protocol = protocol.with_setting("distance.direction", "scan_to_prediction")
    cloud = Mesh(person.vertices, np.empty((0, 3), np.int64))
    whole, points = (
        score_prediction(face, scan, protocol, prediction_landmarks=own, scan_landmarks=marks).score
        for scan in (Mesh(person.vertices, person.triangles), cloud)
    )
    print(
        points.value_mm,
        whole.value_mm,
        points.completeness,
        whole.completeness,
        points.n_points,
        whole.n_points,
    )
    assert points.value_mm == pytest.approx(whole.value_mm, rel=0.03)
    # Where a neck turns away from the middle of the head its points may face the other way.
    assert whole.completeness - 0.08 < points.completeness < whole.completeness + 0.02
    assert points.n_points < len(person.vertices)


def test_points_in_one_plane_are_no_scan(face: Mesh, person: Mesh) -> None:
    flat = np.random.default_rng(0).uniform(-80, 80, (900, 3)) * [1, 1, 0]
    marks = Landmarks(person.vertices[person.landmarks])
    with pytest.raises(FacebenchError, match="lie in a plane"):
        score_prediction(
            face, Mesh(flat, np.empty((0, 3), np.int64)), preset("nersemble"), scan_landmarks=marks
        )


def test_isolated_points_are_no_scan(face: Mesh, person: Mesh, cloud: Mesh) -> None:
    few = replace(cloud, vertices=cloud.vertices[:60])
    marks = Landmarks(person.vertices[person.landmarks])
    with pytest.raises(FacebenchError, match="60 points, too few to show a face"):
        score_prediction(face, few, preset("nersemble"), scan_landmarks=marks)
