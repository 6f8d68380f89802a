"""Textures against a face whose colours are known, photographed by the renderer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from facebench.recon.face.coefficients import CoefficientSizes, FaceCoefficients
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.face.imaging import ambient_light
from facebench.recon.morphable.load import load_model
from facebench.recon.portraits.reconstructor import Reconstructor
from facebench.recon.recipes.regressor import NetworkRecipe
from facebench.recon.regressors.regressor import FaceRegressor
from facebench.recon.render import make_renderer
from facebench.recon.render.face import FaceRenderer, shade
from facebench.recon.texture.texture import COVERED_REGIONS, TextureSpace, blend, sample_view

SIZE = 384
SIDE = 512
MODEL = load_model("embedded")


@pytest.fixture(scope="module")
def reconstructor() -> Reconstructor:
    recipe = NetworkRecipe("resnet18", width=8, image_size=64)
    regressor = FaceRegressor(recipe, CoefficientSizes.of(MODEL), mean_face_pose(MODEL))
    return Reconstructor(MODEL, regressor.eval(), texture_size=SIZE)


def face_at(yaw: float = 0.0, side_light: float = 0.35) -> FaceCoefficients:
    sizes, pose = CoefficientSizes.of(MODEL), mean_face_pose(MODEL)
    pose[1] = yaw
    light = ambient_light(1)[0].double().numpy()
    light[3] += side_light
    parts = (np.zeros(n) for n in (sizes.identity, sizes.expression, sizes.albedo))
    return FaceCoefficients(*parts, pose, light)


def true_colours() -> NDArray[np.float64]:
    """Stripes that the model's albedo does not have."""
    x, y, _ = MODEL.mean_shape.astype(float).T
    waves = [np.sin(x / 12.0), np.sin(y / 15.0), np.sin((x + y) / 18.0)]
    return 0.45 + 0.2 * np.stack(waves, axis=1)


