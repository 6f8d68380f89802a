"""Point-to-plane constraints and the linear system of a non-rigid registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from ...errors import FacebenchError
from ..surface.overlap import OverlapRegion, Sphere
from ..surface.surface import ClosestPoints, Surface
from ..surface.triangles import Float64Array, IndexArray, vertex_normals
from .deformation import N_ROUND, SmoothField, SparseMatrix, solve_positive, spread

# Standard deviations in the median absolute value of normally distributed residuals.
DEVIATIONS = 1.4826
OUTLIER = 1.0  # Residuals beyond this many times the noise lose their say.


@dataclass(frozen=True, eq=False)
class PlaneConstraints:
    """Points of the prediction and the planes they are pulled to.

    Attributes:
        basis: (N, M) of the points' displacements.
        points: (N, 3) before the deformation.
        targets, normals: (N, 3) of the planes.
        residuals: (N,) distance of the deformed points to the planes.
        weights: (N,).
    """

    basis: SparseMatrix
    points: Float64Array
    targets: Float64Array
    normals: Float64Array
    residuals: Float64Array
    weights: Float64Array

    def robust_weights(self, noise: float) -> Float64Array:
        """The weights (N,), less where the residual is large: Geman and McClure's estimator."""
        return np.asarray(self.weights / (1 + (self.residuals / (OUTLIER * noise)) ** 2) ** 2)

    def normal_equations(self, noise: float) -> tuple[SparseMatrix, Float64Array]:
        """Matrix (3M, 3M) and right side (3M,), all x before all y before all z."""
        jacobian = sparse.hstack([sparse.diags(n) @ self.basis for n in self.normals.T]).tocsr()
        wanted = ((self.targets - self.points) * self.normals).sum(1)
        weighted = jacobian.T @ sparse.diags(self.robust_weights(noise) / noise**2)
        return weighted @ jacobian, np.asarray(weighted @ wanted)


def robust_spread(residuals: Float64Array, weights: Float64Array) -> float:
    """Standard deviation of residuals (N,) by their weighted median absolute value.

    Args:
        residuals: (N,).
        weights: (N,), some above zero.
    """
    order = np.argsort(np.abs(residuals), kind="stable")
    share = np.cumsum(weights[order])
    middle = order[np.searchsorted(share, share[-1] / 2)]
    return float(DEVIATIONS * np.abs(residuals[middle]))


MIN_POINTS = 50  # Fewer matched points than this do not tell how a face is deformed.
# Distance that counts as much as normals a radian apart when a scan's point looks for its own.
NORMAL_MM = 5.0
LEAST_SPREAD_MM = 0.1  # A prediction closer than this to its scan is told from it by noise only.


@dataclass(frozen=True)
class NonRigidSettings:
    """How freely a prediction is deformed and how far the registration is taken; lengths in mm.

    Attributes:
        range_mm: distance at which displacements are almost unrelated: larger than a nose, so that
            features move as wholes.
        node_mm: between the nodes that carry the displacements.
        data_mm: between the points of either surface that pull.
        noise_mm: standard deviation that residuals are taken to have at least.
        dependence: by how much the noise exceeds the spread of the residuals of now. What no smooth
            motion explains, a person's own bumps and folds, is shared by all points of a bump: N
            points that say the same count as one, whose noise is larger by √N.
        landmark_mm: standard deviation of landmarks.
        margin_mm: how far beyond the crop the prediction takes part.
        max_residual_mm: deformed vertices further from the scan have no counterpart.
        tolerance_mm: the registration has converged when the root mean square of the motions of
            the prediction's points in a step, weighted as they pull, is within it.
        max_steps: of all.
    """

    range_mm: float = 150.0
    node_mm: float = 16.0
    data_mm: float = 7.0
    noise_mm: float = 0.5
    dependence: float = 5.0
    landmark_mm: float = 1.0
    margin_mm: float = 15.0
    max_residual_mm: float = 3.0
    tolerance_mm: float = 0.05
    max_steps: int = 20


