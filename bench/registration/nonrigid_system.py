"""The linear system of a non-rigid registration: the prior, and constraints of surfaces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg, sparse
from scipy.spatial import cKDTree

from ...errors import FacebenchError
from ..surface.overlap import NoOverlapError
from ..surface.region import OverlapRegion, Sphere
from ..surface.surface import ClosestPoints, Surface
from ..surface.triangles import Float64Array, IndexArray, dot, unit
from .constraints import Assembly, NormalField, PlaneConstraints, robust_spread, turning_forms
from .deformation import SmoothField, SparseMatrix
from .even_points import CarriedPoints, EvenPoints, even_nodes, even_points

MIN_POINTS = 150  # Fewer matched points than this do not tell how a face is deformed.
# Distance that counts as much as normals a radian apart when a scan's point looks for its own.
NORMAL_MM = 5.0
N_FOUND = 3  # Points of the prediction that one of the scan finds.
LEAST = 1e-9  # Instead of nothing, where it divides.
LEAST_SPREAD_MM = 0.1  # A prediction closer than this to its scan differs from it by noise only.


@dataclass(frozen=True)
class NonRigidSettings:
    """How freely a prediction is deformed and how far the registration is taken; lengths in mm.

    Attributes:
        range_mm: distance at which displacements are almost unrelated: larger than a nose, so that
            features move as wholes.
        node_mm: between the nodes that carry the displacements.
        data_mm: of the grid by which the constraints of either surface are spread.
        constraint_mm2: of a surface, for which one constraint stands.
        search_mm: of the grid of the prediction's points that the scan's look for.
        noise_mm: standard deviation that residuals are taken to have at least.
        dependence: by how much the noise exceeds the spread of the residuals of now. What no smooth
            motion explains, a person's own bumps and folds, is shared by all points of a bump: N
            points that say the same count as one, whose noise is larger by √N.
        landmark_mm: standard deviation of landmarks.
        margin_mm: how far beyond the crop the prediction takes part.
        max_residual_mm: deformed vertices further from the scan have no counterpart.
        tolerance_mm: the registration has converged when the root mean square of the motions of
            the prediction's points in a step, weighted as its constraints, is within it.
        max_steps: of all.
        normal_rad: least standard deviation of smoothed normals, by which motion along the surface
            is seen where it bends; None to look at planes alone.
    """

    range_mm: float = 80.0
    node_mm: float = 16.0
    data_mm: float = 7.0
    constraint_mm2: float = 27.0
    search_mm: float = 3.5
    noise_mm: float = 0.5
    dependence: float = 5.0
    landmark_mm: float = 1.0
    margin_mm: float = 15.0
    max_residual_mm: float = 3.0
    tolerance_mm: float = 0.03
    max_steps: int = 25
    normal_rad: float | None = 0.1


PLANES_ALONE = NonRigidSettings(range_mm=110.0, normal_rad=None)
"""Of `distance.along` `field`: nothing but the field tells of motion along the surface."""


@dataclass(frozen=True, eq=False)
class NonRigidRegistration:
    """A prediction deformed onto a scan, as far as its steps have come.

    Attributes:
        system: what is solved.
        displacement: (M, 3) of the nodes.
        moved_mm: weighted root mean square of the points' motions in the last step.
        residual_mm: root of the weighted mean squared distance to the planes before it.
        noise_mm: standard deviation that the residuals were taken to have.
        steps: linear systems solved, each with one factorisation.
    """

    system: System
    displacement: Float64Array
    moved_mm: float
    residual_mm: float
    noise_mm: float
    steps: int

    @property
    def converged(self) -> bool:
        """Whether the last step moved the points by no more than the tolerance."""
        return self.moved_mm <= self.system.settings.tolerance_mm


class System:
    """The two surfaces, the field, and the constant part of the system.

    Attributes:
        near: of the prediction's vertices, those that the field deforms.
        field: of displacements.
        constrained: points of the prediction that have a constraint each.
        searched: points of the prediction that those of the scan look for.
        scan_points: of the scan, that have a constraint each.
        spread_mm: prior standard deviation of one component of a displacement.
        fixed: matrix and right-hand side of what no step changes.
        normals: smoothed, of the scan, and of the prediction at its constrained points; or None.
    """

    def __init__(
        self,
        prediction: Surface,
        scan: Surface,
        crop: Sphere,
        intersection: OverlapRegion,
        landmarks: tuple[Float64Array, Float64Array] | None,
        settings: NonRigidSettings,
        reference: Surface | None = None,
    ) -> None:
        self.prediction, self.scan, self.crop = prediction, scan, crop
        self.intersection, self.settings = intersection, settings
        reference = scan if reference is None else reference
        # What lies just outside of the crop holds the deformation at its edge in place.
        widened = Sphere(crop.centre, crop.radius_mm + settings.margin_mm)
        self.near = np.flatnonzero(widened.holds(prediction.vertices))
        frame = reference.frame
        dense = even_points(prediction, widened, frame, settings.search_mm)
        if len(dense.areas) < MIN_POINTS:
            raise NoOverlapError
        nodes = even_nodes(dense, prediction, frame, settings.node_mm)
        self.field = SmoothField(nodes, settings.node_mm, settings.range_mm)
        points = even_points(prediction, widened, frame, settings.data_mm)
        self.searched = CarriedPoints(dense, self.field, frame)
        self.constrained = CarriedPoints(points, self.field, frame)
        both = sparse.vstack([self.constrained.basis, self.searched.basis], format="csr")
        self._assembly = Assembly(both)
        self.spread_mm = _prior_spread(points, scan, crop, intersection)
        if landmarks is not None:
            # Skin that slid within itself leaves no distance to the planes: landmarks alone show
            # it, and a prior that expects nothing would overrule them.
            landmarks = _pairs(*landmarks)
            self.spread_mm = max(self.spread_mm, _landmark_spread(*landmarks, settings.landmark_mm))
        self.fixed = _constant_part(self.field, self.spread_mm, landmarks, settings.landmark_mm)
        of_scan = even_points(scan, crop, frame, settings.data_mm)
        # A normal at the boundary is one-sided, and where the scan ends is no feature of a face.
        self.scan_points = of_scan.where(of_scan.to_boundary > 0)
        if not len(self.scan_points.areas):
            raise NoOverlapError
        self.normals: tuple[NormalField, NormalField] | None = None
        if settings.normal_rad is not None:
            # What lies around the crop bends its edge as the prediction's does.
            around = even_points(scan, widened, frame, settings.search_mm)
            self.normals = NormalField(around), NormalField(dense, points.positions)

    @cached_property
    def near_basis(self) -> SparseMatrix:
        """Weights (N, M) of the nodes' displacements in those of the vertices `near`."""
        return self.field.basis(self.prediction.vertices[self.near])

    def deform(self, displacement: Float64Array) -> Float64Array:
        """The prediction's vertices (V, 3) under displacements (M, 3) of the nodes."""
        vertices = self.prediction.vertices.copy()
        vertices[self.near] += self.near_basis @ displacement
        return vertices

    def step(self, displacement: Float64Array, steps: int) -> NonRigidRegistration:
        """The likeliest displacements for the planes that displacements (M, 3) of now lead to.

        Args:
            displacement: of now.
            steps: that it took to come there.
        """
        sides, noise, normals = self._constraints(displacement)
        terms = [(side.rows, *side.forms(noise)) for side in sides]
        if self.normals is not None:
            turned = self._normal_constraints(*self.normals, sides[0], displacement, normals)
            terms.append((sides[0].rows, *turned))
        matrix, right_hand_side = self._equations(terms)
        # A face has some 250 nodes, and both sides couple most of them: dense is twice as fast.
        factor = linalg.cho_factor(matrix.T, lower=True, overwrite_a=True)
        updated = linalg.cho_solve(factor, right_hand_side)
        updated = updated.reshape(3, -1).T
        motions = self.constrained.basis @ (updated - displacement)
        moved = _root_mean_square(np.linalg.norm(motions, axis=1), sides[0].robust_weights(noise))
        residuals = np.concatenate([side.residuals for side in sides])
        weights = np.concatenate([side.robust_weights(noise) for side in sides])
        residual = _root_mean_square(residuals, weights)
        return NonRigidRegistration(self, updated, moved, residual, noise, steps + 1)

    def precision(self, displacement: Float64Array) -> Float64Array:
        """Posterior precision (3M, 3M) of the nodes' displacements, all x before all y before all
        z, mm⁻²: the prior's, and what the planes tell that displacements (M, 3) lead to."""
        # Without the normals: a person's own folds turn them too, and how far is not known.
        sides, noise, _ = self._constraints(displacement)
        return self._equations([(side.rows, *side.forms(noise)) for side in sides])[0]

    def _constraints(
        self, displacement: Float64Array
    ) -> tuple[tuple[PlaneConstraints, PlaneConstraints], float, Float64Array]:
        """Both sides' constraints where displacements (M, 3) lead to, the noise of them, and the
        normals (K, 3) of the deformed prediction at its dense points."""
        vertices, normals = self.searched.moved(displacement)
        sides = (
            self._prediction_constraints(displacement),
            self._scan_constraints(vertices, normals),
        )
        residuals = np.concatenate([side.residuals for side in sides])
        weights = np.concatenate([side.weights for side in sides])
        return sides, self._noise(residuals, weights), normals

    def _equations(
        self, terms: list[tuple[IndexArray, Float64Array, Float64Array]]
    ) -> tuple[Float64Array, Float64Array]:
        """Normal equations of prior, landmarks and points, by their rows and forms."""
        # Both directions add to one system, so that neither surface's holes leave a part of the
        # face without a constraint.
        matrix, right_hand_side = self._assembly(*map(np.concatenate, zip(*terms, strict=True)))
        matrix += self.fixed[0]
        return matrix, right_hand_side + self.fixed[1]

    def _normal_constraints(
        self,
        scan: NormalField,
        own: NormalField,
        planes: PlaneConstraints,
        displacement: Float64Array,
        normals: Float64Array,
    ) -> tuple[Float64Array, Float64Array]:
        """Constraints by the normals (V, 3) of the deformed prediction against the scan's."""
        moved, least = self.constrained.basis @ displacement, self.settings.normal_rad
        assert least is not None
        seen = replace(planes, weights=planes.weights * own.known)
        return turning_forms(moved, own.smooth(normals), seen, scan, least)

    def _noise(self, residuals: Float64Array, weights: Float64Array) -> float:
        """Larger than the robust spread of the residuals (N,), which few outliers change."""
        if not weights.any():
            raise NoOverlapError
        estimated = self.settings.dependence * robust_spread(residuals, weights)
        return max(self.settings.noise_mm, estimated)

    def _prediction_constraints(self, displacement: Float64Array) -> PlaneConstraints:
        """Points of the prediction on the planes of the scan."""
        points = self.constrained.points
        moved, normals = self.constrained.moved(displacement)
        # Normals that jump between triangles would let the steps go round in a circle.
        closest = self.scan.tangent_planes(moved)
        weights = self._counts(points) * _inlier_weights(
            normals, closest, self.intersection, self.crop
        )
        residuals = dot(moved - closest.position, closest.normal)
        return PlaneConstraints(
            np.arange(len(moved)),
            points.positions,
            closest.position,
            closest.normal,
            residuals,
            weights,
        )

    def _counts(self, points: EvenPoints) -> Float64Array:
        """How many constraints each of the points (K,) stands for."""
        return points.areas / self.settings.constraint_mm2

    def _scan_constraints(self, moved: Float64Array, normals: Float64Array) -> PlaneConstraints:
        """The prediction's points that points of the scan find, on those points' planes.

        A point near the plane's own stands for the surface: it may lie off along the plane.
        """
        points = self.scan_points
        targets, planes = points.positions, points.normals
        # Nearest in place and normal together: on the side of a nose the nearest point alone may
        # be one of the cheek.
        own = np.concatenate([moved, NORMAL_MM * normals], axis=1)
        theirs = np.concatenate([targets, NORMAL_MM * planes], axis=1)
        tree = cKDTree(own, balanced_tree=False)  # Asked once: balance costs more than it saves.
        away, found = (np.asarray(each) for each in tree.query(theirs, N_FOUND + 1))
        # The less of one the nearer the next: with a jump between them the steps would go round in
        # a circle.
        shares = (1 - (away[:, :-1] / away[:, -1:].clip(LEAST)) ** 2).clip(LEAST) ** 2
        shares = (shares / shares.sum(1, keepdims=True)).ravel()
        index, row = found[:, :-1].ravel(), np.repeat(np.arange(len(targets)), N_FOUND)
        targets, planes = targets[row], planes[row]
        offset = moved[index] - targets
        match = ClosestPoints(
            moved[index],
            np.zeros(len(index), np.int64),
            normals[index],
            np.linalg.norm(offset, axis=1),
            self.searched.points.to_boundary[index] < self.settings.search_mm,
        )
        # Between two points of a sphere the mean of their normals is across what joins them: how
        # far the one lies off along the surface makes no distance.
        between = unit(planes + normals[index])
        counts = self._counts(points)[row] * shares
        return PlaneConstraints(
            len(self.constrained.points.areas) + index,
            self.searched.points.positions[index],
            targets,
            between,
            dot(offset, between),
            counts * self.intersection.weights(planes, match),
        )


