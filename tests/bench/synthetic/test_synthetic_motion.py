"""How synthetic people move in the three scenes."""

from __future__ import annotations

import numpy as np
import pytest
from example_runs import SCENES

from facebench.bench.synthetic.video import STYLES, random_motion
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(scope="module")
def embedded() -> MorphableModel:
    return load_model("embedded")


def _yaw(model: MorphableModel, scene: str, seed: int) -> np.ndarray:
    angles, *_ = random_motion(np.random.default_rng(seed), model, STYLES[scene], 120)
    return np.degrees(angles[:, 1])


def test_scenes_are_those_of_every_table() -> None:
    assert tuple(STYLES) == SCENES


def test_cooperative_people_turn_less_than_others(embedded: MorphableModel) -> None:
    reach = {s: np.mean([np.ptp(_yaw(embedded, s, k)) for k in range(6)]) for s in SCENES}
    assert reach["cooperative"] < 0.8 * min(reach["indoor"], reach["outdoor"])
    assert max(np.abs(_yaw(embedded, "cooperative", k)).max() for k in range(6)) < 26


@pytest.mark.parametrize("scene", SCENES)
def test_motion_is_smooth(embedded: MorphableModel, scene: str) -> None:
    angles, shift, *_ = random_motion(np.random.default_rng(0), embedded, STYLES[scene], 120)
    assert np.degrees(np.abs(np.diff(angles, axis=0))).max() < 12
    assert np.abs(np.diff(shift, axis=0)).max() < 0.35


def test_eyes_blink_now_and_then(embedded: MorphableModel) -> None:
    *_, expression = random_motion(np.random.default_rng(0), embedded, STYLES["cooperative"], 200)
    shut = expression[:, embedded.expression_names.index("blink")] > 1.5
    assert 2 < shut.sum() < 40


def test_one_frame_is_a_motion_too(embedded: MorphableModel) -> None:
    *path, expression = random_motion(np.random.default_rng(0), embedded, STYLES["outdoor"], 1)
    assert expression.shape == (1, embedded.expression_basis.shape[2])
    assert all(np.isfinite(track).all() for track in path)
