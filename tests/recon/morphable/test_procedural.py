"""The embedded face: a clean mesh of human size, useful modes, and a picture that shows a face."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from facebench.errors import FacebenchError
from facebench.recon.coefficients import Coefficients
from facebench.recon.framing import frame_mean_face
from facebench.recon.lighting import ambient_light
from facebench.recon.morphable.decoder import FaceDecoder
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import embedded_model, procedural_model
from facebench.recon.morphable.regions import REGION_NAMES
from facebench.recon.render.face import FaceRenderer
from facebench.recon.render.outline import OutlineConfig, OutlineRenderer

SIZES = [2000, 6000, 13000]


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return embedded_model()


@pytest.fixture(scope="module", params=SIZES)
def sized(request: pytest.FixtureRequest) -> MorphableModel:
    return procedural_model(n_vertices=request.param)


def _normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def _half_edges(triangles: np.ndarray) -> np.ndarray:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _point(model: MorphableModel, number: int) -> np.ndarray:
    return model.mean_shape[model.landmarks[number - 1]].astype(np.float64)


def _distance(model: MorphableModel, first: int, second: int) -> float:
    return float(np.linalg.norm(_point(model, first) - _point(model, second)))


def _exposed(model: MorphableModel, normals: np.ndarray) -> np.ndarray:
    """Triangles of the face's front, without the eyeballs, the folds of the lids and the mouth."""
    hidden = model.vertices_of("mouth", "left_eye", "right_eye")
    steepness = normals[:, 2] / np.linalg.norm(normals, axis=1)
    return (steepness > 0.3) & ~np.isin(model.triangles, hidden).any(axis=1)


class TestMesh:
    def test_has_the_asked_for_size(self, sized: MorphableModel) -> None:
        wanted = min(SIZES, key=lambda n: abs(n - sized.n_vertices))
        assert abs(sized.n_vertices - wanted) <= 0.03 * wanted

    def test_the_largest_is_built_too(self) -> None:
        assert abs(procedural_model(n_vertices=40000).n_vertices - 40000) <= 1200

    @pytest.mark.parametrize("count", [1999, 40001])
    def test_other_sizes_are_refused(self, count: int) -> None:
        with pytest.raises(FacebenchError, match=f"{count} vertices"):
            procedural_model(n_vertices=count)

    def test_is_one_oriented_sheet(self, sized: MorphableModel) -> None:
        """A disc: each edge is run through at most once each way, and V - E + F = 1."""
        directed = _half_edges(sized.triangles)
        assert len(np.unique(directed, axis=0)) == len(directed)
        edges = np.unique(np.sort(directed, axis=1), axis=0)
        assert sized.n_vertices - len(edges) + len(sized.triangles) == 1
        np.testing.assert_array_equal(np.unique(sized.triangles), np.arange(sized.n_vertices))

    def test_no_triangle_is_degenerate(self, sized: MorphableModel) -> None:
        vertices = sized.mean_shape.astype(np.float64)
        area = np.linalg.norm(_normals(vertices, sized.triangles), axis=1) / 2
        assert area.min() > 5e-3

    def test_triangles_face_outward(self, sized: MorphableModel) -> None:
        vertices = sized.mean_shape.astype(np.float64)
        skin = ~np.isin(sized.triangles, sized.vertices_of("mouth")).any(axis=1)
        normals = _normals(vertices, sized.triangles)[skin]
        outward = vertices[sized.triangles[skin]].mean(axis=1) - [0.0, 0.0, -20.0]
        assert ((normals * outward).sum(axis=1) > 0).mean() > 0.99

    def test_mean_is_symmetric(self, model: MorphableModel) -> None:
        mirrored = model.mean_shape * np.array([-1.0, 1.0, 1.0], dtype=np.float32)
        away, partner = cKDTree(model.mean_shape).query(mirrored)
        assert away.max() == 0.0
        np.testing.assert_array_equal(model.mean_albedo[partner], model.mean_albedo)


