"""Newton steps over a similarity's parameters for squared distances between surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..surface.intersection import Intersection, Matches
from ..surface.similarity import Similarity, step_jacobian
from ..surface.triangles import Float64Array, cross

NEAR_MM = 1.0
"""Steps up to this length say something about the slope where they lead."""


@dataclass(frozen=True)
class Lever:
    """What makes a turn, a shift and a scale comparable: millimetres at a typical point.

    Attributes:
        centre: (3,) about which the prediction turns and grows, mm.
        radius: typical distance of a point from it, mm.
    """

    centre: Float64Array
    radius: float

    @classmethod
    def of(cls, points: Float64Array) -> Lever:
        """Mean and root-mean-square distance of points (N, 3)."""
        centre = points.mean(0)
        return cls(centre, float(np.sqrt(((points - centre) ** 2).sum(1).mean())))

    def motion(self, step: Float64Array) -> Similarity:
        """The motion for a step (7,) in mm: turn, shift and growth of a point at the radius."""
        in_own_units = step / np.array([self.radius] * 3 + [1.0] * 3 + [self.radius])
        return Similarity.step(in_own_units, self.centre)


def newton_step(
    sides: tuple[Matches, ...], intersection: Intersection, lever: Lever, scale: bool
) -> Float64Array:
    """The step (7,) to where the squared distances are least, as far as they are quadratic.

    Each side has the same share of the weight, whatever its number of points.

    Args:
        sides: closest points of one or both directions, in the scan's space.
        intersection: gave the weights.
        lever: the unit of the step.
        scale: whether the size is free; else the last component is zero.
    """
    parameters = 7 if scale else 6
    forces, slopes = zip(*(_linearised(side, intersection, lever) for side in sides), strict=True)
    force = np.sum(forces, axis=0)[:parameters]
    slope = np.sum(slopes, axis=0)[:parameters, :parameters]
    step = np.zeros(7)
    step[:parameters] = -np.linalg.lstsq(slope, force, rcond=1e-14)[0]
    return step


def _linearised(
    side: Matches, intersection: Intersection, lever: Lever
) -> tuple[Float64Array, Float64Array]:
    """Gradient (7,) of half the weighted mean square of the distances, and how it changes (7, 7).

    A distance changes along the normal of the surface that the point lies on. The line to the
    closest point is that too on average, but leans with the roughness of the other surface, which
    makes slow directions stiff; measured over all seven, the normals halve the number of steps.
    """
    assert side.own_normals is not None
    total = side.weights.sum()
    arms = (side.on_prediction - lever.centre) / lever.radius
    pull = (side.on_prediction - side.on_scan) * (side.weights / total)[:, None]
    force = np.concatenate([cross(arms, pull).sum(0), pull.sum(0), [(arms * pull).sum()]])
    rows = step_jacobian(arms, side.own_normals)
    return force, (rows.T * (intersection.stiffness(side) / total)) @ rows


@dataclass(frozen=True)
class Secant:
    """How the Newton step changes along the way, learnt from the steps taken.

    What the pieces' quadratics leave out, where points change pieces and weights change with the
    pose, makes Newton steps fall short by a fixed share. Broyden's update of their slope takes
    that share out.

    Attributes:
        slope: (7, 7) derivative of the Newton step by the motion; -1 where it is exact.
        last: the Newton step (7,) of before and the step (7,) that was taken, if any.
    """

    slope: Float64Array
    last: tuple[Float64Array, Float64Array] | None = None

    @classmethod
    def unlearnt(cls) -> Secant:
        """Newton steps as they are."""
        return cls(-np.eye(7))

    def after(self, newton: Float64Array) -> Secant:
        """The same with what the Newton step (7,) of here says about the step before it.

        A Newton step that has grown says that the way led astray, and what was learnt is forgotten.
        """
        if self.last is None:
            return self
        before, step = self.last
        if np.linalg.norm(newton) > np.linalg.norm(before):
            return Secant.unlearnt()
        if not 0 < np.linalg.norm(step) < NEAR_MM:
            return self
        missed = newton - before - self.slope @ step
        return Secant(self.slope + np.outer(missed, step) / (step @ step))

    def step(self, newton: Float64Array) -> tuple[Float64Array, Secant]:
        """The step (7,) to where the Newton step should vanish, and the same with it remembered.

        Where what was learnt asks for more than twice the Newton step, that is taken instead.
        """
        step = np.asarray(-np.linalg.lstsq(self.slope, newton, rcond=1e-3)[0], np.float64)
        if np.linalg.norm(step) > 2 * np.linalg.norm(newton):
            step = newton
        return step, Secant(self.slope, (newton, step))
