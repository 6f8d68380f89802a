"""Which point of a scan corresponds to a point of a prediction, by non-rigid registration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import linalg
from scipy.spatial import cKDTree
from scipy.special import poch

from ..surface.overlap import Correspondences
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import step_jacobian
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, vertex_normals
from .nonrigid_system import PLANES_ALONE as PLANES_ALONE
from .nonrigid_system import NonRigidRegistration as NonRigidRegistration
from .nonrigid_system import NonRigidSettings as NonRigidSettings
from .nonrigid_system import System


def correspond(
    prediction: Surface,
    scan: Surface,
    crop: Sphere,
    intersection: OverlapRegion,
    landmarks: tuple[Float64Array, Float64Array] | None = None,
    settings: NonRigidSettings | None = None,
    reference: Surface | None = None,
) -> Correspondences:
    """All vertices of the prediction and the points of the scan that correspond to them.

    The point of the scan closest to where the registration took a vertex is its counterpart; the
    distance is from where the vertex was before. A vertex has no weight when its counterpart lies
    on the scan's boundary, outside of the crop, faces another way, or is too far from where the
    registration took it.

    Arguments and errors: see `register_nonrigidly`.
    """
    found = register_nonrigidly(
        prediction, scan, crop, intersection, landmarks, settings, reference
    )
    return counterparts(found, crop, intersection)


def counterparts(
    found: NonRigidRegistration, crop: Sphere, intersection: OverlapRegion
) -> Correspondences:
    """What corresponds once the prediction is deformed, see `correspond`."""
    prediction, scan = found.system.prediction, found.system.scan
    vertices = found.system.deform(found.displacement)
    reach = min(intersection.max_distance_mm, found.system.settings.max_residual_mm)
    # What did not take part lies where it was, and its closest point is no corresponding one; of
    # what lies out of reach of the crop none is in it.
    near = found.system.near
    near = near[Sphere(crop.centre, crop.radius_mm + reach).holds(vertices[near])]
    closest = scan.closest(vertices[near])
    normals = vertex_normals(vertices, prediction.triangles)[near]
    weights = replace(intersection, max_distance_mm=reach).weights(normals, closest)
    weights = weights * crop.holds(closest.position)
    own = prediction.vertices[near]
    return Correspondences(
        own,
        closest.position,
        closest.normal,
        np.linalg.norm(own - closest.position, axis=1),
        weights,
        prediction.areas[near],
        normals,
        weights > 0,
    ).scatter(prediction.areas, near)


def register_nonrigidly(
    prediction: Surface,
    scan: Surface,
    crop: Sphere,
    intersection: OverlapRegion,
    landmarks: tuple[Float64Array, Float64Array] | None = None,
    settings: NonRigidSettings | None = None,
    reference: Surface | None = None,
) -> NonRigidRegistration:
    """Deform a prediction onto a scan by the likeliest smooth displacement.

    Points of each surface are constrained to the other's tangent planes, weighted by area, by the
    overlap region and by how well they fit (Geman and McClure). Of the motion along the surface
    normals tell where it bends (`constraints.turning_forms`); what is left open is what a random
    field of one size and range in all directions most likely does. Its size is taken from the
    distances before the deformation: a good prediction is not bent by as much as a poor one. The
    noise is taken from the distances that remain in each step, so that the stiffness falls by
    itself (Amberg et al. 2007 lower it by a schedule), and only as far as the field explains the
    scan: shape that no smooth motion makes does not drag points along the surface.

    Args:
        prediction: aligned, in the scan's space.
        scan: in mm.
        crop: the part of the scan that counts.
        intersection: which points count.
        landmarks: (L, 3) of the prediction and (L, 3) of the scan, both in the scan's space.
        settings: defaults to those of `NonRigidSettings`.
        reference: by whose axes points are spread; by default the scan, the same for whatever is
            laid on it.

    Raises:
        FacebenchError: when the surfaces do not overlap, or landmarks are not pairs.
    """
    settings = settings or NonRigidSettings()
    # As in ICP each step solves for the planes of before, but from the undeformed surface: no
    # step's error is handed on to the next.
    system = System(prediction, scan, crop, intersection, landmarks, settings, reference)
    found = system.step(np.zeros((len(system.field.nodes), 3)), 0)
    while not found.converged and found.steps < settings.max_steps:
        found = system.step(found.displacement, found.steps)
    return found


def deviation_of_mean(
    found: NonRigidRegistration, matches: Correspondences, *, scaled: bool
) -> float:
    """How far the mean distance of corresponding points may be from the true one, mm.

    The root mean square of (mean over draws of the field − mean of the likeliest field), over the
    posterior, a normal distribution about the solution (Laplace's approximation), of the planes and
    the field alone: how far a person's own folds turn normals is not known. Two terms:

    - the spread of the mean, by its derivative;
    - what the likeliest field lacks on average. It is the smoothest that the planes allow, so that
      a draw is longer: E|d + u| > |d| for what is left open along the surface. Across it nothing
      is: the counterpart lies on the scan wherever the field takes the point.

    A similarity that all points share is no error, and is taken out of the posterior as the
    protocol takes it out of the distances.

    Args:
        found: the registration.
        matches: its counterparts, from where the protocol registered the prediction.
        scaled: whether the protocol may change the prediction's size.
    """
    system = found.system
    # The constrained points stand for the surface: all vertices would cost a hundred times more.
    points = system.constrained.points
    index = np.asarray(cKDTree(system.prediction.vertices).query(points.positions)[1])
    counted = matches.inliers[index]
    index, shares = index[counted], points.areas[counted] / points.areas[counted].sum()
    along = _along_surface(system.constrained.basis[counted].toarray(), matches.normals[index])
    arms = matches.on_prediction[index] - system.crop.centre
    along -= _nearest_similarity(along, arms, shares, scaled)
    # With A = L Lᵀ the covariance is L⁻ᵀ L⁻¹: products of these columns are those of points.
    factor = linalg.cholesky(system.precision(found.displacement), lower=True, overwrite_a=True)
    parts = linalg.solve_triangular(factor, along.T, lower=True).T.reshape(len(index), 3, -1)
    covariance = np.einsum("nax,nbx->nab", parts, parts)
    offset = (matches.on_prediction - matches.on_scan)[index]
    squared = (offset**2).sum(1) + np.trace(covariance, axis1=1, axis2=2)
    towards = offset / np.sqrt(squared.clip(np.finfo(float).tiny))[:, None]
    spread_mm = np.linalg.norm(np.einsum("n,na,nax->x", shares, towards, parts))
    # Of |d + u|² for a normal u.
    variance = 2 * (covariance**2).sum((1, 2))
    variance += 4 * np.einsum("na,nab,nb->n", offset, covariance, offset)
    lacking_mm = shares @ (_mean_length(squared, variance) - np.linalg.norm(offset, axis=1))
    return float(np.hypot(spread_mm, lacking_mm))


def _along_surface(basis: Float64Array, normals: Float64Array) -> Float64Array:
    """From nodes' displacements, all x before all y before all z, to those of points along the
    surface: (3N, 3M), of weights (N, M) and normals (N, 3)."""
    plane = np.eye(3) - normals[:, :, None] * normals[:, None]
    return (plane[..., None] * basis[:, None, None]).reshape(3 * len(basis), -1)


def _nearest_similarity(
    moved: Float64Array, arms: Float64Array, weights: Float64Array, scaled: bool
) -> Float64Array:
    """The part of displacements (3N, S) of points that a similarity, or a rigid motion, explains.

    Args:
        moved: x, y and z of each point after the other.
        arms: (N, 3) of the points, from a centre.
        weights: (N,) of the points.
        scaled: whether the size may change.
    """
    axes = np.broadcast_to(np.eye(3), (len(arms), 3, 3))
    moves = step_jacobian(np.broadcast_to(arms[:, None], axes.shape), axes).reshape(len(moved), 7)
    moves = moves[:, : 7 if scaled else 6]
    weighted = (moves * np.repeat(weights, 3)[:, None]).T
    return np.asarray(moves @ np.linalg.solve(weighted @ moves, weighted @ moved))


def _mean_length(squared: Float64Array, variance: Float64Array) -> Float64Array:
    """E √s (N,) of a squared length s of given mean and variance, taken to have a gamma density.

    Exact for a normal vector about zero in one, two or three equal components, and for a long one.
    Source: Nakagami 1960.
    """
    # Beyond a million the mean is that of no variance to 1e-7.
    shape = np.minimum(squared**2 / variance.clip(np.finfo(float).tiny), 1e6)
    shape = shape.clip(np.finfo(float).tiny)
    return np.asarray(np.sqrt(squared / shape) * poch(shape, 0.5))
