"""The shape that no coefficients can explain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.bench.synthetic.scan import DETAIL_MM, DetailSampler
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(scope="module")
def embedded() -> MorphableModel:
    return load_model("embedded")


def _check(model: MorphableModel) -> None:
    field = DetailSampler(model).field(np.random.default_rng(0))
    basis = model.identity_basis.reshape(-1, model.identity_basis.shape[2]).astype(np.float64)
    basis = basis / np.linalg.norm(basis, axis=0)
    assert np.abs(field.ravel() @ basis).max() / np.linalg.norm(field) < 1e-6
    near = np.linalg.norm(model.mean_shape - model.mean_shape[model.landmarks[30]], axis=1) < 95
    rms = np.sqrt((field[near] ** 2).sum(axis=1).mean())
    assert rms == pytest.approx(DETAIL_MM, rel=1e-6)


def test_orthogonal_to_the_embedded_models_modes(embedded: MorphableModel) -> None:
    _check(embedded)


def test_orthogonal_to_a_hundred_real_modes(shared: Path) -> None:
    _check(load_model(shared / "ict-facekit" / "ict_facekit_light.npz"))


def test_no_similarity_explains_it(embedded: MorphableModel) -> None:
    field = DetailSampler(embedded).field(np.random.default_rng(1))
    centred = embedded.mean_shape - embedded.mean_shape.mean(axis=0, dtype=np.float64)
    moves = [np.tile(axis, (len(field), 1)) for axis in np.eye(3)]
    moves += [np.cross(axis, centred) for axis in np.eye(3)] + [centred]
    for move in moves:
        share = np.vdot(move, field) / np.linalg.norm(move) / np.linalg.norm(field)
        assert abs(share) < 1e-6


def test_it_is_smooth(embedded: MorphableModel) -> None:
    """Neighbours on the skin move together: much less apart than the field is large."""
    field = DetailSampler(embedded).field(np.random.default_rng(2))
    a, b = embedded.triangles[:, 0], embedded.triangles[:, 1]
    apart = np.linalg.norm(field[a] - field[b], axis=1)
    assert np.median(apart) < 0.25 * DETAIL_MM


def test_seed_decides_it(embedded: MorphableModel) -> None:
    sampler = DetailSampler(embedded)
    one, same, other = (sampler.field(np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.5
