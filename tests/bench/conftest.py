"""Faces and scans for the tests of the measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facebench.bench.surface.similarity import Similarity
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model


@pytest.fixture(scope="session")
def model() -> MorphableModel:
    """A small face model."""
    return procedural_model(0, 2500)


@pytest.fixture(scope="session")
def face(model: MorphableModel) -> Mesh:
    """Its mean, with landmarks."""
    return model.mesh()


@pytest.fixture(scope="session")
def person(model: MorphableModel) -> Mesh:
    """Someone else."""
    n_modes = model.identity_basis.shape[2]
    return model.mesh(identity=np.random.default_rng(5).standard_normal(n_modes))


@pytest.fixture(scope="session")
def scan_of() -> Callable[..., Mesh]:
    """Makes a scan of a face: see `make_scan`."""
    return make_scan


@pytest.fixture(scope="session")
def any_pose() -> Callable[..., Similarity]:
    """A similarity from anywhere in the group, by seed."""

    def make(seed: int, scale: float = 1.0) -> Similarity:
        rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
        shift = np.random.default_rng(seed + 1000).uniform(-1000, 1000, 3)
        return Similarity(scale, rotation, shift)

    return make


@pytest.fixture(scope="session")
def subdivide() -> Callable[[Mesh], Mesh]:
    """Cuts each triangle in four."""
    return subdivided


def make_scan(face: Mesh, seed: int = 0, noise_mm: float = 0.15, holes: int = 3) -> Mesh:
    """Four times the triangles, shoulders, holes, noise and another order of vertices."""
    rng = np.random.default_rng(seed)
    whole = with_shoulders(subdivided(face))
    vertices, keep = whole.vertices, np.ones(len(whole.vertices), bool)
    for centre in vertices[rng.integers(len(vertices), size=holes)]:
        keep &= np.linalg.norm(vertices - centre, axis=1) > rng.uniform(4, 10)
    triangles = whole.triangles[keep[whole.triangles].all(1)]
    used, triangles = np.unique(triangles, return_inverse=True)
    order = rng.permutation(len(used))
    noisy = vertices[used] + noise_mm * rng.standard_normal((len(used), 3))
    return Mesh(noisy[order], np.argsort(order)[triangles.reshape(-1, 3)])


def subdivided(face: Mesh) -> Mesh:
    """Each triangle as four in the same plane; the old vertices come first."""
    triangles, n = np.asarray(face.triangles, np.int64), len(face.vertices)
    ends = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, middle = np.unique(ends, axis=0, return_inverse=True)
    ab, bc, ca = (n + middle.reshape(-1, 3)).T
    a, b, c = triangles.T
    parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    cut = np.concatenate([np.stack(part, axis=1) for part in parts])
    vertices = np.concatenate([face.vertices, face.vertices[edges].mean(1)])
    return replace(face, vertices=vertices, triangles=cut, colours=None)


def with_shoulders(face: Mesh) -> Mesh:
    """A sheet below the chin that widens to 300 mm."""
    bottom = face.vertices[:, 1].min() + 10
    angle, depth = np.meshgrid(np.linspace(-1.4, 1.4, 41), np.linspace(0, 1, 21), indexing="ij")
    radius = 55 + 95 * depth**3
    sheet = np.stack(
        [radius * np.sin(angle), bottom - 90 * depth, radius * np.cos(angle) - 40], axis=-1
    )
    index = np.arange(angle.size).reshape(angle.shape)
    a, b, c, d = (
        index[i, j].ravel()
        for i, j in (
            (slice(0, -1), slice(0, -1)),
            (slice(1, None), slice(0, -1)),
            (slice(1, None), slice(1, None)),
            (slice(0, -1), slice(1, None)),
        )
    )
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)])
    return Mesh(
        np.concatenate([face.vertices, sheet.reshape(-1, 3)]),
        np.concatenate([face.triangles, triangles + len(face.vertices)]),
    )
