"""The model of people in the package: whole, human, symmetric, and moving as its names say."""

from __future__ import annotations

import hashlib
import json
import time

import numpy as np
import pytest
from scipy.spatial import cKDTree
from triangle_normals import normals

from facebench.recon.morphable.human.files import PACKAGED, human_details
from facebench.recon.morphable.human.skin import random_skin
from facebench.recon.morphable.human.source import are_face_units, random_units
from facebench.recon.morphable.landmarks import MIRRORED, REGION_NAMES
from facebench.recon.morphable.load import load_model, read_npz, save_npz
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.render.visibility import visible_triangles

FLIP = np.array([-1.0, 1.0, 1.0])


def _points(model: MorphableModel, unit: str | None = None) -> np.ndarray:
    """Landmarks of the mean face, or of how far a unit moves them."""
    if unit is None:
        return model.mean_shape[model.landmarks].astype(np.float64)
    mode = model.expression_basis[:, :, model.expression_names.index(unit)]
    return mode[model.landmarks].astype(np.float64)


def test_its_papers_name_the_file_and_its_licence() -> None:
    facts = json.loads(PACKAGED.with_suffix(".json").read_text())
    assert facts["sha256"] == hashlib.sha256(PACKAGED.read_bytes()).hexdigest()
    assert facts["source_sha256"] == human_details().source_digest
    assert facts["command"].startswith("facebench models make human")
    assert "CC0 1.0 Universal" in PACKAGED.with_suffix(".LICENSE.md").read_text()
    assert load_model("human").licence.startswith("CC0-1.0")


def test_it_is_small_and_quick_to_read() -> None:
    assert PACKAGED.stat().st_size < 3e6
    began = time.process_time()
    read_npz(PACKAGED)
    assert time.process_time() - began < 2.0


def test_an_npz_of_it_is_the_same_model(human: MorphableModel, tmp_path: object) -> None:
    path = tmp_path / "full.npz"  # type: ignore[operator]
    save_npz(human, path)
    assert load_model(path).digest == human.digest


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        (36, 45, 85.0, 94.0),
        (39, 42, 31.0, 38.0),
        (27, 33, 44.0, 54.0),
        (27, 8, 108.0, 123.0),
        # Annotators put the corners where the lips end as seen, wider than anatomists do.
        (48, 54, 46.0, 57.0),
        (0, 16, 130.0, 146.0),
        (31, 35, 24.0, 38.0),
        (21, 22, 20.0, 26.0),
    ],
)
def test_distances_are_human(
    human: MorphableModel, first: int, second: int, low: float, high: float
) -> None:
    points = _points(human)
    assert low < np.linalg.norm(points[first] - points[second]) < high


def test_landmarks_are_in_order_and_symmetric(human: MorphableModel) -> None:
    points = _points(human)
    np.testing.assert_allclose(points[list(MIRRORED)] * FLIP, points, atol=1e-3)
    np.testing.assert_allclose(points[[8, 27, 28, 29, 30, 33, 51, 57, 62, 66], 0], 0.0, atol=1e-3)
    x, y, z = points.T
    for run in (np.r_[1:16], np.r_[17:27], np.r_[31:36], np.r_[36:40], np.r_[48:55]):
        assert (np.diff(x[run]) > 0).all()
    assert (np.diff(y[27:31]) < 0).all() and (np.diff(y[0:9]) < 0).all() and z.argmax() == 30
    assert (y[17:27] > y[36:48].max()).all() and y[51] > y[62] > y[66] > y[57] > y[8]
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        assert y[upper] - y[lower] > 5.0


def test_mean_modes_and_skin_are_symmetric(human: MorphableModel) -> None:
    away, partner = cKDTree(human.mean_shape).query(human.mean_shape * FLIP)
    assert away.max() < 1e-3
    mirrored = human.identity_basis[partner] * FLIP[:, None]
    even = np.abs(mirrored - human.identity_basis).max(axis=(0, 1))
    odd = np.abs(mirrored + human.identity_basis).max(axis=(0, 1))
    # Half precision of modes that move a vertex by 16 mm.
    assert np.minimum(even, odd).max() < 0.02 and (odd < 0.02).sum() >= 5 and even[0] < 0.02


