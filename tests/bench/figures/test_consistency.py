"""The spread of a person's faces, against cases whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from facebench.bench.figures.consistency import ALL, differences, groups_of, spread_of
from facebench.bench.figures.photographs import Photograph
from facebench.recon.face.crop import Box
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.render.face_in_photograph import FaceInPhotograph

MODEL = load_model("embedded")
SHAPE = MODEL.mean_shape.astype(np.float64)
FRAME = np.zeros((4, 4, 3), np.uint8)


def photograph(subject: str, number: int, group: str = "") -> Photograph:
    return Photograph(f"{subject}{number}", subject, FRAME, Box(0, 0, 4, 4), group)


def reconstruction(vertices: np.ndarray, colour: float = 0.5) -> FaceInPhotograph:
    colours = np.full_like(vertices, colour)
    return FaceInPhotograph(Mesh(vertices, MODEL.triangles, MODEL.landmarks, colours), vertices)


def test_moved_and_turned_copies_do_not_spread() -> None:
    draw = np.random.default_rng(1)
    copies = [
        SHAPE @ Rotation.random(rng=draw).as_matrix().T + draw.normal(0, 50, 3) for _ in range(3)
    ]
    shots = [photograph("a", k) for k in range(3)]
    spread = spread_of("m", shots, [reconstruction(one) for one in copies], None)
    assert spread.within_mm[ALL] == pytest.approx([0.0], abs=1e-9)


def test_a_change_of_size_is_a_spread() -> None:
    shots = [photograph("a", 0), photograph("a", 1)]
    faces = [reconstruction(SHAPE * 0.99), reconstruction(SHAPE * 1.01)]
    radius = np.linalg.norm(SHAPE - SHAPE.mean(axis=0), axis=1).mean()
    spread = spread_of("m", shots, faces, None)
    assert spread.within_mm[ALL] == pytest.approx([0.01 * radius], rel=1e-6)


def test_only_the_face_counts() -> None:
    face = np.zeros(len(SHAPE), bool)
    face[:1000] = True
    other = SHAPE + np.where(face[:, None], 0.0, 9.0)
    shots = [photograph("a", 0), photograph("a", 1)]
    spread = spread_of("m", shots, [reconstruction(SHAPE), reconstruction(other)], face)
    assert spread.within_mm[ALL] == pytest.approx([0.0], abs=1e-9)


def test_groups_are_compared_with_the_photograph_from_the_front() -> None:
    shots = [photograph("a", 0, "front"), photograph("a", 1, "pose"), photograph("a", 2, "light")]
    faces = [reconstruction(SHAPE), reconstruction(SHAPE * 1.02), reconstruction(SHAPE)]
    spread = spread_of("m", shots, faces, None)
    assert groups_of(shots) == (ALL, "pose", "light")
    assert spread.within_mm["light"] == pytest.approx([0.0], abs=1e-9)
    assert spread.within_mm["pose"][0] > spread.within_mm[ALL][0] > 0.5


def two_people(sizes: list[tuple[float, float]]) -> tuple[list[Photograph], list[FaceInPhotograph]]:
    shots, faces = [], []
    for number, pair in enumerate(sizes):
        for k, size in enumerate(pair):
            shots.append(photograph(f"p{number}", k))
            faces.append(reconstruction(SHAPE * size))
    return shots, faces


def test_people_apart_and_one_face_for_all() -> None:
    radius = np.linalg.norm(SHAPE - SHAPE.mean(axis=0), axis=1).mean()
    spread = spread_of("m", *two_people([(0.94, 0.96), (1.04, 1.06)]), None)
    assert spread.between_mm == pytest.approx([0.05 * radius] * 2, rel=1e-3)
    assert spread.ratio == pytest.approx(0.2, rel=1e-2)
    assert np.isnan(spread_of("m", *two_people([(1.0, 1.0), (1.0, 1.0)]), None).ratio)


def test_methods_are_compared_on_the_same_people() -> None:
    close = [(1 - 0.002 * k, 1 + 0.002 * k) for k in range(1, 9)]
    wide = [(low - 0.01, high + 0.01) for low, high in close]
    first = spread_of("first", *two_people(close), None)
    second = spread_of("second", *two_people(wide), None)
    ((_, paired, p_holm),) = differences([first, second])
    expected = (first.within_mm[ALL] - second.within_mm[ALL]).mean()
    assert paired.mean_mm == pytest.approx(expected) and expected < 0
    assert paired.ci95_mm.high < 0 and p_holm == pytest.approx(2 / 2**8)


class Brightness:
    """Two features whose angle is known: 90° between black and white faces."""

    def __call__(self, images: Tensor, landmarks: Tensor) -> Tensor:
        assert landmarks.shape == (68, 2, 1) and landmarks.isfinite().all()
        middle = images[:, :, 112, 112].mean(dim=1)
        angle = middle.clamp(0, 1) * (torch.pi / 2)
        return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_angles_are_those_between_the_features() -> None:
    shots = [photograph("a", 0), photograph("a", 1), photograph("b", 0), photograph("b", 1)]
    faces = [reconstruction(SHAPE, colour) for colour in (0.0, 0.5, 0.0, 0.0)]
    spread = spread_of("m", shots, faces, None, Brightness())
    # Half grey in even light of 1.25 * 0.8.
    assert spread.within_degrees == pytest.approx([45.0, 0.0], abs=0.5)
    assert spread.between_degrees == pytest.approx(22.5, abs=0.5)
