from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import trimesh

from facebench.bench.landmarks import SEVEN, Landmarks
from facebench.bench.protocol.record import AlignmentSettings, preset
from facebench.bench.registration import prepared_mesh
from facebench.bench.registration.initialise import (
    Initialisation,
    _agree,
    _align_at_fitting_size,
    _best_after_coarse_alignment,
    _by_mean_face,
    _is_like,
    _turn_deg,
    initialise,
)
from facebench.bench.registration.nose_tip import FACE_MM, NOSE_TIP, NoseTip
from facebench.bench.registration.prepared_mesh import PreparedMesh
from facebench.bench.scoring.register import InitialisedPair, register_pair
from facebench.bench.scoring.score import score_prediction
from facebench.bench.surface.region import OverlapRegion, Sphere
from facebench.bench.surface.similarity import Similarity
from facebench.bench.surface.surface import Surface
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

SEARCH = AlignmentSettings()
LANDMARKS_ALONE = AlignmentSettings(start="seven_landmarks", dense=False)


@pytest.fixture(scope="module")
def known(any_pose):
    return any_pose(7, 1.04)


@pytest.fixture(scope="module")
def moved(face: Mesh, known) -> PreparedMesh:
    """The same face elsewhere, with its 68 landmarks as points."""
    landmarks = Landmarks(known.apply(face.vertices[face.landmarks]))
    mesh = Mesh(known.apply(face.vertices), face.triangles)
    return PreparedMesh.of(mesh, landmarks, "scan")


def test_landmarks_alone_give_the_similarity(face: Mesh, moved: PreparedMesh, known) -> None:
    start = initialise(
        PreparedMesh.of(face, None, "prediction"), moved, LANDMARKS_ALONE, OverlapRegion()
    )
    assert start.source == "landmarks"
    assert start.transform.scale == pytest.approx(known.scale, rel=1e-9)
    np.testing.assert_allclose(start.transform.apply(face.vertices), moved.mesh.vertices, atol=1e-6)
    assert start.residual_mm(start.transform) == pytest.approx(0, abs=1e-9)


def test_landmarks_that_lay_nothing_on_anything_are_told(face: Mesh, moved: PreparedMesh) -> None:
    """In words, and not by a distance that is none."""
    start = Initialisation(Similarity.identity(), "given")
    protocol = replace(preset("micc"), alignment=LANDMARKS_ALONE, intersection=OverlapRegion(1e-6))
    side, tip = PreparedMesh.of(face, None, "prediction"), NoseTip(np.zeros(3), "label")
    pair = InitialisedPair(side, moved, Sphere.everywhere(), tip, start, protocol, face)
    with pytest.raises(FacebenchError, match="no point of the one has a counterpart on the other"):
        register_pair(pair, protocol)


def test_a_rigid_start_keeps_the_size(face: Mesh, moved: PreparedMesh) -> None:
    rigid = replace(LANDMARKS_ALONE, scale="none")
    start = initialise(PreparedMesh.of(face, None, "prediction"), moved, rigid, OverlapRegion())
    assert start.transform.scale == 1.0
    assert start.residual_mm(start.transform) > 1


@pytest.fixture(scope="module")
def searched(face: Mesh, moved: PreparedMesh) -> Initialisation:
    bare = replace(moved, landmarks=None)
    return initialise(PreparedMesh.of(face, None, "prediction"), bare, SEARCH, OverlapRegion())


def test_without_landmarks_the_pose_is_searched_for(
    face: Mesh, moved: PreparedMesh, searched: Initialisation
) -> None:
    assert searched.source == "search"
    assert np.isnan(searched.residual_mm(searched.transform))
    apart = searched.transform.apply(face.vertices) - moved.mesh.vertices
    assert np.linalg.norm(apart, axis=1).mean() < 3


