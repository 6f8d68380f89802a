"""The similarity between paired points in closed form."""

from __future__ import annotations

import numpy as np

from .similarity import Similarity
from .triangles import Float64Array


def similarity_between(
    source: Float64Array, target: Float64Array, factor: float | None = None
) -> Similarity:
    """The similarity of least squared distances from points to their partners.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns"
    (1991). A reflection is never the result, however well it would fit.

    Args:
        source: (N, 3), at least three points that lie in no line.
        target: (N, 3), the partner of each.
        factor: the scale when it is known, or None to solve for it.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    ours, theirs = source - source.mean(0), target - target.mean(0)
    left, sizes, right = np.linalg.svd(theirs.T @ ours)
    signs = np.array([1.0, 1.0, np.linalg.det(left @ right)])
    rotation = (left * signs) @ right
    scale = float((sizes * signs).sum() / (ours**2).sum()) if factor is None else factor
    return Similarity(scale, rotation, target.mean(0) - scale * (rotation @ source.mean(0)))


def root_mean_square(source: Float64Array, target: Float64Array) -> float:
    """Root of the mean squared distance between paired points (N, 3), in their unit."""
    return float(np.sqrt(((source - target) ** 2).sum(1).mean()))