@dataclass(frozen=True, eq=False)
class Step:
    """What one solution of the system gave.

    Attributes:
        displacement: (M, 3) of the nodes.
        moved_mm: weighted root mean square of the points' motions.
        residual_mm: root of the weighted mean squared distance to the planes before.
        noise_mm: standard deviation that the residuals were taken to have.
    """

    displacement: Float64Array
    moved_mm: float
    residual_mm: float
    noise_mm: float


@dataclass(frozen=True, eq=False)
class System:
    """The two surfaces, the field, and what of the system does not change."""

    prediction: Surface
    scan: Surface
    crop: Sphere
    intersection: OverlapRegion
    settings: NonRigidSettings
    field: SmoothField
    near: IndexArray
    near_basis: SparseMatrix
    prediction_points: IndexArray
    prediction_basis: SparseMatrix
    scan_points: IndexArray
    spread_mm: float
    fixed: tuple[SparseMatrix, Float64Array]

    @classmethod
    def of(
        cls,
        prediction: Surface,
        scan: Surface,
        crop: Sphere,
        intersection: OverlapRegion,
        landmarks: tuple[Float64Array, Float64Array] | None,
        settings: NonRigidSettings,
    ) -> System:
        """Choose the points and the nodes, and weigh the field's energy."""
        widened = Sphere(crop.centre, crop.radius_mm + settings.margin_mm)
        near = np.flatnonzero(widened.holds(prediction.vertices))
        if len(near) < MIN_POINTS:
            raise _no_overlap()
        field = SmoothField.over(prediction.vertices[near], settings.node_mm, settings.range_mm)
        if len(field.nodes) < N_ROUND + 2:
            raise _no_overlap()
        chosen = spread(prediction.vertices[near], settings.data_mm)
        basis = field.basis(prediction.vertices[near])
        spread_mm = _spread_of(prediction, scan, crop, intersection, near[chosen])
        fixed = _fixed(field, spread_mm, landmarks, settings.landmark_mm)
        inner = crop.vertices_of(scan)
        inner = inner[~scan.on_boundary[inner]]
        scan_points = inner[spread(scan.vertices[inner], settings.data_mm)]
        return cls(
            prediction,
            scan,
            crop,
            intersection,
            settings,
            field,
            near,
            basis,
            near[chosen],
            basis[chosen],
            scan_points,
            spread_mm,
            fixed,
        )

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Which of the prediction's vertices (V,) take part."""
        reached = np.zeros(len(self.prediction.vertices), bool)
        reached[self.near] = True
        return reached

    def deformed(self, displacement: Float64Array) -> Float64Array:
        """The prediction's vertices (V, 3) under displacements (M, 3) of the nodes."""
        vertices = self.prediction.vertices.copy()
        vertices[self.near] += self.near_basis @ displacement
        return vertices

    def step(self, displacement: Float64Array) -> Step:
        """The likeliest displacements for the planes that displacements (M, 3) of now lead to."""
        vertices = self.deformed(displacement)
        normals = vertex_normals(vertices, self.prediction.triangles)
        sides = (
            self._prediction_constraints(vertices, normals),
            self._scan_constraints(vertices, normals),
        )
        residuals = np.concatenate([side.residuals for side in sides])
        noise = self._noise(residuals, np.concatenate([side.weights for side in sides]))
        matrix, right_side = self.fixed
        for side in sides:
            more, right = side.normal_equations(noise)
            matrix, right_side = matrix + more, right_side + right
        updated = solve_positive(matrix, right_side).reshape(3, -1).T
        motions = self.prediction_basis @ (updated - displacement)
        moved = _root_mean_square(np.linalg.norm(motions, axis=1), sides[0].robust_weights(noise))
        trust = np.concatenate([side.robust_weights(noise) for side in sides])
        return Step(updated, moved, _root_mean_square(residuals, trust), noise)

    def _noise(self, residuals: Float64Array, weights: Float64Array) -> float:
        """Larger than the robust spread of the residuals (N,), which few outliers change."""
        if not weights.any():
            raise _no_overlap()
        wanted = self.settings.dependence * robust_spread(residuals, weights)
        return max(self.settings.noise_mm, wanted)

    def _prediction_constraints(
        self, vertices: Float64Array, normals: Float64Array
    ) -> PlaneConstraints:
        """Points of the prediction on the planes of the scan."""
        index = self.prediction_points
        closest = self.scan.closest(vertices[index])
        weights = _counted(normals[index], closest, self.intersection, self.crop)
        residuals = ((vertices[index] - closest.position) * closest.normal).sum(1)
        return PlaneConstraints(
            self.prediction_basis,
            self.prediction.vertices[index],
            closest.position,
            closest.normal,
            residuals,
            weights,
        )

    def _scan_constraints(self, vertices: Float64Array, normals: Float64Array) -> PlaneConstraints:
        """The prediction's vertices that points of the scan find, on those points' planes.

        A vertex near the plane's point stands for the surface: it may lie off along the plane.
        """
        targets, planes = self.scan.vertices[self.scan_points], self.scan.normals[self.scan_points]
        own = np.concatenate([vertices, NORMAL_MM * normals], axis=1)[self.near]
        found = cKDTree(own).query(np.concatenate([targets, NORMAL_MM * planes], axis=1))[1]
        index = self.near[found]
        offset = vertices[index] - targets
        match = ClosestPoints(
            vertices[index],
            np.zeros(len(index), np.int64),
            normals[index],
            np.linalg.norm(offset, axis=1),
            self.prediction.on_boundary[index],
        )
        return PlaneConstraints(
            self.near_basis[found],
            self.prediction.vertices[index],
            targets,
            planes,
            (offset * planes).sum(1),
            self.intersection.weights(planes, match),
        )


