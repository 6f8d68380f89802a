"""A model fitted to scans of known faces: made by the model itself, moved, cut and remeshed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from facebench.bench.landmarks import Landmarks
from facebench.bench.meshes.clean import clean_mesh
from facebench.bench.registration.model_fit import MOST_DEVIATIONS, ModelFit, fit_model
from facebench.bench.surface.similarity import Similarity
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model

POSE = Rotation.from_euler("xyz", [20, 150, 40], degrees=True).as_matrix()


def moved(scale: float = 1.0) -> Similarity:
    return Similarity(scale, POSE, np.array([50.0, -20.0, 400.0]))


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return procedural_model(n_vertices=2000)


@pytest.fixture(scope="module")
def person(model: MorphableModel) -> tuple[np.ndarray, np.ndarray]:
    """Identity and expression of somebody who smiles."""
    expression = np.zeros(model.expression_basis.shape[2])
    expression[model.expression_names.index("smile")] = 1.0
    return np.random.default_rng(4).normal(size=12) * 0.8, expression


def scan_of(
    model: MorphableModel,
    vertices: np.ndarray,
    noise_mm: float = 0.0,
    seed: int = 0,
    split: bool = True,
) -> Mesh:
    """The outer skin of a face, in another topology: no mouth and eyes, every triangle split."""
    hidden = np.isin(np.arange(len(vertices)), model.vertices_of("mouth", "left_eye", "right_eye"))
    skin = trimesh.Trimesh(vertices, model.triangles, process=False)
    skin.update_faces(~hidden[model.triangles].any(axis=1))
    skin.remove_unreferenced_vertices()
    fine = skin.subdivide() if split else skin
    noise = np.random.default_rng(seed).normal(size=fine.vertices.shape) * noise_mm
    return clean_mesh(Mesh(np.asarray(fine.vertices) + noise, np.asarray(fine.faces)))[0]


def face_error(model: MorphableModel, fit: ModelFit, true: np.ndarray) -> float:
    """Mean distance in mm of the face's vertices from where they truly are."""
    apart = np.linalg.norm(fit.mesh.vertices - true, axis=1)
    near = np.linalg.norm(true - true[model.landmarks[30]], axis=1) < 80.0
    return float(apart[near].mean())


@pytest.fixture(scope="module")
def found(model: MorphableModel, person: tuple[np.ndarray, np.ndarray]) -> ModelFit:
    scan = scan_of(model, moved().apply(model.mesh(*person).vertices), noise_mm=0.05)
    return fit_model(model, scan)


def test_a_known_face_is_found_from_any_pose(
    model: MorphableModel, person: tuple[np.ndarray, np.ndarray], found: ModelFit
) -> None:
    true = moved().apply(model.mesh(*person).vertices)
    mean_face = found.similarity.apply(model.mean_shape.astype(np.float64))
    before = float(np.linalg.norm(mean_face - true, axis=1).mean())
    assert found.started_from == "search" and found.scan_errors.mean() < 0.15
    assert face_error(model, found, true) < min(0.6, 0.3 * before)
    assert np.corrcoef(found.identity, person[0])[0, 1] > 0.9
    assert found.expression[model.expression_names.index("smile")] > 0.6
    np.testing.assert_allclose(found.similarity.rotation, POSE, atol=0.03)
    assert found.similarity.scale == 1.0 and found.overlap > 0.9


def test_distances_are_those_of_the_mesh_that_is_given(
    model: MorphableModel, person: tuple[np.ndarray, np.ndarray], found: ModelFit
) -> None:
    """The mesh is the model's at the coefficients, and its errors are distances to the scan."""
    decoded = model.mesh(found.identity, found.expression).vertices
    np.testing.assert_allclose(found.similarity.apply(decoded), found.mesh.vertices, atol=1e-6)
    scan = scan_of(model, moved().apply(model.mesh(*person).vertices), noise_mm=0.05)
    scene = o3d.t.geometry.RaycastingScene()
    corners, triangles = np.asarray(scan.vertices, np.float32), np.asarray(scan.triangles)
    scene.add_triangles(corners, triangles.astype(np.uint32))
    measured = np.isfinite(found.errors)
    distance = scene.compute_distance(found.mesh.vertices[measured].astype(np.float32)).numpy()
    np.testing.assert_allclose(found.errors[measured], distance, atol=2e-3)
    assert np.isnan(found.errors[model.vertices_of("mouth")]).all()


