"""Protocol `realy`: regions of the scan, each registered by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.landmarks import Landmarks
from facebench.bench.protocol.record import preset
from facebench.bench.registration.initialise import initialise
from facebench.bench.registration.nose_tip import NoseTip
from facebench.bench.registration.prepared_mesh import PreparedMesh
from facebench.bench.scoring.regions import REGIONS, register_regions
from facebench.bench.scoring.register import InitialisedPair
from facebench.bench.scoring.score import ScoredPair, score_prediction
from facebench.bench.surface.region import Sphere
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.model import MorphableModel

REALY = preset("realy")
COLUMNS = tuple(f"{region}_mm" for region in REGIONS)


def measure(face: Mesh, scan: Mesh) -> ScoredPair:
    landmarks = Landmarks(np.asarray(scan.vertices, np.float64)[scan.landmarks])
    return score_prediction(face, scan, REALY, scan_landmarks=landmarks)


@pytest.fixture(scope="module")
def face(model: MorphableModel, subdivide: Callable[[Mesh], Mesh]) -> Mesh:
    """The mean, dense enough for a mouth."""
    return subdivide(model.mesh())


@pytest.fixture(scope="module")
def person(model: MorphableModel, subdivide: Callable[[Mesh], Mesh]) -> Mesh:
    """Someone else."""
    n_modes = model.identity_basis.shape[2]
    return subdivide(model.mesh(identity=np.random.default_rng(5).standard_normal(n_modes)))


@pytest.fixture(scope="module")
def measured(face: Mesh, person: Mesh) -> ScoredPair:
    return measure(face, person)


def test_a_face_has_no_error_against_itself(face: Mesh) -> None:
    score = measure(face, face).score
    assert max(getattr(score, column) for column in COLUMNS) < 0.05


def test_a_surface_that_is_all_boundary_is_told(face: Mesh) -> None:
    corners = np.asarray(face.vertices, np.float64)[face.landmarks[[36, 57, 45]]]
    marks = Landmarks(np.asarray(face.vertices, np.float64)[face.landmarks])
    card = Mesh(corners, np.array([[0, 1, 2]]))
    with pytest.raises(FacebenchError, match="do not overlap"):
        score_prediction(card, face, REALY, prediction_landmarks=marks)


def test_the_number_is_the_mean_of_the_four_regions(measured: ScoredPair) -> None:
    regions = [getattr(measured.score, column) for column in COLUMNS]
    assert measured.score.value_mm == pytest.approx(np.mean(regions))
    assert min(regions) > 0.2 and measured.score.scan_to_prediction_mm > 0.2
    assert np.isnan(measured.score.jaw_mm)
    known = np.isfinite(measured.scan_errors)
    assert 0.1 < known.mean() < 0.8


# In kilometres a whole face lies within what one vertex is in mm; on the smooth patches, a cheek by
# itself, the last bits grow in every step.
@pytest.mark.parametrize(("scale", "within"), [(0.01, 1e-5), (1e-6, 5e-5)])
def test_unit_and_pose_of_the_prediction_change_nothing(
    face, person, measured, any_pose, scale, within
) -> None:
    pose = any_pose(3, scale)
    moved = replace(face, vertices=pose.apply(np.asarray(face.vertices, np.float64)))
    value = measure(moved, person).score.value_mm
    assert value == pytest.approx(measured.score.value_mm, rel=within)


def test_a_region_that_only_lies_elsewhere_is_no_error(face: Mesh) -> None:
    """What the name says: every region is aligned anew, so that where it lies does not count."""
    vertices = np.asarray(face.vertices, np.float64)
    middle = vertices[face.landmarks[30]]
    # All within 40 mm of the nose tip moves as it is; the slope lies between it and the rest.
    away = np.linalg.norm(vertices - middle, axis=1)
    shift = np.clip((60.0 - away) / 20.0, 0.0, 1.0)[:, None] * np.array([0.0, 0.0, 4.0])
    moved = measure(replace(face, vertices=vertices + shift), face).score
    assert moved.nose_mm < 0.5 < 4.0
    assert moved.cheeks_mm > moved.nose_mm


def test_a_scan_without_a_forehead_is_refused(face: Mesh) -> None:
    vertices = np.asarray(face.vertices, np.float64)
    low = vertices[:, 1] < vertices[face.landmarks[27], 1]
    triangles = np.asarray(face.triangles)
    part = replace(face, triangles=triangles[low[triangles].all(1)])
    with pytest.raises(FacebenchError, match="shows no forehead"):
        measure(face, part)


def test_a_prediction_that_lacks_a_region_is_told_which(face: Mesh, person: Mesh) -> None:
    vertices = np.asarray(face.vertices, np.float64)
    near = np.linalg.norm(vertices - vertices[face.landmarks[30]], axis=1) < 42.0
    triangles = np.asarray(face.triangles)
    part = replace(face, triangles=triangles[near[triangles].all(1)])
    with pytest.raises(FacebenchError, match=r"the scan's (mouth|forehead) do not"):
        measure(part, person)


def test_other_triangles_of_a_coarse_prediction_move_no_region(
    model: MorphableModel, subdivide: Callable[[Mesh], Mesh]
) -> None:
    half = 0.5 * np.random.default_rng(5).standard_normal(model.identity_basis.shape[2])
    person = subdivide(model.mesh(identity=half))
    coarse = measure(model.mesh(), person).score
    fine = measure(subdivide(model.mesh()), person).score
    # Between lips that are 5 mm from vertex to vertex more is seen of finer ones.
    for column in set(COLUMNS) - {"mouth_mm"}:
        assert getattr(fine, column) == pytest.approx(getattr(coarse, column), rel=0.003)


def test_without_landmarks_no_region_is_known(face: Mesh) -> None:
    bare = PreparedMesh.of(replace(face, landmarks=None), None, "scan")
    given = replace(REALY.alignment, start="as_given")
    start = initialise(bare, bare, given, REALY.intersection)
    whole, tip = Sphere.everywhere(), NoseTip(np.zeros(3), "label")
    pair = InitialisedPair(bare, bare, whole, tip, start, REALY, bare.mesh)
    with pytest.raises(FacebenchError, match="no landmarks tell the regions"):
        register_regions(pair, REALY)
