from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.landmarks import Landmarks, face_parts
from facebench.bench.meshes.checks import read_mesh
from facebench.bench.meshes.units import UNITS
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.score import ScoredPair, failed_score, score_prediction
from facebench.bench.surface.region import Sphere
from facebench.bench.surface.surface import Surface
from facebench.bench.surface.triangles import triangle_areas, vertex_areas, vertex_normals
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

MICC = preset("micc")
COARSE = MICC.with_setting("points.longest_edge_mm", "inf")
"""Without points between the vertices, for what does not depend on them: a third of the time."""


@pytest.fixture(scope="module")
def scan(person: Mesh, scan_of, any_pose) -> Mesh:
    plain = scan_of(person)
    return replace(plain, vertices=any_pose(3).apply(plain.vertices))


@pytest.fixture(scope="module")
def landmarks(person: Mesh, any_pose) -> Landmarks:
    """Of the scan: with them no pose is searched for."""
    return Landmarks(any_pose(3).apply(person.vertices[person.landmarks]))


@pytest.fixture(scope="module")
def pair(face: Mesh, scan: Mesh, model) -> ScoredPair:
    parts = face_parts(model.region, model.region_names)
    return score_prediction(face, scan, MICC, subject="subject_01", parts=parts)


@pytest.fixture(scope="module")
def coarse(face: Mesh, scan: Mesh) -> ScoredPair:
    """The pose searched for, at the vertices alone."""
    return score_prediction(face, scan, COARSE)


@pytest.fixture(scope="module")
def labelled(face: Mesh, scan: Mesh, landmarks: Landmarks) -> ScoredPair:
    """The same from landmarks."""
    return score_prediction(face, scan, COARSE, scan_landmarks=landmarks)


def values(score) -> dict[str, float]:
    return {k: v for k, v in vars(score).items() if isinstance(v, float) and np.isfinite(v)}