def test_the_mesh_is_sound(human: MorphableModel) -> None:
    vertices = human.mean_shape.astype(np.float64)
    assert np.linalg.norm(normals(vertices, human.triangles), axis=1).min() > 1e-4
    np.testing.assert_array_equal(np.unique(human.triangles), np.arange(human.n_vertices))
    directed = human.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)
    # Each edge of the skin has two faces but around the neck: subdivision left no crack.
    edges, count = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)
    skin = np.isin(edges, human_details().parts["skin"]).all(axis=1)
    assert vertices[edges[skin & (count == 1)], 1].max() < vertices[human.landmarks[8], 1] - 10.0
    tip = np.linalg.norm(
        vertices[human.triangles].mean(axis=1) - vertices[human.landmarks[30]], axis=1
    )
    assert normals(vertices, human.triangles)[tip < 15.0, 2].sum() > 0


def test_regions_and_parts(human: MorphableModel) -> None:
    assert all(len(human.vertices_of(name)) > 20 for name in REGION_NAMES)
    parts = human_details().parts
    mouth = np.concatenate([parts["mouth_bag"], parts["teeth"], parts["tongue"]])
    assert np.isin(mouth, human.vertices_of("mouth")).all()
    eyes = np.concatenate([human.vertices_of("left_eye"), human.vertices_of("right_eye")])
    np.testing.assert_array_equal(np.sort(eyes), np.sort(parts["eyeballs"]))
    # Eyeballs lie behind the lids' opening, teeth behind the lips.
    points = _points(human)
    left = human.mean_shape[human.vertices_of("left_eye")].mean(axis=0)
    assert np.linalg.norm(left[:2] - points[42:48, :2].mean(axis=0)) < 3.0
    assert human.mean_shape[parts["teeth"], 2].max() < points[[51, 57], 2].min()


@pytest.mark.parametrize(
    ("unit", "landmark", "axis", "least", "still"),
    [
        ("jawOpen", 66, 1, -28.0, 62),
        ("mouthSmileLeft", 54, 0, 4.0, 48),
        ("mouthSmileLeft", 54, 1, 4.0, 27),
        ("mouthSmileRight", 48, 0, -4.0, 54),
        ("mouthFrownRight", 48, 1, -3.0, 54),
        ("eyeBlinkLeft", 43, 1, -6.0, 38),
        ("eyeBlinkRight", 38, 1, -6.0, 43),
        ("browInnerUp", 22, 1, 2.0, 30),
        ("browDownLeft", 23, 1, -2.0, 20),
        ("browOuterUpRight", 18, 1, 2.0, 25),
        ("mouthPucker", 54, 0, -3.5, 27),
        ("jawLeft", 8, 0, 4.0, 27),
        ("mouthUpperUpLeft", 52, 1, 2.0, 57),
        ("mouthLowerDownRight", 58, 1, -2.0, 51),
        ("jawForward", 8, 2, 4.0, 30),
    ],
)
def test_units_move_what_they_say(
    human: MorphableModel, unit: str, landmark: int, axis: int, least: float, still: int
) -> None:
    moved = _points(human, unit)
    assert moved[landmark, axis] * np.sign(least) > abs(least)
    assert np.linalg.norm(moved[still]) < 1.0


def test_the_jaw_takes_teeth_and_tongue_and_eyes_turn(human: MorphableModel) -> None:
    parts, names = human_details().parts, human.expression_names
    jaw = human.expression_basis[:, 1, names.index("jawOpen")]
    teeth = jaw[parts["teeth"]]
    # Half of the teeth are the lower ones.
    assert ((teeth < -3.0).mean(), (np.abs(teeth) < 1e-3).mean()) == (0.5, 0.5)
    look = human.expression_basis[:, :, names.index("eyeLookOutLeft")]
    iris = human.vertices_of("left_eye")
    front = iris[human.mean_shape[iris, 2].argmax()]
    assert look[front, 0] > 4.0 and np.abs(look[human.vertices_of("right_eye")]).max() == 0.0
    out = human.expression_basis[:, :, names.index("tongueOut")]
    assert out[parts["tongue"], 2].max() > 15.0 and np.abs(out[parts["skin"]]).max() == 0.0


@pytest.mark.parametrize(("smiling", "least", "most"), [(0.0, 0, 20), (1.0, 800, 3000)])
def test_a_smile_shows_teeth_and_closed_lips_none(
    human: MorphableModel, smiling: float, least: int, most: int
) -> None:
    units = dict.fromkeys(human.expression_names, 0.0)
    for side in ("Left", "Right"):
        units |= {f"mouthSmile{side}": 0.8 * smiling, f"mouthUpperUp{side}": 0.5 * smiling}
    units["jawOpen"] = 0.16 * smiling
    vertices = human.mesh(expression=np.array(list(units.values()))).vertices
    # From the front, half a millimetre a pixel.
    seen = visible_triangles(vertices / 100.0, human.triangles, (400, 400))[1]
    teeth = np.isin(human.triangles, human_details().parts["teeth"]).all(axis=1)
    assert least <= teeth[seen].sum() <= most