def photograph(
    reconstructor: Reconstructor, face: FaceCoefficients, collar: float | None = None
) -> NDArray[np.uint8]:
    batch = face[None].tensors("cpu")
    drawing = FaceRenderer(reconstructor.decoder, make_renderer("outline", sigma=1e-6), (SIDE,) * 2)
    own = true_colours()
    if collar is not None:
        own[MODEL.vertices_of(*COVERED_REGIONS)] = collar
    colours = torch.from_numpy(own.astype(np.float32)).unsqueeze(2)
    shape = reconstructor.decoder.shape(batch.identity, batch.expression)
    vertices, lit = shade(shape, colours, batch.pose, batch.light, drawing.normals)
    image = drawing.renderer(vertices, lit, reconstructor.decoder.triangles, (SIDE, SIDE)).image
    return (image[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()


def weights_at_vertices(reconstructor: Reconstructor, weight: NDArray[np.floating]) -> np.ndarray:
    space = reconstructor.texture_space
    total = np.zeros(MODEL.n_vertices)
    np.add.at(total, space.corners.ravel(), (space.weights * weight[:, None]).ravel())
    count = np.zeros(MODEL.n_vertices)
    np.add.at(count, space.corners.ravel(), space.weights.ravel())
    return total / np.maximum(count, 1e-9)


def test_every_pixel_shows_the_point_it_should(reconstructor: Reconstructor) -> None:
    """Interpolating the coordinates of the texture itself gives each pixel's own place."""
    space = reconstructor.texture_space
    row, column = np.divmod(space.pixels, SIZE)
    place = space.at(space.uv)
    np.testing.assert_allclose(place[:, 0], (column + 0.5) / SIZE, atol=1e-4)
    np.testing.assert_allclose(place[:, 1], 1.0 - (row + 0.5) / SIZE, atol=1e-4)


def test_beyond_a_chart_its_rim_is_repeated(reconstructor: Reconstructor) -> None:
    space = reconstructor.texture_space
    index = space.spread(
        np.repeat((np.arange(len(space.pixels)) % 251)[:, None], 3, 1).astype("u1")
    )
    inside = space.mask(np.ones(len(space.pixels), bool))
    assert not inside[0, 0] and inside[SIZE // 2, SIZE // 2]
    np.testing.assert_array_equal(index[inside][:, 0], np.arange(len(space.pixels)) % 251)


def test_what_is_seen_comes_back_without_its_light(reconstructor: Reconstructor) -> None:
    face = face_at()
    view = reconstructor.view(photograph(reconstructor, face), face)
    albedo, seen = sample_view(reconstructor.texture_space, MODEL.triangles, view)
    truth = reconstructor.texture_space.at(true_colours())
    clear = seen > 0.9
    assert clear.mean() > 0.3
    error = np.abs(albedo - truth)[clear]
    assert np.median(error) < 0.006 and np.quantile(error, 0.99) < 0.05
    assert view.shading.max() / view.shading.min() > 1.5


def test_the_texture_is_the_photograph_where_seen_and_the_model_elsewhere(
    reconstructor: Reconstructor,
) -> None:
    face = face_at()
    view = reconstructor.view(photograph(reconstructor, face), face)
    found = reconstructor.texture(face.albedo, [view]).at_vertices()
    turned_away = view.normals[:, 2] < 0.0
    middle = np.linalg.norm(
        MODEL.mean_shape[:, :2] - MODEL.mean_shape[MODEL.landmarks[30], :2], axis=1
    )
    seen = (middle < 35.0) & (view.normals[:, 2] > 0.75)
    assert np.median(np.abs(found - true_colours())[seen]) < 0.03
    own = MODEL.mean_albedo.astype(float)
    assert np.median(np.abs(own - true_colours())[seen]) > 0.1
    ratio = found[turned_away] / own[turned_away]
    detail = ratio / np.median(ratio, axis=0)
    assert np.quantile(np.abs(np.log(detail)), 0.9) < 0.6


def test_only_what_faces_the_camera_and_is_not_hidden_is_seen(
    reconstructor: Reconstructor,
) -> None:
    face = face_at(yaw=-0.8)
    view = reconstructor.view(photograph(reconstructor, face), face)
    albedo, seen = sample_view(reconstructor.texture_space, MODEL.triangles, view)
    weight = weights_at_vertices(reconstructor, seen)
    assert weight[view.normals[:, 2] < 0.0].max() < 0.35
    left, right = MODEL.landmarks[1], MODEL.landmarks[15]
    sides = sorted([weight[left], weight[right]])
    assert sides[0] < 0.05 and sides[1] > 0.5
    truth = reconstructor.texture_space.at(true_colours())
    clear = seen > 0.9
    assert np.quantile(np.abs(albedo - truth)[clear], 0.98) < 0.08


def test_what_lies_in_the_dark_is_not_divided_by_little_light(reconstructor: Reconstructor) -> None:
    def seen_from_the_sides(side_light: float) -> list[float]:
        face = face_at(side_light=side_light)
        view = reconstructor.view(photograph(reconstructor, face), face)
        _, seen = sample_view(reconstructor.texture_space, MODEL.triangles, view)
        weight = weights_at_vertices(reconstructor, seen)
        across = MODEL.mean_shape[:, 0]
        facing = (view.normals[:, 2] > 0.6) & (np.abs(across) > 40)
        return sorted(float(weight[facing & side].mean()) for side in (across < 0, across > 0))

    dark, lit = seen_from_the_sides(3.0)
    assert dark < 0.15 and lit > 0.8
    # Under even light both sides are as well seen.
    dark, lit = seen_from_the_sides(0.0)
    assert dark > 0.8 and lit - dark < 0.05


def test_padding_is_not_taken_for_the_face(reconstructor: Reconstructor) -> None:
    face = face_at()
    picture = photograph(reconstructor, face)
    picture[:, : SIDE // 2] = 0
    filled = (SIDE / 2, 0.0, float(SIDE), float(SIDE))
    _, seen = sample_view(
        reconstructor.texture_space, MODEL.triangles, reconstructor.view(picture, face, filled)
    )
    x = reconstructor.texture_space.at(MODEL.mean_shape)[:, 0]
    assert (seen[x < -1.0] == 0.0).all() and seen[x > 3.0].max() == 1.0


def test_between_parted_lips_lies_what_the_photograph_shows(reconstructor: Reconstructor) -> None:
    face = face_at(side_light=0.0)
    face.expression[MODEL.expression_names.index("jaw_open")] = 2.5
    view = reconstructor.view(photograph(reconstructor, face), face)
    found = reconstructor.texture(face.albedo, [view])
    space = reconstructor.texture_space
    _, weight = sample_view(space, MODEL.triangles, view)
    between = space.mouth & (weight == 1.0)
    assert between.sum() > 100
    shown = found.picture.reshape(-1, 3)[space.pixels[between]] / 255.0
    truth, own = space.at(true_colours())[between], space.at(MODEL.mean_albedo)[between]
    # The rim of the lips is blended; what the model has there is far from it.
    assert np.median(np.abs(shown - truth)) < 0.03 < 0.1 < np.median(np.abs(own - truth))
    # Behind closed lips it is the model's own: it may be seen when they open.
    closed = face_at()
    _, weight = sample_view(
        space, MODEL.triangles, reconstructor.view(photograph(reconstructor, closed), closed)
    )
    assert weight[between].mean() < 0.1


def test_two_views_show_more_than_one(reconstructor: Reconstructor) -> None:
    faces = [face_at(yaw=-0.7), face_at(yaw=0.7)]
    views = [reconstructor.view(photograph(reconstructor, face), face) for face in faces]
    x = MODEL.mean_shape[:, 0]
    cheeks = (np.abs(x) > 40) & (np.abs(x) < 60) & (np.abs(MODEL.mean_shape[:, 1]) < 30)
    errors = [
        np.abs(reconstructor.texture(faces[0].albedo, some).at_vertices() - true_colours())[cheeks]
        for some in ([views[0]], [views[1]], views)
    ]
    assert errors[2].mean() < 0.75 * min(errors[0].mean(), errors[1].mean())


def test_without_a_view_the_texture_is_the_models_albedo(reconstructor: Reconstructor) -> None:
    albedo = np.zeros(CoefficientSizes.of(MODEL).albedo)
    found = reconstructor.texture(albedo, [])
    error = np.abs(found.at_vertices() - MODEL.mean_albedo.clip(0, 1))
    assert np.quantile(error, 0.99) < 0.05


def test_too_little_light_dims_instead_of_burning_out(reconstructor: Reconstructor) -> None:
    face = face_at()
    picture = photograph(reconstructor, face)
    dark = replace(face, light=face.light / 4.0)
    texture = reconstructor.texture(face.albedo, [reconstructor.view(picture, dark)])
    assert (texture.picture == 255).all(axis=2).mean() < 0.01


def test_a_white_collar_does_not_dim_the_face(reconstructor: Reconstructor) -> None:
    face = face_at(side_light=0.0)
    # Shown darker than the face is lit, so that it alone leaves room for brighter skin.
    dim = replace(face, light=face.light / 1.3)
    cheeks = MODEL.vertices_of("left_cheek", "right_cheek")
    assert len(MODEL.vertices_of(*COVERED_REGIONS)) > 1000

    def shown(collar: float) -> NDArray[np.float64]:
        view = reconstructor.view(photograph(reconstructor, face, collar), dim)
        return reconstructor.texture(face.albedo, [view]).at_vertices()[cheeks]

    # The median: beside the ears the collar's tone goes on into what is not seen.
    assert np.median(np.abs(shown(1.0) - shown(0.2))) < 0.005


def test_spaces_are_made_alike(reconstructor: Reconstructor) -> None:
    again = TextureSpace(MODEL, SIZE)
    np.testing.assert_array_equal(again.pixels, reconstructor.texture_space.pixels)
    np.testing.assert_array_equal(again.uv, reconstructor.texture_space.uv)


def test_a_view_of_the_neck_alone_is_no_brighter_than_white(reconstructor: Reconstructor) -> None:
    """Its collar, divided by little light, would set the whole face's tone."""
    space = reconstructor.texture_space
    own = MODEL.mean_albedo.astype(float)
    tones = [
        blend(space, own, [(np.full((len(space.pixels), 3), level, np.float32), ~space.face * 1.0)])
        for level in (1.0, 9.0)
    ]
    np.testing.assert_array_equal(tones[0].picture, tones[1].picture)
