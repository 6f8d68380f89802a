"""Where the 68 landmarks are in a frame whose face box is known: own network, face-api or FAN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import FacebenchError
from ..face.crop import MARGIN, Box, box_of_points, crop_square, crop_window
from ..morphable.landmarks import MIRRORED
from ..network.dense import LandmarkNetwork
from ..network.fetched import SeparableLandmarks
from ..network.tensor_files import build_with_state, file_problem
from ..network.vision_weights import EMBEDDED, chosen_weights, load_network
from ..recipes.vision import LandmarkerRecipe
from ..weights.cache import load_if_packaged
from ..weights.catalogue import torch_checkpoints

Pixels = NDArray[np.uint8]

FAN = "fan"

_BATCH = 32

MOUTH = slice(48, 68)
"""Lips of iBUG's points."""

MOUTH_SHARPNESS = 2.0
"""Power of the lips' heat for a fit. The mean of a broad heat map is drawn towards the usual mouth:
on 100 people of the human model who were not trained on, mouths open 0.67 times as far as in truth
(r 0.84), with this power 0.81 times (0.83); lips err by 3.3 instead of 2.9 % of the eye distance,
which is why labels are made without."""

SHARED = [*range(27), 37, 38, 40, 41, 43, 44, 46, 47]
"""Outline, brows and lids: where along them a point lies two networks take differently, and their
mean is nearer than either; of lids the package's own sees whether they are shut. Nose, lips and
corners of the eyes are nearer by the network that was taught on photographs alone."""

MOST_APART = 0.15
"""Over the outer eye distance: networks that differ by more do not see one face. On photographs
they differ by up to 0.12, and by 0.18 on half a blurred face at the border."""

CROP_PER_BOX, CROP_BELOW_CENTRE = 1.2, 0.05
"""Side of the crop that `SeparableLandmarks` reads over the longer side of the landmark box, and
how far its centre is below that of the box. Of 1.0 to 1.4 and 0 to 0.1 on photographs; from 1.1
to 1.3 the error changes by a fiftieth."""

FAN_FILE = "2DFAN4-11f355bf06.pth.tar"
SFD_FILE = "s3fd-619a316812.pth"
SOURCE = "https://www.adrianbulat.com/downloads/python-fan/"


class LandmarkDetector(Protocol):
    """Finds 68 landmarks in iBUG order."""

    def landmarks(self, frames: Sequence[Pixels], boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) of one face each in N frames (H, W, 3) RGB.

        Args:
            frames: of any sizes.
            boxes: the landmark box of the face in each, roughly.

        Returns:
            Pixels of the frame, x right and y down, integers at pixel centres.
        """
        ...


def both_ways(network: Callable[[Tensor], Tensor], crops: Tensor) -> Tensor:
    """Landmarks (B, 68, 2) px of crops (B, 3, S, S): the mean of a crop's and its mirror image's.

    It halves what a network does unlike on left and right.
    """
    mirrored = network(crops.flip(3))[:, list(MIRRORED)]
    # Pixel centres at integers: the last column is at S - 1.
    back = torch.stack([crops.shape[3] - 1 - mirrored[..., 0], mirrored[..., 1]], 2)
    return (network(crops) + back) / 2


@torch.no_grad()
def in_batches(
    network: Callable[[Tensor], Tensor], crops: Pixels, device: torch.device | str
) -> NDArray[np.float32]:
    """`both_ways` of crops (N, S, S, 3) RGB, a few at a time."""
    parts = torch.split(torch.from_numpy(crops).permute(0, 3, 1, 2), _BATCH)
    found = [both_ways(network, part.to(device).float() / 255.0) for part in parts]
    return torch.cat(found).cpu().numpy()


def landmarks_by_crops(
    find: Callable[[Pixels], NDArray[np.float32]],
    size: int,
    frames: Sequence[Pixels],
    boxes: Sequence[Box],
) -> NDArray[np.float32]:
    """Landmarks (N, 68, 2) in px of frames, found in crops of `size` px around boxes."""
    if not len(frames):
        return np.zeros((0, 68, 2), np.float32)
    crops = [crop_square(frame, box, size) for frame, box in zip(frames, boxes, strict=True)]
    pairs = zip(map(crop_window, boxes), find(np.stack(crops)), strict=True)
    return np.stack([window.to_frame(points, size) for window, points in pairs])


class NetworkLandmarks:
    """This package's own small network on square crops and their mirror images.

    Args:
        network: trained on crops of `crop_square`.
        device: where it computes.
        mouth_sharpness: power of the lips' heat maps.
    """

    def __init__(
        self,
        network: LandmarkNetwork,
        device: torch.device | str = "cpu",
        mouth_sharpness: float = 1.0,
    ) -> None:
        self._device = device
        sharpness = torch.ones(68, device=device)
        sharpness[MOUTH] = mouth_sharpness
        network = network.eval().requires_grad_(False).to(device)
        self._size, self._find = network.image_size, partial(network, sharpness=sharpness)

    def landmarks(self, frames: Sequence[Pixels], boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) in px of the frames, whose face boxes are given."""
        return landmarks_by_crops(self.of_crops, self._size, frames, boxes)

    def of_crops(self, crops: Pixels) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) in px of crops (N, S, S, 3) RGB of the network's own size."""
        return in_batches(self._find, crops, self._device)


