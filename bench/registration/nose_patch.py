"""The middle of a face, bent onto a scan: where its nose tip goes when the nose is another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..surface.similarity import Similarity
from ..surface.surface import Surface
from ..surface.triangles import Float64Array

RADIUS_MM = 55.0
"""Around the nose tip, from the brows to the lower lip. A nose alone slides along its own bridge,
and the less there is around it, the more its errors are those of the scan's summit, with which
`nose_tip.tip_on_scan` takes the mean."""
N_POINTS = 500
"""Of the face that are laid on the scan."""
REACHES_MM = (*np.geomspace(20.0, 8.0, 10), *[8.0] * 8)
"""Within which points are matched, step by step."""
STRETCH_MM = 0.01
"""Weight of the patch's squared stretch and shear, in mm at its own radius, beside the mean squared
distance to the scan; chosen by the share of tips found on synthetic scans."""
MAX_STEP_MM = 8.0
MIN_MATCHES = 30
_DAMPING = 1e-5
_SYMMETRIC = (np.eye(9) + np.eye(9).reshape(3, 3, 3, 3).swapaxes(0, 1).reshape(9, 9)) / 2
"""Takes the symmetric part of a 3 × 3 matrix."""


@dataclass(frozen=True)
class BentPatch:
    """Where the middle of a face came to lie.

    Attributes:
        tip: (3,) of the face's nose tip, in the scan's space, mm.
        rotation: (3, 3) from the face's axes to the scan's, of the patch.
        n_matched: points of the patch that lie on the scan.
    """

    tip: Float64Array
    rotation: Float64Array
    n_matched: int


@dataclass(frozen=True)
class _Around:
    """The scan's vertices around a place, without those on a rim."""

    points: Float64Array
    normals: Float64Array
    tree: cKDTree

    @classmethod
    def of(cls, scan: Surface, place: Float64Array, radius: float) -> _Around | None:
        near = np.linalg.norm(scan.vertices - place, axis=1) <= radius
        index = np.flatnonzero(near & ~scan.on_boundary)
        if len(index) < MIN_MATCHES:
            return None
        points = scan.vertices[index]
        return cls(points, scan.normals[index], cKDTree(points))


def bend_onto(
    scan: Surface,
    face: Surface,
    tip: Float64Array,
    transform: Similarity,
    place: Float64Array,
) -> BentPatch:
    """Lay the middle of a face on a scan by an affine map that stretches it as little as needed.

    The dense similarity of a whole face leaves the nose where the other person's would be. Here
    only what surrounds the nose counts, and it may become longer, wider or more prominent.
    Gauss-Newton steps on point-to-plane distances, as elsewhere.

    Args:
        scan: in mm.
        face: in its own space.
        tip: (3,) the face's nose tip there.
        transform: from the face's space to the scan's, within a few cm and degrees.
        place: (3,) where on the scan the tip is looked for first.
    """
    offsets, normals = _patch(face, tip, transform.scale)
    radius = float(np.sqrt((offsets**2).sum(1).mean()))
    basis = np.column_stack([np.ones(len(offsets)), offsets / radius])
    motion, matched = np.zeros((4, 3)), 0
    around = _Around.of(scan, place, 2 * RADIUS_MM)
    for reach in REACHES_MM if around is not None else ():
        assert around is not None
        axes = transform.rotation @ _rotation(motion, radius)
        points = (offsets + basis @ motion) @ transform.rotation.T + place
        distance, found = around.tree.query(points, distance_upper_bound=reach)
        found = np.minimum(found, len(around.points) - 1)
        facing = np.clip((normals @ axes.T * around.normals[found]).sum(1), 0.0, 1.0)
        weights = np.clip(1 - (distance / reach) ** 2, 0.0, 1.0) ** 2 * facing
        matched = int((weights > 0).sum())
        if matched < MIN_MATCHES:
            break
        gaps = ((points - around.points[found]) * around.normals[found]).sum(1)
        along = around.normals[found] @ transform.rotation
        motion = motion + _step(basis, along, gaps, weights / weights.sum(), motion)
    turn = transform.rotation @ _rotation(motion, radius)
    return BentPatch(place + transform.rotation @ motion[0], turn, matched)


def _patch(face: Surface, tip: Float64Array, scale: float) -> tuple[Float64Array, Float64Array]:
    """Offsets (N, 3) from the tip at the scan's size, mm, and unit normals (N, 3)."""
    offsets = (face.vertices - tip) * scale
    index = np.flatnonzero(np.linalg.norm(offsets, axis=1) <= RADIUS_MM)
    index = index[:: max(1, len(index) // N_POINTS)]
    return offsets[index], face.normals[index]


def _step(
    basis: Float64Array,
    along: Float64Array,
    gaps: Float64Array,
    weights: Float64Array,
    motion: Float64Array,
) -> Float64Array:
    """The change (4, 3) of shift and affine part that makes the gaps least."""
    rows = (basis[:, :, None] * along[:, None, :]).reshape(len(basis), 12)
    weighted = rows * weights[:, None]
    stretch = np.zeros((12, 12))
    stretch[3:, 3:] = STRETCH_MM * _SYMMETRIC
    slope = weighted.T @ rows + stretch + _DAMPING * np.eye(12)
    force = weighted.T @ gaps + stretch @ motion.ravel()
    step = -np.linalg.solve(slope, force).reshape(4, 3)
    longest = np.linalg.norm(basis @ step, axis=1).max()
    return np.asarray(step * min(1.0, MAX_STEP_MM / max(longest, 1e-12)))


def _rotation(motion: Float64Array, radius: float) -> Float64Array:
    """The rotation (3, 3) nearest to the affine part of a motion (4, 3)."""
    left, _, right = np.linalg.svd(np.eye(3) + motion[1:].T / radius)
    turn = left @ right
    return np.asarray(turn * np.sign(np.linalg.det(turn)))