def _counted(
    normals: Float64Array, closest: ClosestPoints, intersection: OverlapRegion, crop: Sphere
) -> Float64Array:
    """Weights (N,) of the prediction's points by the scan's closest points."""
    return intersection.weights(normals, closest) * crop.holds(closest.position)


def _spread_of(
    prediction: Surface,
    scan: Surface,
    crop: Sphere,
    intersection: OverlapRegion,
    index: IndexArray,
) -> float:
    """Root of the mean squared distance to the scan's planes: one component of what is unknown."""
    closest = scan.closest(prediction.vertices[index])
    weights = _counted(prediction.normals[index], closest, intersection, crop)
    if (weights > 0).sum() < MIN_POINTS:
        raise _no_overlap()
    distances = ((prediction.vertices[index] - closest.position) * closest.normal).sum(1)
    return max(LEAST_SPREAD_MM, _root_mean_square(distances, weights))


def _fixed(
    field: SmoothField,
    spread_mm: float,
    landmarks: tuple[Float64Array, Float64Array] | None,
    landmark_mm: float,
) -> tuple[SparseMatrix, Float64Array]:
    """The part of the system that no step changes: the field's energy, and landmarks."""
    matrix = field.precision / spread_mm**2
    right_side = np.zeros(field.nodes.shape)
    if landmarks is not None:
        own, theirs = (np.asarray(points, np.float64) for points in landmarks)
        if own.shape != theirs.shape or own.ndim != 2 or own.shape[1] != 3:
            raise FacebenchError(
                f"landmarks of shape {own.shape} and {theirs.shape} are not pairs of points",
                "give both as (L, 3) in the same order",
            )
        weighted = field.basis(own).T / landmark_mm**2
        matrix = matrix + weighted @ field.basis(own)
        right_side = weighted @ (theirs - own)
    return sparse.kron(sparse.identity(3), matrix, format="csr"), right_side.T.ravel()


def _root_mean_square(values: Float64Array, weights: Float64Array) -> float:
    if not weights.any():
        raise _no_overlap()
    return float(np.sqrt(np.average(values**2, weights=weights)))


def _no_overlap() -> FacebenchError:
    return FacebenchError(
        "prediction and scan do not overlap", "check that both are faces in millimetres"
    )
