"""Overlay, shape and albedo of a face in its photograph."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from facebench.recon.face.coefficients import Coefficients, CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.face.imaging import ambient_light
from facebench.recon.morphable.load import load_model
from facebench.recon.render import make_renderer
from facebench.recon.render.face import FaceDecoder, FaceRenderer, draw_panels

SIDE = 96


@pytest.fixture(scope="module")
def face() -> FaceRenderer:
    renderer = make_renderer("outline", sigma=1e-6)
    return FaceRenderer(FaceDecoder(load_model("embedded")), renderer, (SIDE, SIDE))


@pytest.fixture(scope="module")
def found() -> Coefficients:
    model = load_model("embedded")
    sizes, pose = CoefficientSizes.of(model), torch.from_numpy(mean_face_pose(model)).float()
    pose[1] = 0.4
    parts = (torch.zeros(1, size) for size in (sizes.identity, sizes.expression, sizes.albedo))
    return Coefficients(*parts, pose[None], ambient_light(1))


def test_the_photograph_stays_outside_the_face(face: FaceRenderer, found: Coefficients) -> None:
    photograph = torch.rand(1, 3, SIDE, SIDE)
    outside = (face(found)[0].silhouette == 0.0).unsqueeze(1)
    overlay, _, _ = draw_panels(face, found, photograph)
    assert 0.2 < outside.float().mean() < 0.8
    assert torch.equal(
        overlay[outside.expand(-1, 3, -1, -1)], photograph[outside.expand(-1, 3, -1, -1)]
    )


def test_ambient_light_dims_the_albedo_alike(face: FaceRenderer, found: Coefficients) -> None:
    overlay, _, albedo = draw_panels(face, found, torch.zeros(1, 3, SIDE, SIDE))
    torch.testing.assert_close(overlay, 0.8 * albedo, atol=1e-4, rtol=0.0)


def test_the_shape_is_grey_and_ignores_colour_and_light(
    face: FaceRenderer, found: Coefficients
) -> None:
    nothing = torch.zeros(1, 3, SIDE, SIDE)
    other = replace(found, albedo=torch.ones_like(found.albedo), light=torch.zeros(1, 9, 3))
    _, shape, _ = draw_panels(face, found, nothing)
    assert torch.equal(shape, draw_panels(face, other, nothing)[1])
    torch.testing.assert_close(shape[:, 0], shape[:, 2])
    assert shape.max() > 0.3 and shape[shape > 0].std() > 0.02


def test_what_was_seen_is_not_shown_of_other_faces(face: FaceRenderer, found: Coefficients) -> None:
    """What is visible is kept for one tensor of vertices, as long as nobody changes it."""
    corners, size = face.decoder.triangles, face.image_size
    with torch.no_grad():
        vertices, lit = face.shaded(found)
        first = face.renderer(vertices, lit, corners, size).silhouette
        vertices[:, 0] += 0.3
        moved = face.renderer(vertices, lit, corners, size).silhouette
        fresh = face.renderer(vertices.clone(), lit, corners, size).silhouette
        smaller = face.renderer(vertices, lit, corners, (SIDE // 2, SIDE)).silhouette
    assert torch.equal(moved, fresh) and not torch.equal(moved, first)
    assert smaller.shape == (1, SIDE // 2, SIDE)


def test_shape_and_albedo_stand_on_the_level_of_grey(
    face: FaceRenderer, found: Coefficients
) -> None:
    outside = (face(found)[0].silhouette == 0.0).unsqueeze(1).expand(-1, 3, -1, -1)
    _, *panels = draw_panels(face, found, torch.zeros(1, 3, SIDE, SIDE), background=0.9)
    for panel in panels:
        assert torch.all(panel[outside] == 0.9)
