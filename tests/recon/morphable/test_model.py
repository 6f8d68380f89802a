"""The model's own checks, digest and decoding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from facebench.errors import FacebenchError
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture
def model() -> MorphableModel:
    random = np.random.default_rng(0)
    return MorphableModel(
        mean_shape=random.normal(size=(80, 3)).astype(np.float32),
        identity_basis=random.normal(size=(80, 3, 4)).astype(np.float32),
        expression_basis=random.normal(size=(80, 3, 2)).astype(np.float32),
        mean_albedo=random.uniform(size=(80, 3)).astype(np.float32),
        albedo_basis=random.normal(size=(80, 3, 3)).astype(np.float32),
        triangles=random.integers(0, 80, (100, 3), dtype=np.int32),
        landmarks=np.arange(68, dtype=np.int32),
        region=(np.arange(80) % 3).astype(np.uint8),
        region_names=("nose", "jaw", "neck"),
        name="tiny",
        licence="CC0",
    )


def test_a_mesh_is_the_mean_and_its_modes(model: MorphableModel) -> None:
    by_hand = model.mean_shape + 1.0 * model.identity_basis[..., 0]
    by_hand = by_hand - 2.0 * model.identity_basis[..., 1] + 0.7 * model.expression_basis[..., 1]
    mesh = model.mesh(np.array([1.0, -2.0, 0.0, 0.0]), np.array([0.0, 0.7]))
    np.testing.assert_allclose(mesh.vertices, by_hand, atol=1e-6)
    assert mesh.vertices.dtype == np.float64
    assert mesh.colours is not None and mesh.colours.min() >= 0 and mesh.colours.max() <= 1


def test_averaging_coefficients_averages_meshes(model: MorphableModel) -> None:
    faces = np.random.default_rng(1).normal(size=(9, 4))
    meshes = [model.mesh(face).vertices for face in faces]
    np.testing.assert_allclose(model.mesh(faces.mean(axis=0)).vertices, np.mean(meshes, axis=0))


def test_landmarks_go_along_only_when_complete(model: MorphableModel) -> None:
    assert model.mesh().landmarks is not None
    landmarks = np.array([-1, *range(1, 68)], np.int32)
    assert replace(model, landmarks=landmarks).mesh().landmarks is None


def test_vertices_are_found_by_region(model: MorphableModel) -> None:
    expected = [i for i in range(80) if i % 3 != 1]
    np.testing.assert_array_equal(model.vertices_of("nose", "neck", "tail"), expected)


@pytest.mark.parametrize(
    "name",
    ["mean_shape", "identity_basis", "expression_basis", "mean_albedo", "albedo_basis"],
)
def test_every_array_enters_the_digest(model: MorphableModel, name: str) -> None:
    changed = getattr(model, name).copy()
    changed.flat[7] += 1e-3
    other = replace(model, **{name: changed})
    assert other.digest != model.digest
    assert replace(model, name="renamed").digest == model.digest


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"mean_albedo": np.zeros((79, 3), np.float32)}, r"expected \(80, 3\)"),
        ({"identity_basis": np.zeros((80, 12), np.float32)}, r"expected \(80, 3, K\)"),
        ({"landmarks": np.zeros(51, np.int32)}, r"landmarks \(51,\)"),
        ({"region": np.zeros(3, np.uint8)}, r"region \(3,\)"),
        ({"triangles": np.array([[0, 1, 80]], np.int32)}, "triangles name vertex 80"),
        ({"mean_shape": np.full((80, 3), np.nan, np.float32)}, "mean_shape has NaN"),
    ],
)
def test_a_fault_has_its_line(model: MorphableModel, change: dict[str, Any], line: str) -> None:
    with pytest.raises(FacebenchError, match=line):
        replace(model, **change)