def test_a_pose_lays_the_nose_on_the_nose_the_right_way_up(
    face: Mesh, moved: PreparedMesh, known: Similarity
) -> None:
    """A face cut at 80 mm lies on the back of a head, upside down, as well as on the face."""
    tip, middle = moved.nose_tip, face.vertices[face.landmarks[NOSE_TIP]]
    start = Initialisation(known, "search")
    over = known.after(Similarity.step(np.array([0, 0, np.pi, 0, 0, 0, 0]), middle))
    right, behind, turned = (
        (start, Sphere(tip + off, FACE_MM), pose)
        for off, pose in ((15.0, known), (100.0, known), (0.0, over))
    )
    assert _agree([right, right])
    assert not any(_agree([right, *other]) for other in ([behind], [turned])) and not _agree([])
    poses = behind, right, turned
    assert [_is_like(one, known, moved, tip) for one in poses] == [False, True, False]
    # By the shapes alone.
    bare = replace(moved, landmarks=None, mesh=replace(moved.mesh, landmarks=None))
    assert np.linalg.norm(bare.nose_tip - tip) < 12
    other = PreparedMesh.of(replace(face, landmarks=None), None, "prediction")
    expected = _by_mean_face(other, bare)
    assert [_is_like(one, expected, bare, None) for one in poses] == [False, True, False]


def test_where_the_mean_face_went_astray_a_label_still_tells_the_nose(
    face: Mesh, moved: PreparedMesh, known: Similarity
) -> None:
    tip = moved.nose_tip
    bare = replace(moved, landmarks=None)
    away = Similarity.step(np.array([0, 0, 3, 0, 150.0, 0, 0]), np.zeros(3))
    bare.__dict__["mean_pose"] = known.after(away)
    prediction, start = PreparedMesh.of(face, None, "prediction"), Initialisation(known, "search")
    assert _by_mean_face(prediction, bare) is not None
    assert _by_mean_face(prediction, bare, tip) is None
    right, behind = ((start, Sphere(tip + off, FACE_MM), known) for off in (0.0, 100.0))
    assert [_is_like(one, None, bare, tip) for one in (right, behind)] == [True, False]
    assert not _is_like(right, None, bare, None)


