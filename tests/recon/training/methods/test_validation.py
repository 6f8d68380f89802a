from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from training_faces import small_model, small_recipe

from facebench.recon.face.imaging import rotation_matrix
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.methods.trainer import (
    MODE,
    aligned_distance,
    correlations,
    shape_error,
    validate_regressor,
)
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.workers import Worker


def test_an_untrained_network_is_as_good_as_the_mean_face(faces: Path) -> None:
    trainer = Trainer(small_recipe(), small_model(), Worker())
    row = validate_regressor(FaceShards(faces), small_model(), trainer)
    assert row["shape_mm"] == pytest.approx(row["mean_face_mm"], rel=1e-5)
    assert row["shape_mm"] > 0.5
    assert row["identity_correlation"] == row["identity_spread"] == 0.0
    assert row["landmark_px"] > 1.0
    modes = [value for name, value in row.items() if name.startswith(MODE)]
    assert len(modes) == small_model().identity_basis.shape[2]
    assert row["subject_correlation"] == pytest.approx(np.mean(modes))


def test_a_similarity_does_not_count() -> None:
    torch.manual_seed(0)
    points = torch.randn(200, 3, dtype=torch.float64)
    turned = 1.3 * points @ rotation_matrix(torch.tensor([[0.3, -1.0, 2.0]]).double())[0] + 5.0
    assert aligned_distance(points, turned) < 1e-10
    mirrored = points * torch.tensor([1.0, 1.0, -1.0])
    assert aligned_distance(points, mirrored) > 0.1


def test_shape_error_of_the_truth_is_zero_and_grows_with_the_mistake() -> None:
    model = small_model()
    true = np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32)
    errors = [shape_error(model, true * share, true) for share in (1.0, 0.5, 0.0)]
    assert errors[0] < 1e-3
    assert errors[0] < errors[1] < errors[2]


def test_correlations_agree_with_numpy() -> None:
    random = np.random.default_rng(1)
    a, b = random.standard_normal((2, 50, 3)).astype(np.float32)
    b[:, 1] = 2 * a[:, 1] + 1
    expected = [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(3)]
    np.testing.assert_allclose(correlations(a, b), expected, atol=1e-6)
    assert correlations(np.zeros_like(a), b).tolist() == [0.0, 0.0, 0.0]
