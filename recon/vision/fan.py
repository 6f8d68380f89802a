"""Landmarks and detection by the face-alignment library, once its weights are at hand.

The library downloads weights that it does not find; here that is refused with what to put where,
so that a run never waits on a network it does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ..network.state_dicts import file_problem
from .crop import Box
from .weights_folder import torch_checkpoints

Pixels = NDArray[np.uint8]

FAN_FILE = "2DFAN4-11f355bf06.pth.tar"
SFD_FILE = "s3fd-619a316812.pth"
SOURCE = "https://www.adrianbulat.com/downloads/python-fan/"


class FanLandmarks:
    """FAN (Bulat & Tzimiropoulos 2017), 68 points on the visible contour.

    Args:
        device: where it computes, as torch names it.

    Raises:
        FacebenchError: the library or its weights are missing.
    """

    def __init__(self, device: str = "cpu") -> None:
        check_weights(FAN_FILE)
        self._aligner = _aligner(device, detector="folder")

    def landmarks(self, frames: Sequence[Pixels], boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) in px of the frames, whose face boxes are given."""
        found = [self._one(frame, box) for frame, box in zip(frames, boxes, strict=True)]
        return np.stack(found) if found else np.zeros((0, 68, 2), np.float32)

    def _one(self, frame: Pixels, box: Box) -> NDArray[np.float32]:
        # FAN was trained on crops around the box of the landmarks themselves: no conversion.
        corners = np.array([box.left, box.top, box.left + box.width, box.top + box.height])
        found = self._aligner.get_landmarks_from_image(frame, detected_faces=[corners])
        return np.asarray(found[0], dtype=np.float32)


class SfdDetector:
    """The library's own face detector (Zhang et al. 2017, "S3FD"), then FAN; a `ManyFacesDetector`.

    Args:
        device: where it computes, as torch names it.

    Raises:
        FacebenchError: the library or its weights are missing.
    """

    def __init__(self, device: str = "cpu") -> None:
        check_weights(SFD_FILE)
        check_weights(FAN_FILE)
        self._aligner = _aligner(device, detector="sfd")

    def detect(self, frame: Pixels) -> Box | None:
        """Box of the landmarks of the largest face, or None without one."""
        return next(iter(self._boxes(self._faces(frame)[:1], frame)), None)

    def detect_all(self, frame: Pixels) -> list[Box]:
        """Boxes of the landmarks of every face, the larger before the smaller."""
        return self._boxes(self._faces(frame), frame)

    def _faces(self, frame: Pixels) -> list[Any]:
        """The detector's own boxes (left, top, right, bottom, score), largest first."""
        faces = self._aligner.face_detector.detect_from_image(frame.copy())
        return sorted(faces, key=lambda face: (face[2] - face[0]) * (face[1] - face[3]))

    def _boxes(self, faces: list[Any], frame: Pixels) -> list[Box]:
        if not faces:
            return []
        found = self._aligner.get_landmarks_from_image(frame, detected_faces=faces)
        return [landmark_box(np.asarray(points, dtype=np.float32)) for points in found]


def landmark_box(landmarks: NDArray[np.float32]) -> Box:
    """The axis-aligned box of landmarks (68, 2)."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    width, height = high - low
    return Box(float(low[0]), float(low[1]), float(width), float(height))


def check_weights(name: str) -> None:
    """Refuse to go on without a weights file that the library would download.

    Raises:
        FacebenchError: the file is missing or plainly not weights.
    """
    path = torch_checkpoints() / name
    hint = f"fetch {SOURCE}{name} and put it in {path.parent}"
    if not path.is_file():
        raise FacebenchError(f"face-alignment's weights {name} are not in {path.parent}", hint)
    problem = file_problem(path)
    if problem:
        raise FacebenchError(f"{path} {problem}", hint)


def _aligner(device: str, detector: str) -> Any:
    try:
        from face_alignment import FaceAlignment, LandmarksType
    except ImportError as error:
        raise FacebenchError(
            "landmarks by FAN need face-alignment", "pip install 'facebench[landmarks]'"
        ) from error
    # Compiling takes minutes, for every new process.
    return FaceAlignment(LandmarksType.TWO_D, device=device, face_detector=detector, compile=False)