@pytest.mark.parametrize("count", [68, 7])
def test_a_side_with_landmarks_is_not_searched_for_its_pose(
    face: Mesh, moved: PreparedMesh, known: Similarity, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They tell it better, and the shape of a bald head may not."""

    def refuse(_: Surface) -> Similarity:
        raise FacebenchError("a search")

    monkeypatch.setattr(prepared_mesh, "register_mean_face", refuse)
    prediction = PreparedMesh.of(face, None, "prediction")
    points = moved.landmarks.points if count == 68 else moved.landmarks.seven
    expected = _by_mean_face(prediction, replace(moved, landmarks=Landmarks(points)))
    # Each side's mean is resized to it, by 1.04 here; a search keeps a prediction's millimetres.
    assert expected is not None and expected.scale == 1.0
    tip = face.vertices[face.landmarks[NOSE_TIP]]
    assert np.linalg.norm(expected.apply(tip[None])[0] - moved.nose_tip) < 10
    assert _turn_deg(expected, known) < 8
    assert _by_mean_face(prediction, replace(moved, landmarks=None)) is None


def test_a_pose_off_the_scan_does_not_end_the_search(
    face: Mesh, moved: PreparedMesh, known: Similarity
) -> None:
    """A face cut at 80 mm had its right pose first, and ended at a wrong one that met nothing."""
    off = replace(known, translation=known.translation + 1000.0)
    pair = PreparedMesh.of(face, None, "prediction"), moved
    poses = [Initialisation(one, "search") for one in (off, known, off)]
    found = _best_after_coarse_alignment(poses, *pair, SEARCH, OverlapRegion())
    apart = found.transform.apply(face.vertices) - moved.mesh.vertices
    assert np.linalg.norm(apart, axis=1).mean() < 1e-3
    # Where all are off, the mean face on both tells one.
    found = _best_after_coarse_alignment(poses[::2], *pair, SEARCH, OverlapRegion())
    apart = found.transform.apply(face.vertices) - moved.mesh.vertices
    assert np.linalg.norm(apart, axis=1).mean() < 3
    given = [replace(poses[0], source="landmarks")]
    with pytest.raises(FacebenchError, match="the scan has nothing within 95 mm"):
        _best_after_coarse_alignment(given, *pair, SEARCH, OverlapRegion())


def test_both_starts_come_to_the_same_place(
    face: Mesh, moved: PreparedMesh, searched: Initialisation
) -> None:
    ours = PreparedMesh.of(face, None, "prediction")
    labelled = initialise(ours, moved, SEARCH, OverlapRegion())
    assert (labelled.source, searched.source) == ("landmarks", "search")
    apart = labelled.transform.apply(face.vertices) - searched.transform.apply(face.vertices)
    assert np.linalg.norm(apart, axis=1).mean() < 3


def test_missing_landmarks_are_asked_for(face: Mesh, moved: PreparedMesh) -> None:
    bare = replace(moved, landmarks=None)
    with pytest.raises(FacebenchError, match="landmarks of the scan, which has none: give --scan"):
        initialise(
            PreparedMesh.of(face, None, "prediction"), bare, LANDMARKS_ALONE, OverlapRegion()
        )
    with pytest.raises(FacebenchError, match="of the prediction, which has none: give --predict"):
        initialise(bare, moved, LANDMARKS_ALONE, OverlapRegion())


def test_68_in_another_order_are_refused(face: Mesh, moved: PreparedMesh) -> None:
    """The seven are in their places, so that only the comparison of both sides can tell."""
    order = np.arange(68)
    others = np.setdiff1d(np.arange(17, 68), SEVEN)
    order[others] = others[::-1]
    wrong = Landmarks(moved.landmarks.points[order])
    side = PreparedMesh.of(moved.mesh, wrong, "scan")
    with pytest.raises(FacebenchError, match="do not fit each other"):
        initialise(PreparedMesh.of(face, None, "prediction"), side, SEARCH, OverlapRegion())


@pytest.mark.parametrize("change", [lambda p: p * 0.001, lambda p: p + 300, lambda p: p * 1.5])
def test_landmarks_of_another_mesh_or_unit_are_refused(face: Mesh, change) -> None:
    points = face.vertices[face.landmarks]
    with pytest.raises(FacebenchError, match="landmarks are not on the scan"):
        PreparedMesh.of(face, Landmarks(change(points)), "scan")


def test_given_landmarks_name_the_vertices_of_a_mesh_without(face: Mesh) -> None:
    bare = replace(face, landmarks=None)
    points = face.vertices[face.landmarks]
    named = PreparedMesh.of(bare, Landmarks(points), "prediction").mesh.landmarks
    np.testing.assert_array_equal(named, face.landmarks)
    assert PreparedMesh.of(bare, Landmarks(points[SEVEN]), "prediction").mesh.landmarks is None


def test_a_rigid_face_of_another_size_is_laid_where_its_landmarks_would_lay_it(
    person: Mesh, face: Mesh, scan_of: Callable[..., Mesh], any_pose: Callable[..., Similarity]
) -> None:
    pose = any_pose(4)
    larger = Mesh(1.1 * person.vertices, person.triangles, person.landmarks)
    scan = scan_of(larger)
    moved = Mesh(pose.apply(scan.vertices), scan.triangles)
    points = Landmarks(pose.apply(np.asarray(larger.vertices)[larger.landmarks]))
    coarse = preset("metric").with_setting("points.longest_edge_mm", "inf")
    searched = score_prediction(face, moved, coarse).score
    labelled = score_prediction(face, moved, coarse, scan_landmarks=points).score
    assert searched.value_mm == pytest.approx(labelled.value_mm, abs=0.05)
    assert searched.overlap > 0.95


@pytest.mark.parametrize(("source", "scale"), [("search", 1.0), ("landmarks", 100 / 60)])
def test_a_search_keeps_a_size_that_no_face_has(
    source: Literal["search", "landmarks"], scale: float
) -> None:
    """A ball in a larger one fits at the larger's size; landmarks may be in any unit."""
    balls = [trimesh.creation.icosphere(3, radius) for radius in (60.0, 100.0)]
    small, large = (Surface(Mesh(np.asarray(b.vertices), np.asarray(b.faces))) for b in balls)
    start, rules = Initialisation(Similarity.identity(), source), OverlapRegion(max_distance_mm=50)
    found = _align_at_fitting_size(small, large, start, rules, SEARCH, None)
    assert found.scale == pytest.approx(scale, rel=0.02)
