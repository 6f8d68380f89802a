"""What a score may be asked for: landmarks, sizes, parts of heads, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.landmarks import SEVEN, Landmarks
from facebench.bench.meshes.clean import keep_vertices
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.score import Score, ScoredPair, score_prediction
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

# At the vertices alone, a third of the time: nothing here is of the points between them.
MICC = preset("micc").with_setting("points.longest_edge_mm", "inf")
NOSE_TIP = 30


@pytest.fixture(scope="module")
def pose(any_pose):
    return any_pose(8)


@pytest.fixture(scope="module")
def scan(person: Mesh, scan_of, pose) -> Mesh:
    plain = scan_of(person)
    return replace(plain, vertices=pose.apply(plain.vertices))


@pytest.fixture(scope="module")
def scan_landmarks(person: Mesh, pose) -> Landmarks:
    return Landmarks(pose.apply(person.vertices[person.landmarks]))


@pytest.fixture(scope="module")
def searched(face: Mesh, scan: Mesh) -> ScoredPair:
    return score_prediction(face, scan, MICC)


def test_landmarks_and_search_measure_the_same(
    face: Mesh, scan: Mesh, scan_landmarks: Landmarks, searched: ScoredPair
) -> None:
    score = score_prediction(face, scan, MICC, scan_landmarks=scan_landmarks).score
    assert (score.start, searched.score.start) == ("landmarks", "search")
    assert score.nose_tip_source == "label"
    assert score.mean_mm == pytest.approx(searched.score.mean_mm, abs=0.01)
    assert 0.1 < score.landmark_residual_mm < 8
    assert np.isnan(searched.score.landmark_residual_mm)


def test_both_measures_in_both_directions(searched: ScoredPair) -> None:
    score = searched.score
    for measure in ("point_to_plane", "point_to_surface"):
        one, other, both = (
            getattr(score, f"{measure}_{way}_mm")
            for way in ("scan_to_prediction", "prediction_to_scan", "symmetric")
        )
        assert both == pytest.approx((one + other) / 2, rel=1e-12)
    assert score.point_to_plane_symmetric_mm == pytest.approx(score.mean_mm, rel=1e-12)
    assert score.point_to_surface_symmetric_mm == pytest.approx(score.point_to_surface_mm)
    assert score.point_to_plane_symmetric_mm < score.point_to_surface_symmetric_mm
    assert score.scan_to_prediction_mm == score.point_to_plane_scan_to_prediction_mm


def test_a_fixed_scale_is_given_and_kept(
    face: Mesh, scan: Mesh, scan_landmarks: Landmarks, searched: ScoredPair
) -> None:
    one_for_all = MICC.with_setting("alignment.scale", "global")
    half = replace(face, vertices=face.vertices * 0.5)
    factor = 2 * searched.score.scale
    pair = score_prediction(half, scan, one_for_all, fixed_scale=factor)
    assert pair.score.scale == pytest.approx(factor, rel=1e-12)
    assert pair.score.mean_mm == pytest.approx(searched.score.mean_mm, abs=0.01)
    np.testing.assert_allclose(pair.aligned.vertices, searched.aligned.vertices, atol=0.5)
    own = Landmarks(half.vertices[half.landmarks])
    bare = replace(half, landmarks=None)
    given = score_prediction(
        bare,
        scan,
        one_for_all,
        prediction_landmarks=own,
        scan_landmarks=scan_landmarks,
        fixed_scale=factor,
    ).score
    assert (given.start, given.scale) == ("landmarks", pytest.approx(factor, rel=1e-12))
    assert given.mean_mm == pytest.approx(searched.score.mean_mm, abs=0.01)


def test_a_whole_head_against_a_cropped_scan(
    face: Mesh, scan: Mesh, searched: ScoredPair, scan_landmarks: Landmarks
) -> None:
    """Only the part that both show counts: the rest of the head has no counterpart."""
    tip = scan_landmarks.points[NOSE_TIP]
    near = np.linalg.norm(scan.vertices - tip, axis=1) < 65
    cropped = keep_vertices(scan, near)
    score = score_prediction(face, cropped, MICC).score
    assert score.mean_mm < 1.3 * searched.score.mean_mm
    assert score.overlap > 0.9
    # The middle of these two faces differs more in size than the whole: the size must be that of
    # the whole scan in a crop of 62 mm, of which the ragged edge of the cut leaves out as much.
    middle = MICC.with_setting("crop.radius_mm", "62")
    same_part = score_prediction(face, scan, middle, nose_tip=searched.nose_tip.position).score
    assert score.scale == pytest.approx(same_part.scale, abs=0.005)


def test_a_mask_of_a_face_against_a_whole_head(
    face: Mesh, scan: Mesh, searched: ScoredPair
) -> None:
    tip = face.vertices[face.landmarks[NOSE_TIP]]
    near = np.linalg.norm(face.vertices - tip, axis=1) < 85
    near[face.landmarks] = True
    mask = keep_vertices(face, near)
    score = score_prediction(mask, scan, MICC).score
    assert score.mean_mm == pytest.approx(searched.score.mean_mm, rel=0.25)
    assert score.scale == pytest.approx(searched.score.scale, abs=0.02)


@pytest.mark.parametrize("preset_name", ["now", "fg2018"])
def test_protocols_of_seven_landmarks(
    face: Mesh, scan: Mesh, scan_landmarks: Landmarks, preset_name: str
) -> None:
    protocol = preset(preset_name)
    seven = Landmarks(scan_landmarks.points[SEVEN])
    score: Score = score_prediction(face, scan, protocol, scan_landmarks=seven).score
    assert (score.status, score.start, score.nose_tip_source) == (
        "ok",
        "landmarks",
        "seven_landmarks",
    )
    assert score.overlap == 1.0
    assert score.mean_mm == pytest.approx(score.point_to_surface_scan_to_prediction_mm, rel=1e-12)
    tiny = replace(face, vertices=face.vertices / 1234)
    other = score_prediction(tiny, scan, protocol, scan_landmarks=seven).score
    assert other.mean_mm == pytest.approx(score.mean_mm, abs=1e-3)
    with pytest.raises(FacebenchError, match="seven landmarks of the scan"):
        score_prediction(face, scan, protocol)


def test_a_subject_with_a_crop_of_its_own(
    face: Mesh, scan: Mesh, scan_landmarks: Landmarks
) -> None:
    protocol = MICC.with_setting("crop.exceptions_mm", "subject_28=60")
    own, other = (
        score_prediction(face, scan, protocol, subject=name, scan_landmarks=scan_landmarks).score
        for name in ("subject_28", "subject_29")
    )
    assert own.n_points < 0.8 * other.n_points


def test_degenerate_and_duplicate_triangles_change_nothing(
    face: Mesh, scan: Mesh, searched: ScoredPair
) -> None:
    triangles = np.asarray(face.triangles, np.int64)
    worse = np.concatenate([triangles, triangles[:50], triangles[:50, [1, 0, 2]], [[5, 5, 6]]])
    pair = score_prediction(replace(face, triangles=worse), scan, MICC)
    np.testing.assert_equal(vars(pair.score), vars(searched.score))
    np.testing.assert_array_equal(pair.vertex_errors, searched.vertex_errors)


def test_a_prediction_of_points_is_refused(face: Mesh, scan: Mesh) -> None:
    points = Mesh(face.vertices, np.empty((0, 3), np.int32), face.landmarks)
    with pytest.raises(FacebenchError, match="has no triangles, only points"):
        score_prediction(points, scan, MICC)
    flat = replace(face, triangles=np.repeat(face.triangles[:, :1], 3, axis=1))
    with pytest.raises(FacebenchError, match="no triangle of the prediction has an area"):
        score_prediction(flat, scan, MICC)


def test_millions_of_points_are_refused(face: Mesh, scan: Mesh) -> None:
    huge = replace(scan, vertices=np.broadcast_to(scan.vertices[0], (10_000_000, 3)))
    with pytest.raises(FacebenchError, match=r"the scan has 10,000,000 vertices.*thin it"):
        score_prediction(face, huge, MICC)
    with pytest.raises(FacebenchError, match="the prediction has 10,000,000 vertices"):
        score_prediction(replace(huge, landmarks=None), scan, MICC)


def test_a_scan_with_exchanged_landmarks_is_refused(
    face: Mesh, scan: Mesh, scan_landmarks: Landmarks
) -> None:
    seven = scan_landmarks.seven
    with pytest.raises(FacebenchError, match="left and right are exchanged"):
        score_prediction(face, scan, MICC, scan_landmarks=Landmarks(seven[[3, 2, 1, 0, 4, 6, 5]]))


def test_corresponding_points_are_further_than_closest_ones(
    face: Mesh, scan: Mesh, scan_landmarks: Landmarks
) -> None:
    pair = score_prediction(face, scan, preset("correspondence"), scan_landmarks=scan_landmarks)
    score = pair.score
    assert score.mean_mm == pytest.approx(score.prediction_to_scan_mm, rel=1e-12)
    assert score.mean_mm > 1.2 * score.point_to_surface_prediction_to_scan_mm
    assert np.isnan(score.scan_to_prediction_mm)
    assert 0 < score.deviation_mm < score.mean_mm
    assert len(pair.distances[0]) == 0
    assert score.n_points > 500
    assert pair.distances[1].mean() == pytest.approx(score.mean_mm, rel=2e-3)
    assert np.nanmean(pair.vertex_errors) == pytest.approx(score.mean_mm, rel=0.1)


def test_normals_leave_motion_along_the_surface_to_landmarks(face, scan, scan_landmarks) -> None:
    normals = preset("correspondence").with_setting("points.longest_edge_mm", "inf")
    smooth = normals.with_setting("distance.along", "field")
    labelled, by_field = (
        score_prediction(face, scan, protocol, scan_landmarks=scan_landmarks).score.value_mm
        for protocol in (normals, smooth)
    )
    assert labelled == by_field
    alone, without = (score_prediction(face, scan, one).score.value_mm for one in (normals, smooth))
    assert alone != pytest.approx(without, rel=1e-3)
