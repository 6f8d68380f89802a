"""Registration of a morphable model to a scan: identity, expression, similarity by least squares.

Iterated closest points in both directions with point-to-plane residuals. The model is linear, so a
step solves for all coefficients and a small similarity at once (Gauss-Newton), under the model's
own prior: coefficients are N(0, 1), weights of blend shapes lie between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ...recon.morphable.model import MorphableModel
from ..landmarks import SEVEN, STABLE, Landmarks
from ..protocol.record import AlignmentSettings
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import Similarity, step_jacobian
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, IndexArray, vertex_normals
from .initialise import initialise
from .nose_tip import FACE_MM, own_nose_tip
from .prepared_mesh import PreparedMesh

# Reach in mm of the correspondences, how many steps are taken with it at most, and the motion in mm
# that ends them: wide while pose and size are off by much, narrow in the end so that hair and
# collars lose their weight.
LEVELS = ((30.0, 6, 1.0), (15.0, 8, 0.3), (8.0, 30, 0.05))

# Points of each side in a step: more do not change the coefficients beyond a hundredth.
POINTS = 2500

# Neighbouring points of a surface are no independent measurements; about so many are worth as
# much as all of them, which is what weighs them against the prior.
EFFECTIVE_POINTS = 300.0

# Standard deviations in mm: the least that a surface counts as off by, and a landmark's.
LEAST_NOISE_MM, LANDMARK_MM = 0.3, 3.0

# What a coefficient may reach: beyond it no face of the model's people lies.
MOST_DEVIATIONS = 3.0

_LOST = "check the scan's unit, or give --landmarks"

_Rows = tuple[Float64Array, Float64Array, Float64Array]
"""Linear constraints on a step: matrix (N, P), what is missing (N,), and weights (N,)."""


@dataclass(frozen=True, eq=False)
class ModelFit:
    """A model fitted to a scan.

    Attributes:
        identity, expression: (K,) coefficients in standard deviations, or blend shape weights.
        similarity: from the model's space to the scan's, mm.
        mesh: the fitted face in the scan's space, in the model's topology, mm.
        errors: (V,) mm from its vertices to the scan, NaN where the scan has no counterpart.
        scan_errors: (N,) mm from the scan's vertices in the crop to the mesh, where they overlap.
        overlap: share of the scan's vertices in the crop that have a counterpart.
        landmark_mm: root mean square between the landmarks; NaN without landmarks of the scan.
        steps: taken in all.
        converged: whether the last step moved the face by no more than the tolerance.
        started_from: `landmarks` or `search`.
    """

    identity: Float64Array
    expression: Float64Array
    similarity: Similarity
    mesh: Mesh
    errors: Float64Array
    scan_errors: Float64Array
    overlap: float
    landmark_mm: float
    steps: int
    converged: bool
    started_from: str


def fit_model(
    model: MorphableModel,
    scan: Mesh,
    landmarks: Landmarks | None = None,
    *,
    expression: bool = True,
    scale: bool = False,
) -> ModelFit:
    """Fit a model to a scan of a face in any pose.

    Args:
        model: any; without all its landmarks the pose is searched.
        scan: clean, mm, with or without neck and shoulders.
        landmarks: 68 or 7 of the scan, in its space; they start the fit and hold on to mouth and
            eyes, where surfaces alone cannot tell an expression.
        expression: whether expressions are fitted; False keeps the face neutral.
        scale: whether the size is fitted too. A free size trades against the identity modes that
            hold size, and the prior prefers a small identity: on exact scans it came out 5 % off.

    Raises:
        FacebenchError: the landmarks are not of this mesh, or nothing of the scan is a face.
    """
    side = PreparedMesh.of(scan, landmarks, "scan")
    mean = PreparedMesh.of(_mesh(model, model.mean_shape), None, "model")
    settings = AlignmentSettings(scale="per_mesh" if scale else "none")
    start = initialise(mean, side, settings, OverlapRegion())
    fitter = _Fitter(model, side, start.transform, expression=expression, scale=scale)
    steps, moved = 0, np.inf
    for reach, most, tolerance in LEVELS:
        for _ in range(most):
            moved = fitter.step(reach)
            steps += 1
            if moved <= tolerance:
                break
    return _fit_with_distances(fitter, steps, moved <= LEVELS[-1][2], start.source)


class _Fitter:
    """One model and one scan; `step` improves the coefficients and the similarity.

    Parameters of a step: identity, expression (their new values), then the seven of
    `Similarity.step` about the middle of the face.
    """

    def __init__(
        self,
        model: MorphableModel,
        scan: PreparedMesh,
        similarity: Similarity,
        *,
        expression: bool,
        scale: bool,
    ) -> None:
        self.model, self.scan, self.similarity = model, scan, similarity
        self.scale, self.expressive = scale, expression
        self.identity = np.zeros(model.identity_basis.shape[2])
        self.expression = np.zeros(model.expression_basis.shape[2])
        self.basis = np.concatenate([model.identity_basis, model.expression_basis], axis=2)
        self.basis = self.basis.astype(np.float64)
        self.n_identity = model.identity_basis.shape[2]
        # No scanner sees the inside of a mouth, and what lies close behind the lips would match.
        hidden = np.zeros(model.n_vertices, bool)
        hidden[model.vertices_of("mouth")] = True
        self.seen = ~hidden
        self.triangles = model.triangles[~hidden[model.triangles].any(axis=1)]
        self.pairs = _landmark_pairs(model, scan.landmarks)

    def shape(self) -> Float64Array:
        """Vertices (V, 3) in the model's space."""
        coefficients = np.concatenate([self.identity, self.expression])
        return np.asarray(self.model.mean_shape + self.basis @ coefficients, np.float64)

    def vertices(self) -> Float64Array:
        """Vertices (V, 3) in the scan's space."""
        return self.similarity.apply(self.shape())

    def crop(self, vertices: Float64Array) -> Sphere:
        """The face around the nose tip of vertices in the scan's space."""
        tip = own_nose_tip(_mesh(self.model, vertices))
        # The sphere moves with the face, so that a poor start does not decide what is fitted.
        return Sphere.everywhere() if tip is None else Sphere(tip, FACE_MM)

    def step(self, reach: float) -> float:
        """Take one step; the face's motion in mm, root mean square."""
        region = OverlapRegion(max_distance_mm=reach, max_angle_deg=75.0)
        before = self.vertices()
        crop = self.crop(before)
        sides = [find(before, region, crop) for find in (self._to_scan, self._to_model)]
        solved = self._solve([side for side in sides if side[2].sum() > 0])
        self.identity, self.expression = np.split(solved[:-7], [self.n_identity])
        motion = Similarity.step(solved[-7:], before.mean(0))
        self.similarity = motion.after(self.similarity)
        moved = self.vertices() - before
        # Vertices beyond the face follow the modes without being seen: they end no iteration.
        near = crop.holds(before)
        return float(np.sqrt((moved[near] ** 2).sum(axis=1).mean()))

    def _to_scan(self, vertices: Float64Array, region: OverlapRegion, crop: Sphere) -> _Rows:
        """The model's vertices against the scan's tangent planes."""
        index = _subsample(np.flatnonzero(crop.holds(vertices) & self.seen))
        normals = vertex_normals(vertices, self.model.triangles.astype(np.int64))[index]
        closest = self.scan.surface.closest(vertices[index], region.fade_mm)
        weights = region.weights(normals, closest) * crop.holds(closest.position)
        missing = ((closest.position - vertices[index]) * closest.normal).sum(1)
        modes = self.basis[index]
        return self._rows(vertices, vertices[index], modes, closest.normal, missing, weights)

    def _to_model(self, vertices: Float64Array, region: OverlapRegion, crop: Sphere) -> _Rows:
        """The scan's vertices against the model's tangent planes.

        With one direction alone a free scale shrinks the face into the scan.
        """
        surface = Surface(Mesh(vertices, self.triangles))
        index = _subsample(np.flatnonzero(crop.holds(self.scan.surface.vertices)))
        points = self.scan.surface.vertices[index]
        closest = surface.closest(points, region.fade_mm)
        weights = region.weights(self.scan.surface.normals[index], closest)
        corners = surface.triangles[closest.triangle]
        share = _barycentric(surface.vertices[corners], closest.position)
        own = _first_of(surface.vertex_of, len(surface.vertices))[corners]
        modes = np.einsum("nc,ncdk->ndk", share, self.basis[own])
        missing = ((points - closest.position) * closest.normal).sum(1)
        return self._rows(vertices, closest.position, modes, closest.normal, missing, weights)

    def _rows(
        self,
        vertices: Float64Array,
        points: Float64Array,
        modes: Float64Array,
        normals: Float64Array,
        missing: Float64Array,
        weights: Float64Array,
    ) -> _Rows:
        """Motion along normals (N, 3) of points (N, 3) whose modes are (N, 3, K)."""
        turned = self.similarity.scale * (normals @ self.similarity.rotation)
        coefficients = np.einsum("nd,ndk->nk", turned, modes)
        arms = points - vertices.mean(0)
        matrix = np.concatenate([coefficients, step_jacobian(arms, normals)], axis=1)
        # Coefficients are solved for as a whole, not as changes: the prior is on the whole.
        now = np.concatenate([self.identity, self.expression])
        return matrix, missing + coefficients @ now, weights

    def _solve(self, sides: list[_Rows]) -> Float64Array:
        """The parameters of least squares under the prior."""
        if not sides:
            raise FacebenchError(
                "no part of the scan is near the model and faces the same way", _LOST
            )
        now = np.concatenate([self.identity, self.expression, np.zeros(7)])
        n = len(now) - 7
        normal, right = np.zeros((len(now), len(now))), np.zeros(len(now))
        for matrix, missing, weights in sides:
            # The noise is what remains: a model that fits well is believed more than its prior.
            noise = np.average((missing - matrix @ now) ** 2, weights=weights) + LEAST_NOISE_MM**2
            share = weights * (EFFECTIVE_POINTS / len(sides) / weights.sum() / noise)
            normal += matrix.T @ (share[:, None] * matrix)
            right += matrix.T @ (share * missing)
        if self.pairs is not None:
            matrix, missing = self._landmark_rows()
            normal += matrix.T @ matrix / LANDMARK_MM**2
            right += matrix.T @ missing / LANDMARK_MM**2
        normal[np.arange(n), np.arange(n)] += 1.0
        return self._solve_within_bounds(normal, right)

    def _landmark_rows(self) -> tuple[Float64Array, Float64Array]:
        """All three directions of the landmarks: (3L, P) and what is missing (3L,)."""
        assert self.pairs is not None
        index, targets = self.pairs
        points = self.similarity.apply(self.shape()[index])
        axes = np.tile(np.eye(3), (len(points), 1))
        repeated = np.repeat(points, 3, axis=0)
        missing = (targets - points).reshape(-1)
        modes = np.repeat(self.basis[index], 3, axis=0)
        return self._rows(self.vertices(), repeated, modes, axes, missing, np.ones(len(missing)))[
            :2
        ]

    def _solve_within_bounds(self, normal: Float64Array, right: Float64Array) -> Float64Array:
        """The solution within the coefficients' bounds; what is not fitted stays zero."""
        free = np.ones(len(right), bool)
        free[-1] = self.scale
        free[self.n_identity : -7] = self.expressive
        solved = np.zeros(len(right))
        normal, right = normal[np.ix_(free, free)], right[free]
        low, high = np.full(len(free), -np.inf), np.full(len(free), np.inf)
        # Where a scan lacks a part, modes that move only it would otherwise run away.
        low[:-7], high[:-7] = -MOST_DEVIATIONS, MOST_DEVIATIONS
        if self.model.has_blend_shapes:
            low[self.n_identity : -7], high[self.n_identity : -7] = 0.0, 1.0
        # |Lᵀx − L⁻¹b|² has the minimum of the normal equations, and as few rows as unknowns.
        root = np.linalg.cholesky(normal)
        target = np.linalg.solve(root, right)
        solved[free] = lsq_linear(root.T, target, (low[free], high[free])).x
        return solved