def _inlier_weights(
    normals: Float64Array, closest: ClosestPoints, intersection: OverlapRegion, crop: Sphere
) -> Float64Array:
    """Weights (N,) of the prediction's points by the scan's closest points."""
    return intersection.weights(normals, closest) * crop.fade(
        closest.position, intersection.fade_mm
    )


def _prior_spread(
    points: EvenPoints, scan: Surface, crop: Sphere, intersection: OverlapRegion
) -> float:
    """Root of the mean squared distance to the scan's planes: one component of what is unknown.

    An empirical prior: what is seen along the normals is taken to be as large as what is not seen
    along the surface.
    """
    closest = scan.closest(points.positions)
    weights = points.areas * _inlier_weights(points.normals, closest, intersection, crop)
    if (weights > 0).sum() < MIN_POINTS:
        raise NoOverlapError
    distances = dot(points.positions - closest.position, closest.normal)
    return max(LEAST_SPREAD_MM, _root_mean_square(distances, weights))


def _landmark_spread(own: Float64Array, theirs: Float64Array, landmark_mm: float) -> float:
    """Root mean square of one component of the landmarks' displacements, less their own noise."""
    return float(np.sqrt(max(0.0, ((theirs - own) ** 2).mean() - landmark_mm**2)))


def _pairs(own: Float64Array, theirs: Float64Array) -> tuple[Float64Array, Float64Array]:
    own, theirs = np.asarray(own, np.float64), np.asarray(theirs, np.float64)
    if own.shape != theirs.shape or own.ndim != 2 or own.shape[1] != 3:
        raise FacebenchError(
            f"landmarks of shape {own.shape} and {theirs.shape} are not pairs of points",
            "give both as (L, 3) in the same order",
        )
    return own, theirs


def _constant_part(
    field: SmoothField,
    spread_mm: float,
    landmarks: tuple[Float64Array, Float64Array] | None,
    landmark_mm: float,
) -> tuple[Float64Array, Float64Array]:
    """The part of the system that no step changes: the field's energy, and landmarks."""
    matrix = field.precision / spread_mm**2
    right_hand_side = np.zeros(field.nodes.shape)
    if landmarks is not None:
        own, theirs = landmarks
        weighted = field.basis(own).T / landmark_mm**2
        matrix = matrix + weighted @ field.basis(own)
        right_hand_side = weighted @ (theirs - own)
    # The prior does not couple x, y and z; the planes will.
    return linalg.block_diag(*[matrix.toarray()] * 3), right_hand_side.T.ravel()


def _root_mean_square(values: Float64Array, weights: Float64Array) -> float:
    if not weights.any():
        raise NoOverlapError
    return float(np.sqrt(np.average(values**2, weights=weights)))
