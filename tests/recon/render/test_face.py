"""From coefficients to a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.face.imaging import ambient_light
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render import make_renderer
from facebench.recon.render.face import FaceDecoder, FaceRenderer

SIZE = (40, 40)


@pytest.fixture
def model() -> MorphableModel:
    """A bowl facing the viewer, 100 mm across, whose one identity mode widens it."""
    side = np.linspace(-50, 50, 15, dtype=np.float32)
    x, y = (part.ravel() for part in np.meshgrid(side, side))
    shape = np.stack([x, y, 30 - (x**2 + y**2) / 100], 1).astype(np.float32)
    index = np.arange(225).reshape(15, 15)
    a, b, c, d = (
        part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    )
    widen = (shape * np.array([0.1, 0, 0], np.float32))[:, :, None]
    landmarks = np.arange(68, dtype=np.int32) * 3
    landmarks[5] = -1
    return MorphableModel(
        mean_shape=shape,
        identity_basis=widen,
        expression_basis=np.zeros((225, 3, 1), np.float32),
        mean_albedo=np.full((225, 3), 0.5, np.float32),
        albedo_basis=np.full((225, 3, 1), 0.1, np.float32),
        triangles=np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32),
        landmarks=landmarks,
        region=np.zeros(225, np.uint8),
        region_names=("head",),
        name="bowl",
        licence="MIT",
    )


def _coefficients(batch: int = 2) -> Coefficients:
    pose = torch.tensor([[0.0, 0.0, 0.0, 0.1, 0.2, 0.0, 0.012]]).repeat(batch, 1)
    zero = torch.zeros(batch, 1)
    return Coefficients(zero, zero.clone(), zero.clone(), pose, ambient_light(batch))


@pytest.mark.parametrize("name", ["outline", "softras"])
def test_the_mean_face_under_ambient_light(model: MorphableModel, name: str) -> None:
    drawn = FaceRenderer(FaceDecoder(model), make_renderer(name), SIZE)(_coefficients())
    assert drawn[0].image.shape == (2, 3, *SIZE)
    # Albedo 0.5 under a light of 0.8, in the middle of the face: 0.1 right and 0.2 up.
    assert torch.allclose(drawn[0].image[:, :, 15, 21], torch.tensor(0.4), atol=1e-4)
    area = drawn[0].silhouette.sum((1, 2)) * (2 / 40) ** 2
    # The soft rasteriser lets the background through between triangles much larger than its σ.
    assert torch.allclose(area, torch.tensor(1.2**2), rtol={"outline": 0.01, "softras": 0.15}[name])


def test_landmarks_are_the_projected_vertices(model: MorphableModel) -> None:
    renderer = FaceRenderer(FaceDecoder(model), make_renderer("outline"), SIZE)
    drawn = renderer(_coefficients())
    assert drawn[1].shape == (68, 2, 2)
    point = model.mean_shape[model.landmarks[7]]
    x, y = 0.012 * point[0] + 0.1, 0.012 * point[1] + 0.2
    expected = torch.tensor([(x * 40 + 39) / 2, (39 - y * 40) / 2])
    assert torch.allclose(drawn[1][7, :, 1], expected, atol=1e-4)
    assert drawn[1][5].isnan().all()
    assert torch.equal(renderer.landmarks(_coefficients())[7], drawn[1][7])


@pytest.mark.parametrize("name", ["outline", "softras"])
def test_every_part_of_the_vector_gets_a_gradient(model: MorphableModel, name: str) -> None:
    parts = _coefficients()
    vector = parts.vector().requires_grad_()
    split = Coefficients(
        vector[:, :1],
        vector[:, 1:2],
        vector[:, 2:3],
        vector[:, 3:10],
        vector[:, 10:].unflatten(1, (9, 3)),
    )
    drawn = FaceRenderer(FaceDecoder(model), make_renderer(name), SIZE)(split)[0]
    ramp = torch.linspace(0, 1, 40)
    ((drawn.image * ramp).sum() + (drawn.silhouette * ramp.view(-1, 1)).sum()).backward()
    assert vector.grad is not None and vector.grad.isfinite().all()
    identity, albedo, shift, scale = 0, 2, 6, 9
    for index in (identity, albedo, shift, scale, 10):
        assert vector.grad[:, index].all()