class FetchedLandmarks:
    """The network of face-api on a crop and on its mirror image, and what another knows better.

    On 86 photographed faces 3.5 % of the outer eye distance instead of 3.8 % without the mirror
    image, inner 51, median; 3.0 % with the mean of both networks' `SHARED` points.

    Args:
        network: with its weights, in evaluation mode.
        own: asked first: its landmarks frame the crop, and it has a part in the shared points.
        device: where the network computes.
    """

    def __init__(
        self,
        network: SeparableLandmarks,
        own: LandmarkDetector,
        device: torch.device | str = "cpu",
    ) -> None:
        self._network, self._own, self._device = network.to(device), own, device

    def landmarks(self, frames: Sequence[Pixels], boxes: Sequence[Box]) -> NDArray[np.float32]:
        """Landmarks (N, 68, 2) in px of the frames, whose face boxes are given."""
        others = self._own.landmarks(frames, boxes)
        # Detectors frame one face unlike, most of all a turned one; its landmarks always alike.
        found = self._look(frames, [box_of_points(points) for points in others])
        agree = _disagreement(found, others) <= MOST_APART
        rows = np.ix_(np.flatnonzero(agree), SHARED)
        found[rows] = (found[rows] + others[rows]) / 2
        for apart in np.flatnonzero(~agree).tolist():
            # Framed by points that may lie beside the face: all by the detector's box instead.
            found[[apart]] = self._look([frames[apart]], [boxes[apart]])
        return found

    def _look(self, frames: Sequence[Pixels], boxes: Sequence[Box]) -> NDArray[np.float32]:
        find = partial(in_batches, self._network, device=self._device)
        tight = [_tight_box(box) for box in boxes]
        return landmarks_by_crops(find, self._network.image_size, frames, tight)


def _disagreement(found: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean distance (N,) of landmarks (N, 68, 2) over the distance of the outer eye corners."""
    eyes = np.linalg.norm(found[:, 36] - found[:, 45], axis=1).clip(1e-6)
    return np.asarray(np.linalg.norm(found - others, axis=2).mean(1) / eyes)


def _tight_box(box: Box) -> Box:
    """The box whose crop, which has `MARGIN`, is as tight as the network expects it."""
    longer = max(box.width, box.height)
    side = longer * CROP_PER_BOX / MARGIN
    x, y = box.left + box.width / 2, box.top + box.height / 2 + longer * CROP_BELOW_CENTRE
    return Box(x - side / 2, y - side / 2, side, side)


def make_landmark_detector(
    weights: str | Path = EMBEDDED,
    device: torch.device | str = "cpu",
    mouth_sharpness: float = 1.0,
) -> LandmarkDetector:
    """A landmark detector.

    Args:
        weights: `embedded`, `fan` (face-alignment with its own weights), `face-api-68` or its
            file (`facebench weights get`), or a file of `facebench train --recipe landmarker`.
        device: where it computes.
        mouth_sharpness: of the package's own kind of network, see `NetworkLandmarks`.

    Raises:
        FacebenchError: no such weights, not those of a landmarker, or face-alignment is missing.
    """
    if str(weights) == FAN:
        return FanLandmarks(str(device))
    packaged = load_if_packaged(weights, SeparableLandmarks)
    if packaged is not None:
        return FetchedLandmarks(packaged, NetworkLandmarks(landmark_network(), device), device)
    return NetworkLandmarks(landmark_network(weights), device, mouth_sharpness)


def landmark_network(weights: str | Path = EMBEDDED) -> LandmarkNetwork:
    """The package's landmark network.

    Args:
        weights: `embedded`, or a file of `facebench train --recipe landmarker`.

    Raises:
        FacebenchError: no such weights, or not those of a landmarker.
    """
    path = chosen_weights(weights, "landmarker")
    state, recipe = load_network(path, LandmarkerRecipe)
    size = recipe.network
    build = partial(LandmarkNetwork, size.width, size.image_size)
    return build_with_state(build, state, path, "the landmark network of its recipe")


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
        return [box_of_points(points) for points in found]


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