def _fit_with_distances(
    fitter: _Fitter, steps: int, converged: bool, started_from: str
) -> ModelFit:
    """The fit with its distances to the scan, by the region of the last steps without fading."""
    region = replace(OverlapRegion(), max_angle_deg=75.0).without_fade
    vertices = fitter.vertices()
    crop, mesh = fitter.crop(vertices), _mesh(fitter.model, vertices)
    normals = vertex_normals(vertices, fitter.model.triangles.astype(np.int64))
    closest = fitter.scan.surface.closest(vertices)
    inside = (region.weights(normals, closest) > 0) & crop.holds(closest.position) & fitter.seen
    scanned = np.flatnonzero(crop.holds(fitter.scan.surface.vertices))
    back = Surface(Mesh(vertices, fitter.triangles)).closest(fitter.scan.surface.vertices[scanned])
    near = region.weights(fitter.scan.surface.normals[scanned], back) > 0
    if not near.any():
        raise FacebenchError("the fitted face lies on no part of the scan", _LOST)
    landmark_mm = float("nan")
    if fitter.pairs is not None:
        index, targets = fitter.pairs
        landmark_mm = float(np.sqrt(((vertices[index] - targets) ** 2).sum(1).mean()))
    return ModelFit(
        identity=fitter.identity,
        expression=fitter.expression,
        similarity=fitter.similarity,
        mesh=mesh,
        errors=np.where(inside, closest.distance, np.nan),
        scan_errors=back.distance[near],
        overlap=float(near.mean()),
        landmark_mm=landmark_mm,
        steps=steps,
        converged=converged,
        started_from=started_from,
    )