class TestLandmarks:
    @pytest.mark.parametrize(
        ("first", "second", "low", "high"),
        [
            (37, 46, 87.0, 94.0),
            (40, 43, 31.0, 35.0),
            (28, 34, 46.0, 54.0),
            (28, 9, 112.0, 123.0),
            (49, 55, 47.0, 54.0),
            (1, 17, 132.0, 144.0),
            (32, 36, 24.0, 38.0),
        ],
    )
    def test_distances_are_human(
        self, model: MorphableModel, first: int, second: int, low: float, high: float
    ) -> None:
        assert low < _distance(model, first, second) < high

    def test_nose_tip_leads(self, model: MorphableModel) -> None:
        depth = model.mean_shape[model.landmarks, 2]
        assert depth.argmax() == 30
        assert depth[30] - depth[[31, 35]].mean() > 15.0

    def test_sides_are_the_subjects(self, model: MorphableModel) -> None:
        x = model.mean_shape[model.landmarks, 0]
        right = np.r_[0:8, 17:22, 31:33, 36:42, 48:51, 58:62, 67]
        left = np.r_[9:17, 22:27, 34:36, 42:48, 52:57, 63:66]
        assert (x[right] < 0).all() and (x[left] > 0).all()
        assert (x[[8, 27, 28, 29, 30, 33, 51, 57, 62, 66]] == 0).all()

    def test_order_runs_along_the_features(self, model: MorphableModel) -> None:
        x, y = model.mean_shape[model.landmarks, :2].T
        for run in (np.r_[0:17], np.r_[17:27], np.r_[31:36], np.r_[36:40], np.r_[48:55]):
            assert (np.diff(x[run]) > 0).all()
        assert (np.diff(y[27:31]) < 0).all() and (np.diff(y[0:9]) < 0).all()
        assert (y[17:27] > y[[36, 45]].max()).all() and y[51] > y[62] > y[66] > y[57]

    def test_eye_corners_lie_at_the_eyeballs(self, model: MorphableModel) -> None:
        for side, corners in (("left", (43, 46)), ("right", (40, 37))):
            eye = model.mean_shape[model.vertices_of(f"{side}_eye")]
            for corner in corners:
                assert np.linalg.norm(eye - _point(model, corner), axis=1).min() < 5.0

    def test_every_resolution_has_the_same_ones(self, sized: MorphableModel) -> None:
        reference = embedded_model()
        moved = sized.mean_shape[sized.landmarks] - reference.mean_shape[reference.landmarks]
        assert np.abs(moved).max() < 0.01


class TestModes:
    def test_identity_is_orthogonal(self, sized: MorphableModel) -> None:
        columns = sized.identity_basis.reshape(-1, sized.identity_basis.shape[2]).astype(float)
        gram = columns.T @ columns
        cosines = gram / np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
        assert np.abs(cosines - np.eye(len(gram))).max() < 3e-5

    def test_albedo_is_orthogonal(self, model: MorphableModel) -> None:
        columns = model.albedo_basis.reshape(-1, model.albedo_basis.shape[2]).astype(float)
        gram = columns.T @ columns
        cosines = gram / np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
        assert np.abs(cosines - np.eye(len(gram))).max() < 1e-3

    def test_no_identity_mode_is_a_similarity_motion(self, model: MorphableModel) -> None:
        """A benchmark that aligns similarly cannot see translation, rotation or scale."""
        vertices = model.mean_shape - model.mean_shape.mean(axis=0, dtype=np.float64)
        moves = [np.tile(axis, (len(vertices), 1)) for axis in np.eye(3)]
        moves += [np.cross(axis, vertices) for axis in np.eye(3)] + [vertices]
        for move in moves:
            shares = np.tensordot(move, model.identity_basis, axes=([0, 1], [0, 1]))
            lengths = np.linalg.norm(model.identity_basis, axis=(0, 1)) * np.linalg.norm(move)
            assert (np.abs(shares) / lengths).max() < 1e-4

    def test_identity_is_strong_but_human(self, model: MorphableModel) -> None:
        displacement = np.linalg.norm(model.identity_basis, axis=1)
        strength = np.sqrt((displacement**2).mean(axis=0))
        assert strength.min() > 0.8 and strength.max() < 2.5
        assert 4.0 < np.sqrt((strength**2).sum()) < 6.0
        assert displacement.max() < 8.0

    def test_identity_modes_are_symmetric(self, model: MorphableModel) -> None:
        flip = np.array([-1.0, 1.0, 1.0])
        _, partner = cKDTree(model.mean_shape).query(model.mean_shape * flip)
        mirrored = model.identity_basis[partner] * flip[None, :, None]
        assert np.abs(mirrored - model.identity_basis).max() < 2e-3

    @pytest.mark.parametrize(
        ("mode", "first", "second"),
        [
            ("face_width", 1, 17),
            ("jaw_width", 5, 13),
            ("nose_length", 28, 34),
            ("nose_width", 32, 36),
            ("eye_distance", 40, 43),
            ("mouth", 49, 55),
            ("chin", 58, 9),
        ],
    )
    def test_identity_modes_do_what_they_say(
        self, model: MorphableModel, mode: str, first: int, second: int
    ) -> None:
        identity = np.zeros(len(model.identity_names))
        identity[model.identity_names.index(mode)] = 1.0
        grown, shrunk = (
            np.linalg.norm(points[first - 1] - points[second - 1])
            for points in (
                model.mesh(identity).vertices[model.landmarks],
                model.mesh(-identity).vertices[model.landmarks],
            )
        )
        assert grown - shrunk > 3.0

    def test_jaw_parts_the_lips_and_blink_closes_the_lids(self, model: MorphableModel) -> None:
        expression = np.zeros((2, len(model.expression_names)))
        expression[0, model.expression_names.index("jaw_open")] = 2.0
        expression[1, model.expression_names.index("blink")] = 2.0
        opened, blinked = (model.mesh(expression=e).vertices[model.landmarks] for e in expression)
        rest = model.mean_shape[model.landmarks]
        assert opened[62, 1] - opened[66, 1] > 8.0 > 1.0 > rest[62, 1] - rest[66, 1]
        assert blinked[43, 1] - blinked[47, 1] < 0.6 * (rest[43, 1] - rest[47, 1])

    def test_random_identities_fold_nothing_in_front(self, model: MorphableModel) -> None:
        random = np.random.default_rng(0)
        rest = _normals(model.mean_shape.astype(np.float64), model.triangles)
        exposed = _exposed(model, rest)
        for identity in random.normal(size=(50, len(model.identity_names))):
            turned = _normals(model.mesh(identity).vertices, model.triangles)
            assert ((turned * rest).sum(axis=1)[exposed] > 0).all()

    def test_modes_mean_the_same_at_every_resolution(self, sized: MorphableModel) -> None:
        reference = embedded_model()
        outside = np.setdiff1d(
            np.arange(sized.n_vertices), sized.vertices_of("mouth", "upper_lip", "lower_lip")
        )
        tree = cKDTree(reference.mean_shape)
        _, near = tree.query(sized.mean_shape[outside], k=3)
        for name in ("identity_basis", "expression_basis"):
            mine = getattr(sized, name)[outside]
            theirs = getattr(reference, name)[near].mean(axis=1)
            for k in range(mine.shape[2]):
                assert np.corrcoef(mine[..., k].ravel(), theirs[..., k].ravel())[0, 1] > 0.95

    def test_colours_stay_in_range(self, model: MorphableModel) -> None:
        assert model.mean_albedo.min() >= 0.0 and model.mean_albedo.max() <= 1.0
        spread = 2.5 * np.moveaxis(model.albedo_basis, 2, 0)
        colours = np.concatenate([model.mean_albedo + spread, model.mean_albedo - spread])
        assert ((colours < 0.0) | (colours > 1.0)).mean() < 0.01

    def test_regions_are_all_there(self, model: MorphableModel) -> None:
        assert model.region_names == REGION_NAMES
        assert set(np.unique(model.region)) == set(range(len(REGION_NAMES)))
        left, right = model.vertices_of("left_cheek"), model.vertices_of("right_cheek")
        assert model.mean_shape[left, 0].min() >= 0.0 > model.mean_shape[right, 0].max()


