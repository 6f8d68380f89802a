"""A scan of a synthetic person: detail beyond the model's modes, resampling, noise, holes."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ...recon.mesh import Mesh, vertex_normals
from ...recon.morphable.model import MorphableModel
from ...recon.synthetic.hair import sheet
from ..surface.o3d import o3d
from ..surface.similarity import Similarity

Points = NDArray[np.float64]

SPACING_MM = 1.75
NOISE_MM = 0.12
_LONGEST_MM = 7.0
_FROM_MM = 600.0

DETAIL_MM = 1.0
"""Root mean square of the detail over the face."""

_BUMPS = 90
_FACE_RADIUS_MM = 95.0


def random_placement(generator: np.random.Generator) -> Similarity:
    """Where a scanner's coordinates put a head, a rigid motion in mm.

    Pitched about 45° down, turned a little, up to a metre from the origin on each axis.
    """
    pitch = generator.normal(45, 5)
    yaw, roll = generator.uniform(-15, 15), generator.uniform(-8, 8)
    rotation = Rotation.from_euler("XYZ", [pitch, yaw, roll], degrees=True).as_matrix()
    return Similarity(1.0, rotation, generator.uniform(-1000, 1000, 3))


def scan_surface(
    generator: np.random.Generator,
    vertices: Points,
    triangles: NDArray[np.integer],
    landmarks: Points,
) -> Mesh:
    """Scan a person from the front and the sides: what the scanner delivers, mm.

    Args:
        generator: the scan's own stream.
        vertices: (V, 3) mm of the whole person, facing +z.
        triangles: (F, 3).
        landmarks: (68, 3) of the face, which say where the scanner looks and fails.
    """
    origins, directions, shape = _rays(generator, landmarks)
    points, found = _cast(vertices, triangles, origins, directions)
    points = points + directions * generator.normal(0, NOISE_MM, (len(points), 1))
    found &= ~_dropouts(generator, points, landmarks)
    faces = sheet(*shape, closed=False)
    faces = faces[found[faces].all(axis=1)]
    corners = points[faces]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    used, renumbered = np.unique(faces[sides.max(axis=1) < _LONGEST_MM], return_inverse=True)
    return Mesh(points[used], renumbered.reshape(-1, 3))


def write_obj(path: Path, surface: Mesh) -> None:
    """Write a Wavefront OBJ, vertices in mm to a tenth of a micrometre."""
    points = ("v %.4f %.4f %.4f\n" * len(surface.vertices)) % tuple(surface.vertices.ravel())
    faces = ("f %d %d %d\n" * len(surface.triangles)) % tuple(surface.triangles.ravel() + 1)
    path.write_text(points + faces)


def _rays(
    generator: np.random.Generator, landmarks: Points
) -> tuple[Points, Points, tuple[int, int]]:
    """Rays towards a vertical axis behind the face, from a jittered grid on a cylinder."""
    width = np.linalg.norm(landmarks[16] - landmarks[0])
    axis = np.array([landmarks[27, 0], 0.0, landmarks[27, 2] - 0.64 * width])
    heights = np.arange(landmarks[27, 1] + 0.72 * width, landmarks[8, 1] - 95, -SPACING_MM)
    angles = np.arange(-1.8, 1.8, SPACING_MM / (0.6 * width))
    y, angle = np.meshgrid(heights, angles, indexing="ij")
    y = y + generator.uniform(-0.35, 0.35, y.shape) * SPACING_MM
    angle = angle + generator.uniform(-0.35, 0.35, y.shape) * (SPACING_MM / (0.6 * width))
    outward = np.stack([np.sin(angle), np.zeros_like(y), np.cos(angle)], -1).reshape(-1, 3)
    origins = axis + _FROM_MM * outward
    origins[:, 1] = y.ravel()
    return origins, -outward, y.shape


def _cast(
    vertices: Points, triangles: NDArray[np.integer], origins: Points, directions: Points
) -> tuple[Points, NDArray[np.bool_]]:
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(
        o3d.core.Tensor(np.ascontiguousarray(vertices, np.float32)),
        o3d.core.Tensor(np.ascontiguousarray(triangles, np.uint32)),
    )
    rays = np.concatenate([origins, directions], axis=1).astype(np.float32)
    reach = scene.cast_rays(o3d.core.Tensor(rays), nthreads=1)["t_hit"].numpy().astype(np.float64)
    found = np.isfinite(reach) & (reach < _FROM_MM)
    return origins + directions * np.where(found, reach, 0)[:, None], found


def _dropouts(
    generator: np.random.Generator, points: Points, landmarks: Points
) -> NDArray[np.bool_]:
    """Where the scanner sees nothing: nostrils, parts of the brows, a few patches elsewhere."""
    nostrils = (landmarks[[31, 35]] + landmarks[33]) / 2 - [0, 1.5, 0]
    missed = _within_radii(points, nostrils, np.full(2, 3.2))
    brows = _within_radii(points, landmarks[17:27], np.full(10, 5.0))
    missed |= brows & (generator.random(len(points)) < 0.3)
    reach = np.linalg.norm(points - landmarks[30], axis=1)
    places = points[generator.choice(np.flatnonzero((reach > 45) & (reach < 130)), 6)]
    return np.asarray(missed | _within_radii(points, places, generator.uniform(1.5, 5, 6)))


def _within_radii(points: Points, centres: Points, radii: Points) -> NDArray[np.bool_]:
    distance = np.linalg.norm(points[:, None] - centres, axis=2)
    return np.asarray((distance < radii).any(axis=1))


class DetailSampler:
    """Draws displacement fields outside the span of a model's identity modes.

    They are orthogonal to every identity mode and to moving, turning and scaling the mean face, so
    that no coefficients and no alignment can explain them.
    """

    def __init__(self, model: MorphableModel) -> None:
        self._vertices = model.mean_shape.astype(np.float64)
        self._identity = model.identity_basis.reshape(-1, model.identity_basis.shape[2])
        self._normals = vertex_normals(Mesh(self._vertices, model.triangles))
        tip = self._vertices[model.landmarks[30]]
        self._face = np.linalg.norm(self._vertices - tip, axis=1) < _FACE_RADIUS_MM

    def field(self, generator: np.random.Generator) -> Points:
        """A displacement (V, 3) in mm of every vertex of the model."""
        raw = self._bumps(generator).ravel()
        span = self._span
        for _ in range(2):  # The second pass removes what rounding left of the first.
            raw = raw - span @ (span.T @ raw)
        field = raw.reshape(-1, 3)
        rms = np.sqrt((field[self._face] ** 2).sum(axis=1).mean())
        return np.asarray(field * (DETAIL_MM / rms))

    def _bumps(self, generator: np.random.Generator) -> Points:
        """Smooth bumps and dents of 10 to 30 mm along the normals at their middles."""
        chosen = generator.choice(np.flatnonzero(self._face), _BUMPS)
        widths = generator.uniform(10, 30, _BUMPS)
        heights = generator.standard_normal(_BUMPS)
        far = (self._vertices**2).sum(1)[:, None] + (self._vertices[chosen] ** 2).sum(1)
        squared = far - 2 * self._vertices @ self._vertices[chosen].T
        shape = np.exp(-0.5 * squared / widths**2)
        return np.asarray((shape * heights) @ self._normals[chosen])

    @cached_property
    def _span(self) -> Points:
        """Orthonormal columns (3V, R) that span the identity modes and the similarities.

        By the columns' Gram matrix: for a hundred modes a tenth of the time of a factorisation.
        """
        columns = np.concatenate([self._identity, _similarities(self._vertices)], axis=1)
        columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-12)
        values, vectors = np.linalg.eigh(columns.T @ columns)
        kept = values > 1e-8 * values[-1]
        return np.asarray(columns @ (vectors[:, kept] / np.sqrt(values[kept])))


def _similarities(vertices: Points) -> Points:
    """Directions (3V, 7) in which shifts, turns and scaling move the vertices."""
    centred = vertices - vertices.mean(axis=0)
    axes = np.eye(3)
    shifts = [np.broadcast_to(axis, vertices.shape) for axis in axes]
    turns = [np.cross(axis, centred) for axis in axes]
    return np.stack([field.ravel() for field in (*shifts, *turns, centred)], axis=1)