def _landmark_pairs(
    model: MorphableModel, landmarks: Landmarks | None
) -> tuple[IndexArray, Float64Array] | None:
    """Vertices (L,) of the model and points (L, 3) of the scan that mean the same."""
    if landmarks is None:
        return None
    # The jaw line slides along the face with the pose it was labelled in, so it takes no part.
    numbers = np.arange(68)[STABLE] if len(landmarks.points) == 68 else np.array(SEVEN)
    points = landmarks.points[STABLE] if len(landmarks.points) == 68 else landmarks.points
    vertices = model.landmarks[numbers].astype(np.int64)
    known = vertices >= 0
    return (vertices[known], points[known]) if known.any() else None


def _mesh(model: MorphableModel, vertices: NDArray[np.floating]) -> Mesh:
    whole = (model.landmarks >= 0).all()
    return Mesh(
        np.asarray(vertices, np.float64), model.triangles, model.landmarks if whole else None
    )


def _subsample(index: IndexArray) -> IndexArray:
    """At most `POINTS` of an index, evenly over its order."""
    return index[:: max(1, -(-len(index) // POINTS))]


def _first_of(vertex_of: IndexArray, count: int) -> IndexArray:
    """A vertex of the mesh (count,) for each of a surface, which has them in its own order."""
    first = np.zeros(count, np.int64)
    used = np.flatnonzero(vertex_of >= 0)
    first[vertex_of[used]] = used
    return first


def _barycentric(corners: Float64Array, points: Float64Array) -> Float64Array:
    """Weights (N, 3) of points (N, 3) in triangles of corners (N, 3, 3)."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = points - corners[:, 0]
    aa, ab, bb = (a * a).sum(1), (a * b).sum(1), (b * b).sum(1)
    pa, pb = (p * a).sum(1), (p * b).sum(1)
    area = aa * bb - ab * ab
    second = (bb * pa - ab * pb) / area
    third = (aa * pb - ab * pa) / area
    return np.stack([1.0 - second - third, second, third], axis=1)