class TestDigest:
    _PRINT = (
        "from facebench.recon.morphable.procedural import procedural_model as build;"
        "print(build().digest)"
    )

    def test_is_the_same_on_other_arithmetic(self, model: MorphableModel) -> None:
        """Without vector instructions, exp and cos differ in their last bits; the model may not."""
        slow = {
            "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
            "OPENBLAS_CORETYPE": "Nehalem",
            "OMP_NUM_THREADS": "1",
        }
        printed = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", self._PRINT],
            env=os.environ | slow,
            capture_output=True,
            text=True,
            check=True,
        )
        assert printed.stdout.strip() == model.digest == procedural_model().digest

    def test_follows_the_seed(self) -> None:
        digests = {procedural_model(seed, 2000).digest for seed in (0, 1, 2)}
        assert len(digests) == 3

    def test_embedded_model_is_named_and_kept(self, model: MorphableModel) -> None:
        assert (model.name, model.licence) == ("embedded", "MIT")
        assert embedded_model() is model


class TestPicture:
    """Frames are searched by a cascade trained on photographs: the judge of what is a face."""

    def test_cascade_finds_the_mean_and_random_faces(self, model: MorphableModel) -> None:
        cascade = Cascade(lbp_frontal_face_cascade_filename())
        coefficients = _random_faces(model, 21)
        config = OutlineConfig(background=(0.5, 0.5, 0.5))
        renderer = FaceRenderer(FaceDecoder(model), OutlineRenderer(config), (240, 240))
        with torch.no_grad():
            images = renderer(coefficients).rendering.image.clamp(0, 1)
        pictures = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        found = [_finds_face(cascade, picture) for picture in pictures]
        assert found[0] and sum(found) >= 19


def _finds_face(cascade: Cascade, picture: np.ndarray) -> bool:
    return bool(
        cascade.detect_multi_scale(
            picture, scale_factor=1.1, step_ratio=1, min_size=(60, 60), max_size=(200, 200)
        )
    )


def _random_faces(model: MorphableModel, count: int) -> Coefficients:
    """The mean face and random ones within 20 degrees of yaw and 10 of pitch, lit from a side."""
    random = np.random.default_rng(1)
    names = (model.identity_names, model.expression_names, model.albedo_names)
    parts = [random.normal(size=(count, len(part))) for part in names]
    parts[1] *= 0.6
    pose = np.zeros((count, 7))
    pose[:, :2] = random.uniform(-1.0, 1.0, (count, 2)) * np.radians([10.0, 20.0])
    pose[:, 6] = 0.7 * frame_mean_face(model).scale
    for part in (*parts, pose[:, :2]):
        part[0] = 0.0
    light = ambient_light(count)
    light[:, 1:3] += torch.as_tensor(random.uniform(0.1, 0.3, (count, 2, 1)))
    light[:, 3] += torch.as_tensor(random.uniform(-0.25, 0.25, (count, 1)))
    tensors = [torch.as_tensor(part, dtype=torch.float32) for part in (*parts, pose)]
    return Coefficients(*tensors, light)
