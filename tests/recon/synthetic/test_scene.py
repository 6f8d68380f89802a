"""Dressed people before the camera: occlusion, classes, edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from facebench.recon.face.crop import mean_face_pose
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.synthetic.appearance import (
    CLASS,
    CLASS_NAMES,
    REGION_CLASS,
    Appearance,
    Glasses,
    ambient,
    random_appearance,
    without_headwear,
)
from facebench.recon.synthetic.clothing import ClothedModel
from facebench.recon.synthetic.scene import Layer, SceneRenderer

SIZE = (96, 96)


@pytest.fixture(scope="module")
def renderer(model: MorphableModel) -> SceneRenderer:
    return SceneRenderer(ClothedModel(model))


@pytest.fixture(scope="module")
def plain() -> Appearance:
    return without_headwear(random_appearance(np.random.default_rng(0)))


def _draw(renderer: SceneRenderer, appearance: Appearance, yaw: float = 0.0) -> Layer:
    model = renderer.clothed_model.model
    neutral = model.mean_shape.astype(np.float64)
    clothing = renderer.clothed_model.fit_clothing(neutral, model.mean_albedo, appearance)
    pose = torch.from_numpy(mean_face_pose(model)).float()
    pose[1] = yaw
    pose[6] *= 0.75
    light = ambient(torch.full((3,), 0.8))
    return renderer.draw(neutral, model.mean_albedo, clothing, pose, light, SIZE)


def _count(layer: Layer, name: str) -> int:
    return int((layer.classes == CLASS[name]).sum())


def test_every_region_has_a_class() -> None:
    assert set(REGION_CLASS.values()) <= set(CLASS_NAMES)
    assert len(CLASS_NAMES) == 19


def test_a_frontal_face_is_symmetric(renderer: SceneRenderer, plain: Appearance) -> None:
    layer = _draw(renderer, replace(plain, hair=replace(plain.hair, thickness=-0.05, length=0)))
    for left, right in (("l_eye", "r_eye"), ("l_brow", "r_brow")):
        assert _count(layer, left) == pytest.approx(_count(layer, right), rel=0.25, abs=4)
    nose = np.argwhere(layer.classes == CLASS["nose"])[:, 1]
    assert nose.mean() == pytest.approx((SIZE[1] - 1) / 2, abs=0.7)


def test_coverage_and_classes_agree(renderer: SceneRenderer, plain: Appearance) -> None:
    layer = _draw(renderer, plain, yaw=0.5)
    assert (layer.coverage[layer.classes > 0] > 0.25).all()
    assert (layer.classes[layer.coverage > 0.76] > 0).all()
    assert layer.colour.min() >= 0


def test_only_colour_covered_by_the_person_leaves_the_background(
    renderer: SceneRenderer, plain: Appearance
) -> None:
    layer = _draw(renderer, plain)
    background = np.random.default_rng(1).random((*SIZE, 3), dtype=np.float32)
    picture = layer.over(background)
    free = layer.coverage == 0
    np.testing.assert_array_equal(picture[free], background[free])
    np.testing.assert_allclose(picture - layer.colour, background * (1 - layer.coverage)[..., None],
                               atol=1e-6)  # fmt: skip


def test_dark_glasses_hide_the_eyes(renderer: SceneRenderer, plain: Appearance) -> None:
    dark = Glasses((0.4, 0.3), 3.0, 1.5, np.zeros(3, np.float32), True, np.zeros(3, np.float32))
    bare, worn = _draw(renderer, plain), _draw(renderer, replace(plain, glasses=dark))
    assert _count(bare, "eye_glasses") == 0
    assert _count(worn, "eye_glasses") > 150
    assert _count(worn, "l_eye") + _count(worn, "r_eye") < 0.2 * (
        _count(bare, "l_eye") + _count(bare, "r_eye")
    )


def test_clear_glasses_leave_the_eyes(renderer: SceneRenderer, plain: Appearance) -> None:
    clear = Glasses((0.4, 0.3), 3.0, 1.5, np.zeros(3, np.float32), False, np.zeros(3, np.float32))
    layer = _draw(renderer, replace(plain, glasses=clear))
    assert _count(layer, "eye_glasses") > 40
    assert _count(layer, "l_eye") > 5 and _count(layer, "r_eye") > 5


def test_hair_and_hats_cover_the_head(renderer: SceneRenderer, plain: Appearance) -> None:
    long = replace(plain, hair=replace(plain.hair, thickness=0.12, length=150.0, hairline=0.5))
    bald = replace(plain, hair=replace(plain.hair, thickness=0.01, length=0.0))
    hat = replace(plain, hair=replace(plain.hair, hat=0.42, hairline=0.44))
    assert _count(_draw(renderer, long), "hair") > 800
    assert _count(_draw(renderer, bald), "hair") == 0
    assert _count(_draw(renderer, hat), "hat") > 200


def test_the_face_stays_visible_under_long_hair(renderer: SceneRenderer, plain: Appearance) -> None:
    long = replace(plain, hair=replace(plain.hair, thickness=0.12, length=150.0, hairline=0.5))
    for yaw in (-0.6, 0.0, 0.6):
        layer = _draw(renderer, long, yaw)
        assert _count(layer, "nose") > 60
        assert _count(layer, "u_lip") + _count(layer, "l_lip") > 15
