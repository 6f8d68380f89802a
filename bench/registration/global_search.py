"""Global registration: a face to a scan that lies anywhere, without labels."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ..surface.similarity import Similarity, step_jacobian
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, IndexArray, unit

# Between the points that stand for a surface: coarser than noise, finer than a nose.
SPACING_MM = 7.0
# Shells of the profile around a point; the outermost takes in a face from brow to lip.
RADII_MM = (8.0, 16.0, 24.0, 32.0, 42.0, 52.0)
REACH_MM = 85.0  # Points of the prediction further from its key point are not in every scan.
FAR_MM = 12.0  # Distance at which a point counts as not matched.
# Key points of a prediction, pairs of a key point and a point of the scan, turns about a normal.
N_KEYS, N_PAIRS, N_TURNS = 6, 60, 24
# Hypotheses that are refined by a few steps, and those of them that are refined further.
N_TRIED, N_REFINED = 120, 24
SAME_MM, SAME_DEG = 25.0, 25.0  # Closer hypotheses are refined to the same place.
# How much more than the best one a hypothesis may cost, of 1, to be tried too: sizes that differ
# by a fifth make up about as much.
HYPOTHESIS_COST = 0.06
N_POINTS = 200  # Points of the prediction by which hypotheses are compared.


class _Samples:
    """Evenly spread points of a surface, all in its own frame.

    Attributes:
        points: (N, 3) means of the vertices in the cells of a grid, mm.
        normals: (N, 3) means there, unit.
        profiles: (N, R) mean height over the tangent plane in each shell, mm.
        tree: over the points.
    """

    def __init__(self, surface: Surface) -> None:
        means = _cell_means(surface.local, surface.frame.turn(surface.normals))
        self.points, self.normals = means[:, :3], unit(means[:, 3:])
        self.tree = cKDTree(self.points)
        self.profiles = _profiles(self.points, self.normals, self.tree)


# A search takes a surface up to three times. Weak: a scan of millions of vertices goes when its
# measurement ends.
_SAMPLED: WeakKeyDictionary[Surface, _Samples] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Motions:
    """Rigid motions x → rotation x + translation: (K, 3, 3) and (K, 3)."""

    rotations: Float64Array
    translations: Float64Array

    def apply(self, points: Float64Array) -> Float64Array:
        """Move (N, 3) points by each motion, (K, N, 3)."""
        return self.turn(points) + self.translations[:, None]

    def turn(self, directions: Float64Array) -> Float64Array:
        """Rotate (N, 3) directions by each motion, (K, N, 3)."""
        return np.asarray(np.einsum("kij,nj->kni", self.rotations, directions))

    def take(self, index: IndexArray) -> _Motions:
        """The chosen motions."""
        return _Motions(self.rotations[index], self.translations[index])


def register(
    prediction: Surface, scan: Surface, nose_tip: Float64Array | None = None
) -> Similarity:
    """The best of `pose_hypotheses`: a rigid registration to within a few centimetres."""
    return pose_hypotheses(prediction, scan, nose_tip)[0]


def pose_hypotheses(
    prediction: Surface, scan: Surface, nose_tip: Float64Array | None = None
) -> list[Similarity]:
    """Coarse registrations of the prediction to the scan, the best first.

    Points whose surroundings have the same profile of heights are paired; a pair fixes all but the
    turn about the normal, which is tried all around; the best are refined, and the one by which
    most of the two surfaces fit, facing the same way, is the first. Others follow that do nearly as
    well: a face of another size may fit better upside down than upright. No step uses chance.

    Args:
        prediction: a face in mm, any pose.
        scan: in mm, any pose, with or without neck and shoulders.
        nose_tip: (3,) of the prediction, to within a centimetre. Without one its most prominent
            point is taken for it, which on a whole head may be an ear.

    Raises:
        FacebenchError: when a surface has too few points to tell a pose.
    """
    # Both in their own frames: what follows then does not depend on where either lies.
    face, target = _sample(prediction), _sample(scan)
    tip = None if nose_tip is None else prediction.frame.apply(nose_tip[None])[0]
    keys = _protruding(face, tip)
    centre = face.points[keys[0]]
    # A head's back and a neck are not in every scan, and would vote for wrong poses.
    near = np.flatnonzero(np.linalg.norm(face.points - centre, axis=1) <= REACH_MM)
    subset = near[:: max(1, len(near) // N_POINTS)]
    hypotheses = _pose_hypotheses(face, target, keys)
    costs = _costs(hypotheses, face, target, subset)
    best = _different(hypotheses, costs, face.points[subset].mean(0))
    # Four wide steps for many, then ten that close in for the best: basin, then place.
    motions = _refine(hypotheses.take(best), face, target, subset, np.full(4, 3 * FAR_MM))
    better = np.argsort(_costs(motions, face, target, subset), kind="stable")[:N_REFINED]
    reaches = np.geomspace(3 * FAR_MM, FAR_MM, 10)
    refined = _refine(motions.take(better), face, target, subset, reaches)
    costs = _costs(refined, face, target, subset)
    # Again: several hypotheses may have come to one place.
    order = _different(refined, costs, face.points[subset].mean(0))
    near = order[costs[order] <= costs[order[0]] + HYPOTHESIS_COST]
    to_scan = scan.frame.inverse()
    return [
        to_scan.after(Similarity(1.0, rotation, translation)).after(prediction.frame)
        for rotation, translation in zip(
            refined.rotations[near], refined.translations[near], strict=True
        )
    ]


def _sample(surface: Surface) -> _Samples:
    if surface not in _SAMPLED:
        _SAMPLED[surface] = _Samples(surface)
    return _SAMPLED[surface]


def _cell_means(vertices: Float64Array, normals: Float64Array) -> Float64Array:
    cells = np.floor((vertices - vertices.min(0)) / SPACING_MM).astype(np.int64)
    shape = cells.max(0) + 1
    code = np.ravel_multi_index(tuple(cells.T), tuple(shape))
    _, cell, counts = np.unique(code, return_inverse=True, return_counts=True)
    both = np.concatenate([vertices, normals], axis=1)
    sums = np.stack([np.bincount(cell, column) for column in both.T], axis=1)
    return np.asarray(sums / counts[:, None])


def _profiles(points: Float64Array, normals: Float64Array, tree: cKDTree) -> Float64Array:
    """Mean height (N, R) of the points in each shell over a point's own tangent plane."""
    pairs = tree.query_pairs(RADII_MM[-1], output_type="ndarray")
    # Each pair once from either end.
    first, second = np.concatenate([pairs, pairs[:, ::-1]]).T
    offset = points[second] - points[first]
    shell = np.searchsorted(RADII_MM, np.linalg.norm(offset, axis=1))
    heights = (offset * normals[first]).sum(1)
    group = first * len(RADII_MM) + shell
    size = len(points) * len(RADII_MM)
    counts = np.bincount(group, minlength=size)
    means = np.bincount(group, heights, size) / np.maximum(counts, 1)
    return means.reshape(len(points), len(RADII_MM))


