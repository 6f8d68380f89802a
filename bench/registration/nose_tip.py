"""The nose tip of a scan, by registering a face to the scan."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ...recon.morphable import HUMAN
from ...recon.morphable.load import load_model
from ...recon.morphable.procedural import procedural_model
from ..protocol.record import AlignmentSettings
from ..surface.overlap import subsample
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import Similarity, similarity_between
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, double_areas
from .dense import align_coarsely
from .global_search import register

FACE_MM = 95.0  # Of the nose tip: a face, and little else.
# Between normals that say the same of a pose: a smooth back of a head faces any face within 90.
SAME_WAY_DEG = 50.0
NOSE_TIP = 30  # Index of the nose tip among the 68 iBUG landmarks, counted from 0.
# Two ways of finding a nose tip seldom differ by more: then one of them went astray, or what is
# there is no nose. It does not tell small errors, in which both share.
SPREAD_MM = 5.0
_CAP_MM = 12.0
_CLIMBS = 4
# Around the nose tip, from the brows to the lower lip. A nose alone slides along its own bridge,
# and the less there is around it, the more its errors are those of the scan's summit, with which
# `tip_on_scan` takes the mean.
RADIUS_MM = 55.0
N_POINTS = 500  # Of the face that are registered to the scan.
# Within which points are matched, step by step.
REACHES_MM = (*np.geomspace(20.0, 8.0, 10), *[8.0] * 8)
# Weight of the patch's squared stretch and shear, in mm at its own radius, beside the mean
# squared distance to the scan; chosen by the share of tips found on synthetic scans.
STRETCH_MM = 0.01
MAX_STEP_MM = 8.0
MIN_MATCHES = 30
_DAMPING = 1e-5
# Takes the symmetric part of a 3 × 3 matrix.
_SYMMETRIC = (np.eye(9) + np.eye(9).reshape(3, 3, 3, 3).swapaxes(0, 1).reshape(9, 9)) / 2


@dataclass(frozen=True)
class NoseTip:
    """Where the crop is centred.

    Attributes:
        position: (3,) in the scan's space, mm.
        source: `label`, `seven_landmarks` or `found`.
        disagreement_mm: between the label and the point found on the scan, None without a label.
        spread_mm: between the two ways by which it was found, or from the middle of the two to the
            scan where that is more: a nose that the scan lacks. None for a label.
    """

    position: Float64Array
    source: str
    disagreement_mm: float | None = None
    spread_mm: float | None = None


def find_nose_tip(scan: Surface, start: Similarity) -> NoseTip:
    """The nose tip of a scan, by the embedded model's mean that is aligned to it.

    Args:
        scan: in mm.
        start: from the mean's space to the scan's, within a few cm.

    Raises:
        FacebenchError: when the mean does not fit the scan there.
    """
    mean, tip = mean_face()
    # Over a whole bare head the mean would grow, and its face leave the other's.
    around = Sphere(start.apply(tip[None])[0], FACE_MM)
    transform = align_coarsely(mean, scan, start, OverlapRegion(), AlignmentSettings(), around)
    return tip_on_scan(scan, mean, tip, transform)


def register_mean_face(face: Surface) -> Similarity:
    """Where the embedded model's mean lies on a face, a head or a scan in mm, to a centimetre.

    Of all that stands out on a head, only the nose has the rest of a face around it.

    Raises:
        FacebenchError: when the surface has too few points to tell a pose.
    """
    # The human mean has the ears, brows and chin of a head: the plainer embedded one lies as well
    # on the crown of every third bare one.
    human, tip, from_embedded = _human_mean()
    pose = register(human, face, tip)
    around = Sphere(pose.apply(tip[None])[0], FACE_MM)
    region = OverlapRegion(max_angle_deg=SAME_WAY_DEG)
    with suppress(FacebenchError):  # It slid off: the pose is as good as it was.
        pose = align_coarsely(human, face, pose, region, AlignmentSettings(), around)
    return pose.after(from_embedded)


@cache
def _human_mean() -> tuple[Surface, Float64Array, Similarity]:
    """The human model's mean, its nose tip (3,), and the way to it from the embedded mean's."""
    human, embedded = load_model(HUMAN).mesh(), procedural_model().mesh()
    points = [one.vertices[one.landmarks].astype(np.float64) for one in (embedded, human)]
    return Surface(human), points[1][NOSE_TIP], similarity_between(points[0], points[1], 1.0)


@cache
def mean_face() -> tuple[Surface, Float64Array]:
    """The embedded model's mean and its nose tip (3,)."""
    mesh = procedural_model().mesh()
    tip = own_nose_tip(mesh)
    assert tip is not None
    return Surface(mesh), tip


