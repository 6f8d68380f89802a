"""The albedo of models that bring none, on the real face shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.recon.morphable.load import read_npz
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.plausible_albedo import ALBEDO_NAMES, plausible_albedo


@pytest.fixture(scope="module")
def model(shared: Path) -> MorphableModel:
    return read_npz(shared / "ict-facekit" / "ict_facekit_light.npz")


def _colour(model: MorphableModel, *regions: str) -> np.ndarray:
    return model.mean_albedo[model.vertices_of(*regions)].mean(axis=0)


def test_parts_have_their_colours(model: MorphableModel) -> None:
    skin, lips = _colour(model, "forehead"), _colour(model, "lower_lip")
    brows, eyes = _colour(model, "left_brow"), _colour(model, "left_eye")
    assert skin[0] > skin[1] > skin[2]
    assert lips[0] / lips[1] > skin[0] / skin[1] + 0.2
    assert brows.mean() < skin.mean() - 0.15
    assert eyes.std() < 0.1 and model.mean_albedo.min() >= 0.0 and model.mean_albedo.max() <= 1.0


def test_the_pupils_look_at_the_viewer(model: MorphableModel) -> None:
    for side, corners in (("left", (42, 45)), ("right", (36, 39))):
        eye = model.vertices_of(f"{side}_eye")
        dark = eye[model.mean_albedo[eye].max(axis=1) < 0.1]
        pupil = model.mean_shape[dark]
        middle = model.mean_shape[model.landmarks[list(corners)]].mean(axis=0)
        assert len(dark) > 5
        assert np.linalg.norm(pupil.mean(axis=0)[:2] - middle[:2]) < 4.0
        assert pupil[:, 2].min() > np.median(model.mean_shape[eye, 2])


def test_every_mode_shows_and_faces_stay_symmetric(model: MorphableModel) -> None:
    moved = np.abs(model.albedo_basis).max(axis=(0, 1))
    assert model.albedo_names == ALBEDO_NAMES and moved.min() > 0.015 and moved.max() < 0.2
    left, right = _colour(model, "left_cheek"), _colour(model, "right_cheek")
    np.testing.assert_allclose(left, right, atol=0.01)


def test_broad_modes_are_as_broad_on_a_finer_mesh(model: MorphableModel) -> None:
    """Splitting every triangle in four must not narrow what fades out over millimetres."""
    vertices, triangles, region = _subdivided(model)
    _, fine, _ = plausible_albedo(vertices, triangles, region, model.region_names)
    blush = ALBEDO_NAMES.index("blush")
    coarse, same = model.albedo_basis[:, 0, blush], fine[: model.n_vertices, 0, blush]
    assert np.corrcoef(coarse, same)[0, 1] > 0.97


def _subdivided(model: MorphableModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    corners = model.triangles.astype(np.int64)
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]))
    unique, number = np.unique(edges, axis=0, return_inverse=True)
    middle = model.n_vertices + number.reshape(3, -1)
    (a, b, c), (ab, bc, ca) = corners.T, middle
    parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    triangles = np.concatenate([np.stack(part, axis=1) for part in parts]).astype(np.int32)
    vertices = np.concatenate([model.mean_shape, model.mean_shape[unique].mean(axis=1)])
    region = np.concatenate([model.region, model.region[unique[:, 0]]])
    return vertices, triangles, region
