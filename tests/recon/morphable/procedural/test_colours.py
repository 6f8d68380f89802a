"""The embedded face's colours and regions."""

from __future__ import annotations

import numpy as np

from facebench.recon.morphable.landmarks import REGION_NAMES
from facebench.recon.morphable.model import MorphableModel


def test_colours_stay_in_range(model: MorphableModel) -> None:
    assert model.mean_albedo.min() >= 0.0 and model.mean_albedo.max() <= 1.0
    spread = 2.5 * np.moveaxis(model.albedo_basis, 2, 0)
    colours = np.concatenate([model.mean_albedo + spread, model.mean_albedo - spread])
    assert ((colours < 0.0) | (colours > 1.0)).mean() < 0.01


def test_regions_are_all_there(model: MorphableModel) -> None:
    assert model.region_names == REGION_NAMES
    assert set(np.unique(model.region)) == set(range(len(REGION_NAMES)))
    left, right = model.vertices_of("left_cheek"), model.vertices_of("right_cheek")
    assert model.mean_shape[left, 0].min() >= 0.0 > model.mean_shape[right, 0].max()
