"""The faces that any method sees in photographs, with what it leaves open found beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.fitting.fitter import box_of_crop
from ...recon.render.face_in_photograph import FaceInPhotograph, complete_pose_and_light
from ...recon.vision.landmarks import LandmarkDetector
from .interface import Method, PlacesFaces, TakesLandmarks


def faces_in_photographs(
    method: Method,
    crops: NDArray[np.uint8],
    detector: LandmarkDetector,
    given: NDArray[np.floating] | None = None,
) -> list[FaceInPhotograph]:
    """The face in each crop as the method sees it, with pose and light.

    A method that gives identity alone is shown with the face that its mesh of that one photograph
    has; pose and light are then found from the photograph's landmarks and colours, not by it.

    Args:
        method: reads photographs.
        crops: (B, S, S, 3) uint8 RGB of the method's size.
        detector: of the landmarks that place what has no pose.
        given: (B, 68, 2) px of the crops, landmarks that are known; NaN where they are not.

    Raises:
        FacebenchError: a face without pose has no landmarks either.
    """
    if isinstance(method, TakesLandmarks) and given is not None and np.isfinite(given).any():
        found = method.faces_at_landmarks(crops, given)
    elif isinstance(method, PlacesFaces):
        found = method.faces_in_photographs(crops)
    else:
        meshes = [method.mesh(vector) for vector in method.describe(crops)]
        found = [FaceInPhotograph(one, np.asarray(one.vertices, np.float64)) for one in meshes]
    if all(one.pose is not None and one.light is not None for one in found):
        return found
    if any(one.pose is None and one.mesh.landmarks is None for one in found):
        raise FacebenchError(
            f"method '{method.card.name}' says neither where a face is nor where its landmarks are",
            "name the 68 landmark vertices of its meshes",
        )
    points = detector.landmarks(list(crops), [box_of_crop(crops.shape[1])] * len(crops))
    if given is not None:
        points = np.where(np.isfinite(given), given, points)
    return [complete_pose_and_light(*item) for item in zip(found, crops, points, strict=True)]