def test_it_has_arkits_52_units(human: MorphableModel) -> None:
    names = human.expression_names
    assert len(names) == len(set(names)) == 52 and are_face_units(names) and human.has_blend_shapes
    sided = {n.removesuffix("Left") for n in names if n.endswith("Left")} - {"jaw", "mouth"}
    assert all(f"{stem}Right" in names for stem in sided)


def test_mixtures_are_what_faces_do(human: MorphableModel) -> None:
    random = np.random.default_rng(0)
    weights = np.stack([random_units(random, human.expression_names) for _ in range(300)])
    assert weights.min() >= 0.0 and weights.max() <= 1.0
    by_name = dict(zip(human.expression_names, weights.T, strict=True))
    for one, other in (("mouthLeft", "mouthRight"), ("eyeLookUpLeft", "eyeLookDownLeft")):
        assert np.minimum(by_name[one], by_name[other]).max() == 0.0
    smile = np.corrcoef(by_name["mouthSmileLeft"], by_name["mouthSmileRight"])[0, 1]
    assert 0.9 < smile < 1.0
    assert (by_name["mouthClose"] <= by_name["jawOpen"]).all()
    assert 0.05 < (by_name["jawOpen"] > 0.15).mean() < 0.4


def test_skin_goes_from_very_pale_to_very_dark(human: MorphableModel) -> None:
    random = np.random.default_rng(1)
    cheek = human.vertices_of("left_cheek")
    tones = np.array(
        [
            human.mesh(albedo=random_skin(random, human.albedo_names)).colours[cheek].mean(axis=0)
            for _ in range(60)
        ]
    )
    light = tones.mean(axis=1)
    assert light.min() < 0.22 and light.max() > 0.72 and 0.12 < light.std() < 0.3
    # Skin is redder than green and greener than blue, whoever wears it.
    assert (np.diff(tones, axis=1) < 0.01).all()


@pytest.mark.parametrize(
    ("mode", "region", "apart"),
    [
        ("brow_darkness", "left_brow", "left_cheek"),
        ("lip_redness", "lower_lip", "forehead"),
        ("iris_blue", "left_eye", "nose"),
        ("stubble", "jaw", "forehead"),
        ("flush", "nose", "neck"),
        ("freckles", "left_cheek", "neck"),
        ("scalp_hair", "head", "nose"),
    ],
)
def test_skin_modes_paint_where_they_say(
    human: MorphableModel, mode: str, region: str, apart: str
) -> None:
    strength = np.abs(human.albedo_basis[:, :, human.albedo_names.index(mode)]).sum(axis=1)
    there, away = (strength[human.vertices_of(name)] for name in (region, apart))
    assert there.max() > 0.05 and away.mean() < 0.05 * there.max()


def test_brows_are_two(human: MorphableModel) -> None:
    strength = np.abs(human.albedo_basis[:, 0, human.albedo_names.index("brow_darkness")])
    x, y, _ = human.mean_shape.T
    brow = y > _points(human)[27, 1]
    assert strength[brow & (np.abs(x) < 6.0)].max() < 1e-6
    left, right = (strength[brow & side].sum() for side in (x > 0, x < 0))
    assert 0.8 < left / right < 1.25


def test_texture_has_a_place_for_every_triangle(human: MorphableModel) -> None:
    details = human_details()
    uv, corners = details.texture_coordinates, details.texture_triangles
    assert corners.shape == human.triangles.shape and (uv >= 0).all() and (uv <= 1).all()
    assert corners.max() < len(uv)
    # Without a seam a vertex has one place; most of a head has none.
    places = np.unique(np.stack([human.triangles.ravel(), corners.ravel()], 1), axis=0)
    assert len(places) < 1.15 * human.n_vertices
    area = np.cross(uv[corners[:, 1]] - uv[corners[:, 0]], uv[corners[:, 2]] - uv[corners[:, 0]])
    assert (area > 0).mean() > 0.95 or (area < 0).mean() > 0.95


def test_people_differ_as_scanned_people_do(human: MorphableModel) -> None:
    """ICT-FaceKit's people: 2.7 mm a coordinate; ours have children among them."""
    face = human.vertices_of("nose", "left_cheek", "right_cheek", "forehead", "jaw")
    deviation = np.sqrt((human.identity_basis[face].astype(np.float64) ** 2).sum(axis=2).mean())
    assert 2.3 < deviation < 3.8
    assert human_details().explained[[20, 59]] == pytest.approx([0.935, 0.985], abs=0.02)
