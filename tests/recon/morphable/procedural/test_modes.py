"""The embedded face's modes: independent, human, and what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from triangle_normals import normals

from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import embedded_model


def _exposed(model: MorphableModel, normals: np.ndarray) -> np.ndarray:
    """Triangles of the face's front, without the eyeballs, the folds of the lids and the mouth."""
    hidden = model.vertices_of("mouth", "left_eye", "right_eye")
    steepness = normals[:, 2] / np.linalg.norm(normals, axis=1)
    return (steepness > 0.3) & ~np.isin(model.triangles, hidden).any(axis=1)


def test_identity_is_orthogonal(sized: MorphableModel) -> None:
    columns = sized.identity_basis.reshape(-1, sized.identity_basis.shape[2]).astype(float)
    gram = columns.T @ columns
    cosines = gram / np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    assert np.abs(cosines - np.eye(len(gram))).max() < 3e-5


def test_albedo_is_orthogonal(model: MorphableModel) -> None:
    columns = model.albedo_basis.reshape(-1, model.albedo_basis.shape[2]).astype(float)
    gram = columns.T @ columns
    cosines = gram / np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    assert np.abs(cosines - np.eye(len(gram))).max() < 1e-3


def test_no_identity_mode_is_a_similarity_motion(model: MorphableModel) -> None:
    """A benchmark that aligns similarly cannot see translation, rotation or scale."""
    vertices = model.mean_shape - model.mean_shape.mean(axis=0, dtype=np.float64)
    moves = [np.tile(axis, (len(vertices), 1)) for axis in np.eye(3)]
    moves += [np.cross(axis, vertices) for axis in np.eye(3)] + [vertices]
    for move in moves:
        shares = np.tensordot(move, model.identity_basis, axes=([0, 1], [0, 1]))
        lengths = np.linalg.norm(model.identity_basis, axis=(0, 1)) * np.linalg.norm(move)
        assert (np.abs(shares) / lengths).max() < 1e-4


def test_identity_is_strong_but_human(model: MorphableModel) -> None:
    displacement = np.linalg.norm(model.identity_basis, axis=1)
    strength = np.sqrt((displacement**2).mean(axis=0))
    assert strength.min() > 0.8 and strength.max() < 2.5
    assert 4.0 < np.sqrt((strength**2).sum()) < 6.0
    assert displacement.max() < 8.0


def test_identity_modes_are_symmetric(model: MorphableModel) -> None:
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
    model: MorphableModel, mode: str, first: int, second: int
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


def test_jaw_parts_the_lips_and_blink_closes_the_lids(model: MorphableModel) -> None:
    expression = np.zeros((2, len(model.expression_names)))
    expression[0, model.expression_names.index("jaw_open")] = 2.0
    expression[1, model.expression_names.index("blink")] = 2.0
    opened, blinked = (model.mesh(expression=e).vertices[model.landmarks] for e in expression)
    rest = model.mean_shape[model.landmarks]
    assert opened[62, 1] - opened[66, 1] > 8.0 > 1.0 > rest[62, 1] - rest[66, 1]
    assert blinked[43, 1] - blinked[47, 1] < 0.6 * (rest[43, 1] - rest[47, 1])


def test_random_identities_fold_nothing_in_front(model: MorphableModel) -> None:
    random = np.random.default_rng(0)
    rest = normals(model.mean_shape.astype(np.float64), model.triangles)
    exposed = _exposed(model, rest)
    for identity in random.normal(size=(50, len(model.identity_names))):
        turned = normals(model.mesh(identity).vertices, model.triangles)
        assert ((turned * rest).sum(axis=1)[exposed] > 0).all()


def test_modes_mean_the_same_at_every_resolution(sized: MorphableModel) -> None:
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