def test_the_size_is_found_when_asked_for(
    model: MorphableModel, person: tuple[np.ndarray, np.ndarray]
) -> None:
    scan = scan_of(model, moved(1.3).apply(model.mesh(*person).vertices))
    fit = fit_model(model, scan, scale=True)
    assert fit.similarity.scale == pytest.approx(1.3, rel=0.06)
    assert fit.scan_errors.mean() < 0.25


def test_landmarks_start_it_and_are_met(
    model: MorphableModel, person: tuple[np.ndarray, np.ndarray]
) -> None:
    true = moved().apply(model.mesh(*person).vertices)
    fit = fit_model(model, scan_of(model, true), Landmarks(true[model.landmarks]))
    assert fit.started_from == "landmarks" and fit.landmark_mm < 1.0
    assert face_error(model, fit, true) < 0.5


def test_a_neutral_fit_has_no_expression_and_fits_worse(
    model: MorphableModel, person: tuple[np.ndarray, np.ndarray], found: ModelFit
) -> None:
    scan = scan_of(model, moved().apply(model.mesh(*person).vertices), noise_mm=0.05)
    neutral = fit_model(model, scan, expression=False)
    assert not neutral.expression.any()
    assert neutral.scan_errors.mean() > found.scan_errors.mean()


def test_part_of_a_face_keeps_coefficients_within_their_bounds(
    model: MorphableModel, person: tuple[np.ndarray, np.ndarray]
) -> None:
    """Of a scan that ends above the mouth nothing tells the chin, which then stays the model's."""
    true = model.mesh(*person).vertices
    whole = scan_of(model, true)
    above = np.asarray(whole.vertices)[:, 1] > true[model.landmarks[33], 1]
    faces = np.asarray(whole.triangles)
    half = clean_mesh(Mesh(whole.vertices, faces[above[faces].all(axis=1)]))[0]
    fit = fit_model(model, half, Landmarks(true[model.landmarks]))
    assert np.abs(fit.identity).max() <= MOST_DEVIATIONS + 1e-6
    assert fit.scan_errors.mean() < 0.3


def test_a_scan_far_from_its_landmarks_is_refused(
    model: MorphableModel, person: tuple[np.ndarray, np.ndarray]
) -> None:
    true = model.mesh(*person).vertices
    with pytest.raises(FacebenchError, match="not on the scan"):
        fit_model(model, scan_of(model, true), Landmarks(true[model.landmarks] + 200.0))


def test_blend_shapes_stay_weights(shared: Path) -> None:
    """On ICT-FaceKit, whose expressions are weights from 0 to 1."""
    model = load_model(shared / "ict-facekit" / "ict_facekit_light.npz")
    random = np.random.default_rng(1)
    expression = np.zeros(model.expression_basis.shape[2])
    expression[model.expression_names.index("jawOpen")] = 0.5
    identity = random.normal(size=model.identity_basis.shape[2]) * 0.8
    true = moved().apply(model.mesh(identity, expression).vertices)
    scan = scan_of(model, true, split=False)
    fit = fit_model(model, scan, Landmarks(true[model.landmarks]))
    assert fit.expression.min() >= 0.0 and fit.expression.max() <= 1.0
    assert fit.expression[model.expression_names.index("jawOpen")] > 0.35
    assert face_error(model, fit, true) < 0.6 and fit.scan_errors.mean() < 0.2
