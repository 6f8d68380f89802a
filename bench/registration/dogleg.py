"""Dense registration by Powell's dogleg steps, which ends where NoW's evaluator ends.

NoW's evaluator minimises the sum of squared distances of the scan's points to the prediction with a
dogleg method whose first trust region is small, and stops once a step improves the sum by less than
a ten-thousandth. Where the prediction covers less than the crop the sum has a long flat valley
towards larger faces, and the number depends on where in it the steps end: an implementation that
goes on to the minimum has another number. So steps, parameters, radii and end are the original's,
its parametrisation about the origin of the scan's file included.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import cg
from scipy.spatial.transform import Rotation

from ..protocol.record import AlignmentSettings
from ..surface.overlap import match_symmetric
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import Similarity
from ..surface.surface import Surface
from ..surface.triangles import Float64Array
from .dense import Alignment

FIRST_RADIUS = 0.1  # Of the trust region: of a millimetre, of a radian and of the scale alike.
LEAST_IMPROVEMENT = 1e-4  # Share of the sum of squares below which a step is the last.
GOOD, BAD = 0.9, 0.05  # Shares of the predicted improvement that widen and narrow the region.
WIDER, NARROWER = 2.5, 0.25
# Relative residual at which the conjugate gradients stop: the seven parameters are ill scaled about
# a far origin, so that what this leaves over is seen in the sixth digit of the mean.
CG_TOLERANCE = 1e-5
SMALLEST_STEP = 1e-15
SMALLEST_SCALE = 1e-3  # A step to a face of no size, or a mirrored one, is never taken.

Residuals = Callable[[Float64Array], tuple[Float64Array, Float64Array]]


def align_by_dogleg(
    prediction: Surface,
    scan: Surface,
    initial: Similarity,
    intersection: OverlapRegion,
    crop: Sphere,
    settings: AlignmentSettings,
) -> Alignment:
    """Registered by dogleg steps over scale, rotation vector and translation after `initial`.

    Args:
        prediction: in its own space.
        scan: in mm.
        initial: from the prediction's space to the scan's, of the landmarks.
        intersection, crop: as in `dense.align`.
        settings: `max_iterations`, and whether the scale is free.
    """
    points = scan.vertices[crop.vertices_of(scan)]
    residuals = _residuals(prediction, points, initial)
    free = np.ones(7, bool)
    free[0] = settings.scale != "none"
    start = np.array([1.0, 0, 0, 0, 0, 0, 0])
    parameters, steps, ended = minimise(residuals, start, settings.max_iterations, free)
    transform = _similarity(parameters).after(initial)
    matches = match_symmetric(prediction, scan, transform, intersection, crop)
    return Alignment.at(transform, matches, steps, ended)


def minimise(
    residuals: Residuals, start: Float64Array, most_steps: int, free: NDArray[np.bool_]
) -> tuple[Float64Array, int, bool]:
    """Dogleg steps (Powell 1970) on a sum of squares.

    Args:
        residuals: (N,) and their derivatives (N, P) at parameters (P,); infinite where not allowed.
        start: (P,).
        most_steps: after which it has not converged.
        free: (P,) bool, parameters that may change.

    Returns:
        The parameters, the steps taken, and whether the last one was small enough.
    """
    place, radius = start, FIRST_RADIUS
    values, jacobian = residuals(place)
    for steps in range(1, most_steps + 1):
        downhill = -(jacobian.T @ values) * free
        improved = False
        while not improved:
            step = _dogleg(jacobian[:, free], downhill[free], radius)
            whole = np.zeros(len(place))
            whole[free] = step
            length = float(np.linalg.norm(step))
            if not length > SMALLEST_STEP * np.linalg.norm(place):
                return place, steps, True
            new_values, new_jacobian = residuals(place + whole)
            before, after = float(values @ values), float(new_values @ new_values)
            improvement = before - after
            improved = improvement > 0
            predicted = before - float(((values + jacobian @ whole) ** 2).sum())
            ratio = improvement / predicted if improved else -1.0
            if improved:
                place, values, jacobian = place + whole, new_values, new_jacobian
                if improvement < LEAST_IMPROVEMENT * before:
                    return place, steps, True
            if ratio > GOOD:
                radius = max(radius, WIDER * length)
            elif ratio < BAD:
                radius *= NARROWER
    return place, most_steps, False


def _dogleg(jacobian: Float64Array, downhill: Float64Array, radius: float) -> Float64Array:
    """The step (P,): towards the steepest descent's minimum, then to Gauss and Newton's, as far as
    the trust region goes."""
    along = jacobian @ downhill
    steepest = downhill * (downhill @ downhill) / max(float(along @ along), np.finfo(float).tiny)
    length = float(np.linalg.norm(steepest))
    if length >= radius:
        return np.asarray(steepest * (radius / length))
    newton = cg(jacobian.T @ jacobian, downhill, rtol=CG_TOLERANCE, maxiter=2000)[0]
    if np.linalg.norm(newton) <= radius:
        return np.asarray(newton)
    # Where the leg from one minimum to the other leaves the sphere: a quadratic equation.
    leg = newton - steepest
    a, b, c = float(leg @ leg), float(2 * steepest @ leg), length**2 - radius**2
    return np.asarray(steepest + leg * (np.sqrt(b * b - 4 * a * c) - b) / (2 * a))


def _residuals(prediction: Surface, points: Float64Array, initial: Similarity) -> Residuals:
    """Distances (N,) of points to the prediction moved by parameters, and derivatives (N, 7)."""

    def evaluate(parameters: Float64Array) -> tuple[Float64Array, Float64Array]:
        if parameters[0] < SMALLEST_SCALE:
            return np.full(len(points), np.inf), np.zeros((len(points), 7))
        motion = _similarity(parameters)
        transform = motion.after(initial)
        closest = prediction.closest(transform.inverse().apply(points))
        before = initial.apply(closest.position)
        offset = points - motion.apply(before)
        distances = np.linalg.norm(offset, axis=1)
        # The closest point slides along the surface without changing the distance: it is fixed
        # here, and only the motion of the surface counts.
        away = offset / np.maximum(distances, np.finfo(float).tiny)[:, None]
        turned = motion.turn(before)
        jacobian = np.empty((len(points), 7))
        jacobian[:, 0] = -(away * turned).sum(1)
        # Of a rotation vector that is not zero: its left Jacobian comes between.
        torque = np.cross(turned, away)
        jacobian[:, 1:4] = -motion.scale * torque @ _left_jacobian(parameters[1:4])
        jacobian[:, 4:] = -away
        return distances, jacobian

    return evaluate


def _similarity(parameters: Float64Array) -> Similarity:
    """The similarity of (7,): scale, rotation vector, translation."""
    rotation = Rotation.from_rotvec(parameters[1:4]).as_matrix()
    return Similarity(float(parameters[0]), rotation, parameters[4:])


def _left_jacobian(vector: Float64Array) -> Float64Array:
    """Derivative (3, 3) of the rotation by its vector: Barfoot 2017, equation 7.77."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(
        np.eye(3)
        + (1 - np.cos(angle)) / angle * cross
        + (1 - np.sin(angle) / angle) * cross @ cross
    )