def own_nose_tip(face: Mesh) -> Float64Array | None:
    """The nose tip (3,) by a face's own landmarks, None without landmarks."""
    if face.landmarks is None:
        return None
    return np.asarray(face.vertices[face.landmarks[NOSE_TIP]], np.float64)


def crop_centre(found: NoseTip, label: Float64Array | None) -> NoseTip:
    """The labelled nose tip (3,), or the found one; with both, how far apart they are."""
    if label is None:
        return found
    apart = float(np.linalg.norm(found.position - label))
    return NoseTip(np.asarray(label, np.float64), "label", apart)


def tip_on_scan(scan: Surface, face: Surface, tip: Float64Array, transform: Similarity) -> NoseTip:
    """The nose tip of a scan by an aligned face's own tip (3,), found in two ways.

    One is where the face's tip goes when its middle is bent onto the scan. The other is the summit
    of the scan around there: a paraboloid through the scan's points, over the plane that touches
    the bent face at its tip, says where the scan looks the way the tip does. The first is misled
    by a nose of another shape, the second by a round tip, seldom both by the same: the middle of
    the two is nearer to the truth than either, and how far they are apart tells a doubtful one.
    Far apart, the bent face has slid along the bridge, while the summit is there to be seen. How
    far the bent tip lies before or behind the scan says only how prominent the noses are.
    """
    # Heights are taken along the face's own normal at the tip: a scan's is the noise of a summit.
    axes = _tip_axes(face, tip, transform.scale)
    first = _climb(scan, transform.apply(tip[None])[0], transform.rotation @ axes)
    bent, rotation = register_patch(scan, face, tip, transform, first)
    turned = rotation @ axes
    summit = _climb(scan, bent, turned)
    across = turned[:, :2] @ (turned[:, :2].T @ (bent - summit))
    apart = float(np.linalg.norm(across))
    # The less of the bent one the further apart: with a jump from the middle to the summit two
    # predictions that hardly differ would be cropped 2.5 mm apart.
    share = 0.5 * np.clip(2 - apart / SPREAD_MM, 0.0, 1.0)
    on_scan = scan.closest((summit + share * across)[None])
    apart = max(apart, float(on_scan.distance[0]))
    return NoseTip(on_scan.position[0], "found", spread_mm=apart)


def _tip_axes(face: Surface, tip: Float64Array, scale: float) -> Float64Array:
    """A rotation (3, 3) whose third column is the face's mean normal around its nose tip."""
    vertices, triangles = face.vertices, face.triangles
    near = np.linalg.norm(vertices - tip, axis=1) * scale <= _CAP_MM
    outward = double_areas(vertices, triangles[near[triangles].all(1)]).sum(0)
    across = np.linalg.svd(outward[None])[2][1:]
    axes = np.column_stack([across.T, outward / np.linalg.norm(outward)])
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    return axes


def _climb(scan: Surface, place: Float64Array, axes: Float64Array) -> Float64Array:
    for _ in range(_CLIMBS):
        place = _higher(scan, place, axes)
    return place


def _higher(scan: Surface, place: Float64Array, axes: Float64Array) -> Float64Array:
    """The summit (3,) of the scan around a place; on a slope the highest point of it in reach."""
    offset = (scan.vertices - place) @ axes
    near = np.linalg.norm(offset, axis=1) <= _CAP_MM
    if near.sum() < 20:
        return place
    x, y, height = offset[near].T
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    summit = _summit(np.linalg.lstsq(terms, height, rcond=None)[0])
    return place + axes @ (offset[near][height.argmax()] if summit is None else summit)


