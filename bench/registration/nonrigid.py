"""Which point of a scan corresponds to a point of a prediction, by non-rigid registration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..surface.overlap import Correspondences
from ..surface.region import OverlapRegion, Sphere
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, vertex_normals
from .nonrigid_system import NonRigidSettings as NonRigidSettings
from .nonrigid_system import System


@dataclass(frozen=True, eq=False)
class NonRigidRegistration:
    """A prediction deformed onto a scan.

    Attributes:
        vertices: (V, 3) of the prediction's surface, deformed, in the scan's space, mm.
        deformed: (V,) bool, vertices that took part; the others are where they were.
        spread_mm: prior standard deviation of a displacement's component.
        noise_mm: standard deviation that the distances to the planes were taken to have at last.
        residual_mm: root of the weighted mean squared distance to the scan's tangent planes.
        steps: linear systems solved, each with one factorisation.
        last_step_mm: weighted root mean square of the points' motions in the last step.
        converged: whether that was within the tolerance.
        settings: of the registration.
    """

    vertices: Float64Array
    deformed: NDArray[np.bool_]
    spread_mm: float
    noise_mm: float
    residual_mm: float
    steps: int
    last_step_mm: float
    converged: bool
    settings: NonRigidSettings


def correspond(
    prediction: Surface,
    scan: Surface,
    crop: Sphere,
    intersection: OverlapRegion,
    landmarks: tuple[Float64Array, Float64Array] | None = None,
    settings: NonRigidSettings | None = None,
) -> Correspondences:
    """All vertices of the prediction and the points of the scan that correspond to them.

    The point of the scan closest to where the registration took a vertex is its counterpart; the
    distance is from where the vertex was before. A vertex has no weight when its counterpart lies
    on the scan's boundary, outside of the crop, faces another way, or is too far from where the
    registration took it.

    Args, raises: see `register_nonrigidly`.
    """
    found = register_nonrigidly(prediction, scan, crop, intersection, landmarks, settings)
    closest = scan.closest(found.vertices)
    reach = min(intersection.max_distance_mm, found.settings.max_residual_mm)
    normals = vertex_normals(found.vertices, prediction.triangles)
    weights = replace(intersection, max_distance_mm=reach).weights(normals, closest)
    # What did not take part lies where it was: its closest point is no corresponding one.
    weights = weights * found.deformed * crop.holds(closest.position)
    offset = prediction.vertices - closest.position
    return Correspondences(
        prediction.vertices,
        closest.position,
        closest.normal,
        np.linalg.norm(offset, axis=1),
        weights,
        prediction.areas,
        normals,
        weights > 0,
    )


def register_nonrigidly(
    prediction: Surface,
    scan: Surface,
    crop: Sphere,
    intersection: OverlapRegion,
    landmarks: tuple[Float64Array, Float64Array] | None = None,
    settings: NonRigidSettings | None = None,
) -> NonRigidRegistration:
    """Deform a prediction onto a scan by the likeliest smooth displacement.

    Points of each surface are constrained to the other's tangent planes, weighted by area, by the
    overlap region and by how well they fit (Geman and McClure); what the planes leave open, the
    motion along the surface, is what a random field of one size and range in all directions most
    likely does. Its size is taken from the distances before the deformation: a good prediction is
    not bent by as much as a poor one. The noise is taken from the distances that remain in each
    step, so that the stiffness falls by itself (Amberg et al. 2007 lower it by a schedule), and
    only as far as the field explains the scan: shape that no smooth motion makes does not drag
    points along the surface.

    Args:
        prediction: aligned, in the scan's space.
        scan: in mm.
        crop: the part of the scan that counts.
        intersection: which points count.
        landmarks: (L, 3) of the prediction and (L, 3) of the scan, both in the scan's space.
        settings: defaults to those of `NonRigidSettings`.

    Raises:
        FacebenchError: when the surfaces do not overlap, or landmarks are not pairs.
    """
    settings = settings or NonRigidSettings()
    # As in ICP each step solves for the planes of before, but from the undeformed surface: no
    # step's error is handed on to the next.
    system = System.of(prediction, scan, crop, intersection, landmarks, settings)
    step, steps = system.step(np.zeros((len(system.field.nodes), 3))), 1
    while step.moved_mm > settings.tolerance_mm and steps < settings.max_steps:
        step, steps = system.step(step.displacement), steps + 1
    return NonRigidRegistration(
        system.deformed(step.displacement),
        system.is_near,
        system.spread_mm,
        step.noise_mm,
        step.residual_mm,
        steps,
        step.moved_mm,
        step.moved_mm <= settings.tolerance_mm,
        settings,
    )