def _protruding(samples: _Samples, tip: Float64Array | None) -> IndexArray:
    """The points that stand out most, the tip of the nose among them, each apart from the others.

    With a tip (3,) it is the first, and the others lie on the face around it.
    """
    # Mean heights over a point's tangent plane are most negative where all around lies behind it.
    order = np.argsort(samples.profiles[:, 1:5].mean(1), kind="stable")
    chosen: list[int] = []
    if tip is not None:
        chosen.append(int(samples.tree.query(tip)[1]))
        # Ears stand out more than anything on a face, and one ear is like the other upside down.
        away = np.linalg.norm(samples.points[order] - samples.points[chosen], axis=1)
        order = order[away <= REACH_MM]
    for index in order:
        apart = np.linalg.norm(samples.points[chosen] - samples.points[index], axis=1)
        if (apart > RADII_MM[1]).all():
            chosen.append(int(index))
        if len(chosen) == N_KEYS:
            break
    return np.array(chosen)


def _pose_hypotheses(face: _Samples, target: _Samples, keys: IndexArray) -> _Motions:
    """Motions from a key point to a point of a like profile, turned all around its normal."""
    difference = np.abs(face.profiles[keys][:, None] - target.profiles[None]).mean(2)
    # A stable sort: ties, as between the two halves of a face, must not depend on the machine.
    flat = np.argsort(difference, axis=None, kind="stable")[:N_PAIRS]
    key, point = np.unravel_index(flat, difference.shape)
    ours, theirs = _frames(face.normals[keys[key]]), _frames(target.normals[point])
    angles = np.arange(N_TURNS) * 2 * np.pi / N_TURNS
    turns = Rotation.from_rotvec(angles[:, None] * np.array([0.0, 0.0, 1.0])).as_matrix()
    rotations = np.einsum("pij,tjk,plk->ptil", theirs, turns, ours).reshape(-1, 3, 3)
    source = np.repeat(face.points[keys[key]], N_TURNS, axis=0)
    goal = np.repeat(target.points[point], N_TURNS, axis=0)
    return _Motions(rotations, goal - np.einsum("kij,kj->ki", rotations, source))


