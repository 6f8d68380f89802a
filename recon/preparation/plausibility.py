"""Could 68 points be the landmarks of a face, seen from anywhere in front of it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..vision.crop import Box
from .reasons import Reason, RejectedError

Points = NDArray[np.floating]

LEAST_OVERLAP = 0.2
"""Of the landmarks' box with the detector's, intersection over union: less is another face."""


@dataclass(frozen=True)
class AffineFit:
    """How a camera without perspective explains landmarks by those of a mean face.

    Attributes:
        misfit: root mean square distance over the longer side of the landmarks' box.
        frontness: z of the face's forward direction, 1 towards the viewer, -1 away: negative
            where left and right are exchanged.
        uprightness: y of the face's upward direction, 1 upright, -1 on its head.
    """

    misfit: float
    frontness: float
    uprightness: float


def fit_affine_camera(points: Points, reference: Points) -> AffineFit:
    """Least squares over the eight numbers of an affine camera (Hartley & Zisserman, ch. 6.3).

    Pose of any size is explained; expression and identity remain in the misfit.

    Args:
        points: (68, 2) px, x right and y down.
        reference: (68, 3) mm of a mean face that looks along +z, y up, x to its left.
    """
    target = (points - points.mean(axis=0)) * [1.0, -1.0]
    centred = reference - reference.mean(axis=0)
    camera, *_ = np.linalg.lstsq(centred, target, rcond=None)
    residual = centred @ camera - target
    size = max(float(np.ptp(points, axis=0).max()), 1e-9)
    right, up = (axis / max(float(np.linalg.norm(axis)), 1e-12) for axis in camera.T)
    return AffineFit(
        misfit=float(np.sqrt((residual**2).sum(axis=1).mean())) / size,
        frontness=float(np.cross(right, up)[2]),
        uprightness=float(up[1]),
    )


def check_landmarks(points: Points, reference: Points, misfit: float) -> None:
    """Refuse points that no face in front of a camera can have.

    Raises:
        RejectedError: not finite, in one place, mirrored, upside down, or far from every view of
            a face.
    """
    if not np.isfinite(points).all():
        raise RejectedError(Reason.IMPLAUSIBLE, "not finite")
    if np.ptp(points, axis=0).max() < 1.0:
        raise RejectedError(Reason.IMPLAUSIBLE, "all in one place")
    fit = fit_affine_camera(points, reference)
    if fit.misfit > misfit:
        raise RejectedError(Reason.IMPLAUSIBLE, f"{fit.misfit:.0%} of their extent off any view")
    if fit.frontness < 0.0:
        raise RejectedError(Reason.IMPLAUSIBLE, "left and right are exchanged")
    if fit.uprightness < 0.0:
        raise RejectedError(Reason.IMPLAUSIBLE, "upside down")


def check_overlap(found: Box, detected: Box) -> None:
    """Refuse landmarks that lie elsewhere than the face that was detected.

    Raises:
        RejectedError: with the overlap.
    """
    overlap = box_overlap(found, detected)
    if overlap < LEAST_OVERLAP:
        raise RejectedError(Reason.IMPLAUSIBLE, f"{overlap:.0%} overlap with the detected face")


def box_overlap(a: Box, b: Box) -> float:
    """Area of the intersection of two boxes over that of their union."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    both = max(width, 0.0) * max(height, 0.0)
    return both / max(a.width * a.height + b.width * b.height - both, 1e-12)
