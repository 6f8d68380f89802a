"""A frame that moves with a surface, however it is cut into triangles."""

from __future__ import annotations

import numpy as np

from .similarity import Similarity
from .triangles import Float64Array


def principal_frame(corners: Float64Array, areas: Float64Array) -> Similarity:
    """The rigid motion of a surface's centre to the origin and of its principal axes to x, y, z.

    By the moments of the surface, so that the frame does not depend on how it is cut into
    triangles. Of each axis the sign gives the longer tail to the positive side; the axis of the
    least skewness takes the sign that makes a rotation.

    Args:
        corners: (3, 3, F) of the triangles, see `corners_of`; without any, the frame is the one
            they are in.
        areas: (F,).
    """
    if not len(areas):
        return Similarity.identity()
    shares = areas / areas.sum()
    middles = corners.sum(0) / 3
    centre = middles @ shares
    middles -= centre[:, None]
    offsets = corners - centre[:, None]
    # of a triangle: a quarter of the moment of its corners, three quarters of that of its middle
    moments = 3 * (middles * shares) @ middles.T
    moments += sum((offset * shares) @ offset.T for offset in offsets) / 3
    axes = np.linalg.eigh(moments)[1].T
    along = axes @ offsets
    skewness = (along * along * along).sum(0) @ shares
    axes = axes * np.where(skewness < 0, -1.0, 1.0)[:, None]
    axes[np.abs(skewness).argmin()] *= np.sign(np.linalg.det(axes))
    return Similarity(1.0, axes, -axes @ centre)