def assert_same(score, other) -> None:
    """Every number the same to less than 1e-6."""
    first, second = values(score), values(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert second[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_all_numbers_of_a_score(pair: ScoredPair, face: Mesh) -> None:
    score = pair.score
    assert (score.subject, score.scene) == ("subject_01", "")
    assert (score.status, score.reason) == ("ok", "")
    assert score.converged
    assert 0.3 < score.mean_mm < 3.0
    assert score.value_mm == score.mean_mm
    directions = score.scan_to_prediction_mm + score.prediction_to_scan_mm
    assert score.mean_mm == pytest.approx(directions / 2, rel=1e-12)
    assert score.rmse_mm**2 == pytest.approx(score.mean_mm**2 + score.std_mm**2, rel=1e-9)
    assert score.point_to_surface_mm >= score.mean_mm
    assert score.median_mm < score.rmse_mm < score.p90_mm * 1.5
    assert score.share_within_1mm < score.share_within_2mm < score.share_within_3mm <= 1
    assert 0.5 < score.overlap <= 1
    assert 0.9 < score.scale < 1.1
    assert pair.vertex_errors.shape == (len(face.vertices),)
    known = ~np.isnan(pair.vertex_errors)
    at_vertices = np.average(pair.vertex_errors[known], weights=areas_of(face)[known])
    # The score is of the surface with its long edges halved: at the vertices alone the same
    # integral is sampled a quarter as densely.
    assert at_vertices == pytest.approx(score.prediction_to_scan_mm, rel=0.015)
    assert 0.9 < score.completeness <= 1 and 0 <= score.inner_share < 0.02
    assert 0 < score.normal_error_deg < 30 and 0 < score.f_score_1mm < 1
    assert np.isfinite([score.nose_mm, score.mouth_mm, score.eyes_mm, score.cheeks_mm]).all()
    assert pair.curve[20] == pytest.approx(score.share_within_1mm)
    assert (np.diff(pair.curve) >= 0).all()
    assert score.protocol_digest == MICC.digest


def areas_of(mesh: Mesh) -> np.ndarray:
    """Surface (V,) that each vertex stands for."""
    areas = triangle_areas(mesh.vertices, mesh.triangles)
    return vertex_areas(mesh.triangles, areas, len(mesh.vertices))


def test_the_same_again(coarse: ScoredPair, face: Mesh, scan: Mesh) -> None:
    again = score_prediction(face, scan, COARSE)
    assert again.score.mean_mm == pytest.approx(coarse.score.mean_mm, rel=1e-12)


def test_order_of_vertices_and_triangles(pair: ScoredPair, face: Mesh, scan: Mesh) -> None:
    """Of both sides at once."""
    rng = np.random.default_rng(2)
    order = rng.permutation(len(scan.vertices))
    triangles = np.argsort(order)[scan.triangles][rng.permutation(len(scan.triangles))]
    shuffled = Mesh(scan.vertices[order], np.roll(triangles, 1, axis=1))
    order = rng.permutation(len(face.vertices))
    place = np.argsort(order)
    turned = Mesh(face.vertices[order], place[face.triangles], place[face.landmarks])
    other = score_prediction(turned, shuffled, MICC)
    assert_same(replace_parts(pair.score), other.score)
    np.testing.assert_allclose(other.vertex_errors[place], pair.vertex_errors, atol=1e-6)


def test_cut_of_flat_parts(face: Mesh, person: Mesh, subdivide) -> None:
    """The other diagonal of each flat parallelogram is the same surface with the same vertices."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(person.vertices.shape)
    fine = subdivide(replace(person, vertices=person.vertices + noise))
    at_a, _, at_c, middle = np.split(fine.triangles, 4)
    others = fine.triangles[len(at_a) : 3 * len(at_a)]
    lower = np.stack([at_a[:, 0], at_a[:, 1], middle[:, 1]], axis=1)
    upper = np.stack([at_a[:, 0], at_c[:, 1], at_a[:, 2]], axis=1)
    flipped = np.concatenate([others, lower, upper])
    marks = Landmarks(fine.vertices[person.landmarks])
    first, second = (
        score_prediction(face, Mesh(fine.vertices, cut), MICC, scan_landmarks=marks).score.mean_mm
        for cut in (fine.triangles, flipped)
    )
    assert first == pytest.approx(second, abs=2e-3)


@pytest.mark.parametrize("unit", ["m", "cm"])
def test_unit_of_the_file(scan: Mesh, unit: str, tmp_path) -> None:
    """The mesh that is measured is the same, and so is what is measured on it."""
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in (scan.vertices / UNITS[unit]).tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (scan.triangles + 1).tolist()]
    path = tmp_path / "scan.obj"
    path.write_text("\n".join(lines))
    with pytest.raises(FacebenchError, match=f"looks like {unit}, not mm"):
        read_mesh(path)
    converted, _ = read_mesh(path, unit)
    np.testing.assert_allclose(converted.vertices, scan.vertices, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(converted.triangles, scan.triangles)


def test_a_known_offset_is_the_score(person: Mesh, subdivide) -> None:
    """A prediction moved along its normals by a field no similarity can undo scores that field."""
    fine = subdivide(person)
    normals = vertex_normals(fine.vertices, fine.triangles)
    wave = np.sin(fine.vertices @ [0.55, 0.35, 0.0]) * np.cos(fine.vertices @ [-0.3, 0.5, 0.2])
    field = 0.2 * wave
    prediction = replace(fine, vertices=fine.vertices + field[:, None] * normals)
    scan, marks = Mesh(fine.vertices, fine.triangles), Landmarks(fine.vertices[fine.landmarks])
    pair = score_prediction(prediction, scan, COARSE, scan_landmarks=marks)
    known = ~np.isnan(pair.vertex_errors)
    expected = np.abs(field[known])
    mean = np.average(expected, weights=areas_of(fine)[known])
    # The closest point of a wavy surface is nearer than the one along the normal: up to 1.5 % here.
    for way in (pair.score.prediction_to_scan_mm, pair.score.mean_mm):
        assert 0.98 * mean < way < mean
    assert np.corrcoef(pair.vertex_errors[known], expected)[0, 1] > 0.97


def test_the_truth_scores_the_scanners_noise(person: Mesh, scan_of) -> None:
    """Half of the pairs are of a noisy point and its own noisy triangle: below the noise itself."""
    marks = Landmarks(person.vertices[person.landmarks])
    scan = scan_of(person, noise_mm=0.1)
    score = score_prediction(person, scan, MICC, scan_landmarks=marks).score
    assert score.mean_mm == pytest.approx(score.noise_floor_mm, rel=0.25)
    assert 0.02 < score.mean_mm < 0.11
    assert score.scale == pytest.approx(1, abs=1e-3)


def test_a_face_that_must_shrink_by_more_than_a_third_is_no_number(
    face: Mesh, person: Mesh
) -> None:
    marks = Landmarks(person.vertices[person.landmarks])
    large = replace(face, vertices=1.6 * np.asarray(face.vertices))
    with pytest.raises(FacebenchError, match=r"had to become 0\.5\d* times as large"):
        score_prediction(large, replace(person, landmarks=None), COARSE, scan_landmarks=marks)


def test_the_pose_of_the_scan_hardly_matters(
    face: Mesh, scan: Mesh, coarse: ScoredPair, any_pose
) -> None:
    turned = replace(scan, vertices=any_pose(11).apply(scan.vertices))
    score = score_prediction(face, turned, COARSE).score
    assert score.mean_mm == pytest.approx(coarse.score.mean_mm, rel=5e-3)


def test_a_label_centres_the_crop(
    face: Mesh, scan: Mesh, landmarks: Landmarks, coarse: ScoredPair
) -> None:
    label = coarse.nose_tip.position + np.array([3.0, 0, 0])
    centred = score_prediction(face, scan, COARSE, nose_tip=label)
    assert centred.score.nose_tip_source == "label"
    assert centred.score.nose_tip_disagreement_mm == pytest.approx(3, abs=0.5)
    assert centred.score.mean_mm == pytest.approx(coarse.score.mean_mm, rel=0.01)
    with pytest.raises(FacebenchError, match="nothing within 95 mm"):
        score_prediction(face, scan, COARSE, nose_tip=label + 5000, scan_landmarks=landmarks)


def test_a_prediction_without_landmarks(face: Mesh, scan: Mesh, coarse: ScoredPair) -> None:
    bare = score_prediction(replace(face, landmarks=None), scan, COARSE)
    assert bare.score.mean_mm == pytest.approx(coarse.score.mean_mm, rel=0.01)


def test_rigid_keeps_the_size(face: Mesh, scan: Mesh, landmarks: Landmarks) -> None:
    large = replace(face, vertices=face.vertices * 1.05)
    rigid, free = (
        score_prediction(
            large, scan, COARSE.with_setting("alignment.scale", scale), scan_landmarks=landmarks
        ).score
        for scale in ("none", MICC.alignment.scale)
    )
    assert rigid.scale == 1.0 and preset("metric").alignment.scale == "none"
    assert rigid.mean_mm > free.mean_mm


def test_a_damaged_scan_is_measured_without_its_damage(
    face: Mesh, scan: Mesh, landmarks: Landmarks, labelled: ScoredPair
) -> None:
    n = len(scan.vertices)
    stray = [[np.nan, 0, 0], [3000.0, 0, 0], [np.inf, 1, 1]]
    damaged = Mesh(
        np.concatenate([scan.vertices, stray]),
        np.concatenate([scan.triangles, [[0, 1, n], [2, n + 2, 3], [5, 5, 6]]]),
    )
    other = score_prediction(face, damaged, COARSE, scan_landmarks=landmarks)
    assert_same(labelled.score, other.score)


def test_a_scan_wound_the_other_way_is_turned_round(
    face: Mesh, scan: Mesh, landmarks: Landmarks, labelled: ScoredPair
) -> None:
    inside_out = replace(scan, triangles=scan.triangles[:, ::-1])
    other = score_prediction(face, inside_out, COARSE, scan_landmarks=landmarks)
    assert_same(labelled.score, other.score)


def test_a_mirrored_prediction_is_refused(face: Mesh, scan: Mesh) -> None:
    mirrored = face.vertices * [-1, 1, 1]
    for triangles in (face.triangles, face.triangles[:, ::-1]):
        with pytest.raises(FacebenchError, match="mirrored"):
            score_prediction(Mesh(mirrored, triangles, face.landmarks), scan, MICC)
    with pytest.raises(FacebenchError, match="inside out or mirrored"):
        score_prediction(Mesh(mirrored, face.triangles), scan, MICC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v / 1000, "looks like m, not mm"),
        (lambda v: v / 10, r"looks like cm, not mm .*in inches$"),
        (
            lambda v: v / 4,
            "looks like cm, not mm .*if it is a piece of a face, give one of at least",
        ),
        (lambda v: v * 100, "too large for a face"),
        (lambda v: np.where(v > 50, np.nan, v), "NaN"),
    ],
)
def test_a_prediction_that_is_no_face_in_mm(face: Mesh, scan: Mesh, change, message) -> None:
    with pytest.raises(FacebenchError, match=message):
        score_prediction(replace(face, vertices=change(face.vertices)), scan, MICC)


def test_a_scan_without_a_surface(face: Mesh) -> None:
    with pytest.raises(FacebenchError, match="no triangles"):
        score_prediction(face, Mesh(np.full((4, 3), np.nan), np.array([[0, 1, 2]])), MICC)


def test_a_failed_score_has_a_reason_and_no_number() -> None:
    row = failed_score("subject_02", "outdoor", "no face found", MICC)
    row = vars(row)
    assert (row["status"], row["reason"]) == ("failed", "no face found")
    assert np.isnan(row["mean_mm"])


def test_the_crop_is_a_sphere(scan: Mesh) -> None:
    surface = Surface(scan)
    crop = Sphere(surface.vertices[0], 40.0)
    apart = np.linalg.norm(surface.vertices - surface.vertices[0], axis=1)
    assert crop.vertices_of(surface).tolist() == np.flatnonzero(apart <= 40).tolist()
    assert len(Sphere.everywhere().vertices_of(surface)) == len(surface.vertices)


def test_real_shapes(shared, any_pose) -> None:
    """A person of the ICT model against its mean and against the truth, anywhere in space."""
    data = np.load(shared / "ict-facekit" / "ict_facekit_light.npz")
    mean, triangles = data["mean_shape"].astype(float), data["triangles"]
    rng = np.random.default_rng(4)
    shape = mean + data["identity_basis"].astype(float) @ rng.standard_normal(100)
    outside = np.isin(data["part"], [0, 1])
    noisy = shape + 0.1 * rng.standard_normal(shape.shape)
    scan = Mesh(any_pose(4).apply(noisy), triangles[outside[triangles].all(1)])
    score = score_prediction(Mesh(mean, triangles, data["landmarks"]), scan, COARSE).score
    assert score.converged
    assert 0.5 < score.mean_mm < 2.5
    face, marks = (
        Mesh(shape, triangles, data["landmarks"]),
        Landmarks(any_pose(4).apply(shape[data["landmarks"]])),
    )
    truth = score_prediction(face, scan, COARSE, scan_landmarks=marks).score
    assert truth.mean_mm < 0.3


def replace_parts(score):
    """The score without the parts of the face, which other calls do not ask for."""
    nan = float("nan")
    names = [f"{part}_mm" for part in PARTS]
    return replace(score, **dict.fromkeys(names, nan))


PARTS = ("nose", "mouth", "eyes", "cheeks", "forehead", "jaw")
