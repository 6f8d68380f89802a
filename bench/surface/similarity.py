"""Similarity transforms of space: one scale, a rotation (never a reflection), a translation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ...errors import FacebenchError
from .triangles import Float64Array, cross, dot


@dataclass(frozen=True)
class Similarity:
    """x → scale · rotation x + translation.

    Attributes:
        scale: positive.
        rotation: (3, 3), determinant +1.
        translation: (3,), mm.
    """

    scale: float
    rotation: Float64Array
    translation: Float64Array

    @classmethod
    def identity(cls) -> Similarity:
        """The transform that moves nothing."""
        return cls(1.0, np.eye(3), np.zeros(3))

    def apply(self, points: Float64Array) -> Float64Array:
        """Move (N, 3) points."""
        return self.scale * (points @ self.rotation.T) + self.translation

    def turn(self, directions: Float64Array) -> Float64Array:
        """Rotate (N, 3) directions."""
        return directions @ self.rotation.T

    def inverse(self) -> Similarity:
        """The transform that undoes this one."""
        rotation = self.rotation.T
        return Similarity(1 / self.scale, rotation, -(rotation @ self.translation) / self.scale)

    def after(self, first: Similarity) -> Similarity:
        """This transform applied after another one."""
        return Similarity(
            self.scale * first.scale,
            self.rotation @ first.rotation,
            self.apply(first.translation[None])[0],
        )

    @classmethod
    def step(cls, parameters: Float64Array, centre: Float64Array) -> Similarity:
        """A small motion about a centre (3,): rotation vector, translation and log of the scale.

        Its derivative at zero is ω × (x − c) + τ + σ (x − c) for parameters (7,) = (ω, τ, σ).
        """
        scale = float(np.exp(parameters[6]))
        rotation = Rotation.from_rotvec(parameters[:3]).as_matrix()
        return cls(scale, rotation, centre + parameters[3:6] - scale * (rotation @ centre))


def step_jacobian(arms: Float64Array, normals: Float64Array) -> Float64Array:
    """Derivative (…, 7) along unit normals (…, 3) of points by `Similarity.step`'s parameters.

    Args:
        arms: (…, 3), points less the centre.
        normals: (…, 3).
    """
    along = dot(arms, normals)[..., None]
    return np.concatenate([cross(arms, normals), normals, along], axis=-1)


def similarity_between(
    source: Float64Array,
    target: Float64Array,
    factor: float | None = None,
    weights: Float64Array | None = None,
) -> Similarity:
    """The similarity of least squared distances from points to their partners.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns"
    (1991). A reflection is never the result, however well it would fit.

    Args:
        source: (N, 3), at least three points that lie in no line.
        target: (N, 3), the partner of each.
        factor: the scale when it is known, or None to solve for it.
        weights: (N,) of the pairs, None for all alike.

    Raises:
        FacebenchError: the points lie so far apart that their products are infinite.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    shares = (
        np.full(len(source), 1.0) if weights is None else weights * (len(source) / sum(weights))
    )
    own_centre, their_centre = ((points * shares[:, None]).mean(0) for points in (source, target))
    ours, theirs = source - own_centre, target - their_centre
    products = (theirs * shares[:, None]).T @ ours
    # LAPACK's decomposition does not always end on infinite numbers.
    if not np.isfinite(products).all():
        raise FacebenchError(
            "points lie too far apart to be registered to each other",
            "look for a wrong number in the landmarks or the mesh",
        )
    left, sizes, right = np.linalg.svd(products)
    # The sign of the smallest singular value is what keeps a reflection out.
    signs = np.array([1.0, 1.0, np.linalg.det(left @ right)])
    rotation = (left * signs) @ right
    scale = (
        float((sizes * signs).sum() / (shares[:, None] * ours**2).sum())
        if factor is None
        else factor
    )
    return Similarity(scale, rotation, their_centre - scale * (rotation @ own_centre))


def root_mean_square(source: Float64Array, target: Float64Array) -> float:
    """Root of the mean squared distance between paired points (N, 3), in their unit."""
    return float(np.sqrt(((source - target) ** 2).sum(1).mean()))