def _different(motions: _Motions, costs: Float64Array, centre: Float64Array) -> IndexArray:
    """The cheapest motions, each unlike the others: else all would be one wrong idea, many times.

    Args:
        motions: K of them.
        costs: (K,).
        centre: (3,) of the moved points.
    """
    places = motions.apply(centre[None])[:, 0]
    left = costs.copy()
    chosen: list[int] = []
    while len(chosen) < N_TRIED and np.isfinite(left).any():
        best = int(np.argmin(left))
        chosen.append(best)
        trace = np.einsum("kij,ij->k", motions.rotations, motions.rotations[best])
        close = np.linalg.norm(places - places[best], axis=1) < SAME_MM
        left[close & (trace > 1 + 2 * np.cos(np.radians(SAME_DEG)))] = np.inf
    return np.array(chosen)


def _frames(normals: Float64Array) -> Float64Array:
    """Rotations (N, 3, 3) whose third column is the unit normal (N, 3)."""
    # The axis that is least along the normal, so that the cross product is never near zero.
    axis = np.eye(3)[np.abs(normals).argmin(1)]
    x = unit(np.cross(axis, normals))
    return np.stack([x, np.cross(normals, x), normals], axis=2)


def _costs(motions: _Motions, face: _Samples, target: _Samples, subset: IndexArray) -> Float64Array:
    """How badly each motion fits a subset of the face's points to the target, (K,) in [0, 1].

    A point costs its squared distance, no more than 1 for `FAR_MM`, and half of the rest when the
    normals disagree.
    """
    points, normals = motions.apply(face.points[subset]), motions.turn(face.normals[subset])
    distance, index = target.tree.query(points, distance_upper_bound=FAR_MM)
    found = np.minimum(index, len(target.points) - 1)
    # Bounded: parts that the scan lacks cost the same wherever the rest comes to lie.
    far = np.minimum(distance / FAR_MM, 1.0) ** 2
    facing = (normals * target.normals[found]).sum(2)
    return np.asarray((far + (1 - far) * (1 - facing) / 2).mean(1))


def _refine(
    motions: _Motions,
    face: _Samples,
    target: _Samples,
    subset: IndexArray,
    reaches: Float64Array,
) -> _Motions:
    """Gauss-Newton steps on the distances within each reach in turn, for all motions at once."""
    for reach in reaches:
        points = motions.apply(face.points[subset])
        distance, index = target.tree.query(points, distance_upper_bound=reach)
        found = np.minimum(index, len(target.points) - 1)
        normals = target.normals[found]
        facing = (motions.turn(face.normals[subset]) * normals).sum(2)
        weight = np.where(np.isfinite(distance), np.clip(facing, 0, None), 0.0)
        # About their own middle, turn and shift are nearly independent.
        centres = points.mean(1)
        jacobian = step_jacobian(points - centres[:, None], normals)[..., :6]
        residual = ((points - target.points[found]) * normals).sum(2)
        motions = _step(motions, _solve(jacobian, residual, weight), centres)
    return motions


def _solve(jacobian: Float64Array, residual: Float64Array, weight: Float64Array) -> Float64Array:
    """Damped least-squares steps (K, 6); a hypothesis that matches nothing stays where it is."""
    weighted = jacobian * weight[..., None]
    hessian = np.einsum("kni,knj->kij", weighted, jacobian)
    # Relative, for smooth faces that some turn hardly changes; absolute, for no matches at all.
    damping = 1e-3 * np.einsum("kii->ki", hessian)[:, :, None] * np.eye(6) + 1e-6 * np.eye(6)
    gradient = np.einsum("kni,kn->ki", weighted, residual)
    return np.asarray(-np.linalg.solve(hessian + damping, gradient[..., None])[..., 0])


def _step(motions: _Motions, steps: Float64Array, centres: Float64Array) -> _Motions:
    turn = Rotation.from_rotvec(steps[:, :3]).as_matrix()
    moved = np.einsum("kij,kj->ki", turn, motions.translations - centres)
    return _Motions(turn @ motions.rotations, moved + centres + steps[:, 3:])