def _summit(coefficients: Float64Array) -> Float64Array | None:
    """Where (3,) the paraboloid is highest, None when it has no summit near the guess."""
    height, x, y, xx, xy, yy = coefficients
    hessian = np.array([[2 * xx, xy], [xy, 2 * yy]])
    if np.linalg.eigvalsh(hessian).max() >= 0:
        return None
    place = -np.linalg.solve(hessian, [x, y])
    if np.linalg.norm(place) > _CAP_MM:
        return None
    return np.array([*place, height + (x * place[0] + y * place[1]) / 2])


def register_patch(
    scan: Surface,
    face: Surface,
    tip: Float64Array,
    transform: Similarity,
    place: Float64Array,
) -> tuple[Float64Array, Float64Array]:
    """Register the middle of a face to a scan by an affine map of as little stretch as needed.

    The dense similarity of a whole face leaves the nose where the other person's would be. Here
    only what surrounds the nose counts, and it may become longer, wider or more prominent.
    Gauss-Newton steps on point-to-plane distances, as elsewhere. Returned are where (3,) the nose
    tip came to lie in the scan's space, mm, and the patch's rotation (3, 3) to the scan's axes.

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
    # One row of shift, three of the affine part; both in the face's axes, in mm at the radius.
    motion = np.zeros((4, 3))
    around = np.linalg.norm(scan.vertices - place, axis=1) <= 2 * RADIUS_MM
    around &= ~scan.on_boundary
    targets, planes = scan.vertices[around], scan.normals[around]
    tree = cKDTree(targets)
    for reach in REACHES_MM if len(targets) >= MIN_MATCHES else ():
        axes = transform.rotation @ _rotation(motion, radius)
        points = (offsets + basis @ motion) @ transform.rotation.T + place
        distance, found = tree.query(points, distance_upper_bound=reach)
        found = np.minimum(found, len(targets) - 1)
        facing = np.clip((normals @ axes.T * planes[found]).sum(1), 0.0, 1.0)
        weights = np.clip(1 - (distance / reach) ** 2, 0.0, 1.0) ** 2 * facing
        if (weights > 0).sum() < MIN_MATCHES:
            break
        gaps = ((points - targets[found]) * planes[found]).sum(1)
        along = planes[found] @ transform.rotation
        motion = motion + _step(basis, along, gaps, weights / weights.sum(), motion)
    turn = transform.rotation @ _rotation(motion, radius)
    return place + transform.rotation @ motion[0], turn


def _patch(face: Surface, tip: Float64Array, scale: float) -> tuple[Float64Array, Float64Array]:
    """Offsets (N, 3) from the tip at the scan's size, mm, and unit normals (N, 3)."""
    offsets = (face.vertices - tip) * scale
    index = np.flatnonzero(np.linalg.norm(offsets, axis=1) <= RADIUS_MM)
    # By area: a nose of many triangles would weigh the patch down to a nose.
    index = subsample(face.areas, index, N_POINTS)[0]
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
    hessian = weighted.T @ rows + stretch + _DAMPING * np.eye(12)
    gradient = weighted.T @ gaps + stretch @ motion.ravel()
    step = -np.linalg.solve(hessian, gradient).reshape(4, 3)
    longest = np.linalg.norm(basis @ step, axis=1).max()
    return np.asarray(step * min(1.0, MAX_STEP_MM / max(longest, 1e-12)))


def _rotation(motion: Float64Array, radius: float) -> Float64Array:
    """The rotation (3, 3) nearest to the affine part of a motion (4, 3)."""
    left, _, right = np.linalg.svd(np.eye(3) + motion[1:].T / radius)
    turn = left @ right
    # The polar factor; its sign keeps it a rotation.
    return np.asarray(turn * np.sign(np.linalg.det(turn)))
