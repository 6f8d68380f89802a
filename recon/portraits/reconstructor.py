"""Face crops to coefficients, meshes and textures: the way a trained network is used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import FacebenchError
from ..face.coefficients import (
    Coefficients,
    CoefficientSizes,
    FaceCoefficients,
    pose_in_crop,
    pose_in_picture,
)
from ..face.crop import Box, box_of_points, box_overlap, crop_square, crop_window
from ..face.imaging import illuminate, project, rotate, rotation_matrix, to_pixels
from ..fitting.fitter import CropFitter
from ..fitting.refinement import FaceRefiner, align_gaze, make_refiner, share_brightness
from ..fitting.solver import FittingSettings
from ..mesh import Mesh
from ..morphable import EMBEDDED, HUMAN
from ..morphable.load import load_model
from ..morphable.model import MorphableModel
from ..network.vision_weights import embedded_network
from ..regressors.checkpoint import embedded_weights, load_regressor
from ..regressors.regressor import FaceNetwork
from ..render.face import FaceDecoder, VertexNormals
from ..texture.texture import Texture, TextureSpace, View, blend, sample_view
from ..vision.landmarks import FAN, FAN_FILE, MOUTH_SHARPNESS, LandmarkDetector, NetworkLandmarks
from ..weights.catalogue import EMBEDDED as EMBEDDED_WEIGHTS
from ..weights.catalogue import NONE, portable_choice, resolve_choice, torch_checkpoints

FITTED_SIZE = 224
"""Side in px of crops that are fitted; deviations of landmarks are in px of a crop of this size."""

TRUSTED_DEVIATION = 2.5
"""Deviation in px of landmarks of a network other than the embedded one, which errs more."""

LEAST_AGREEMENT = 0.5
"""Overlap of a detected box and that of the landmarks found in it, below which it holds no face:
what is none, or half of one at the border, draws the landmarks elsewhere."""

SMALLEST, LARGEST = 256, 1024
"""Sides in pixels between which a face is cut out for its sheet and texture, else as it is."""


class FaceCrop:
    """A face cut out of a picture.

    Args:
        frame: (H, W, 3) uint8 RGB, the picture.
        box: of the face's landmarks, px.
        crop_size: side of the network's crops, px.

    Attributes:
        image_size: (height, width) of the picture.
        window: the square of the picture that was cut out.
        crop: (S, S, 3) uint8 RGB of the network's size.
        portrait: (T, T, 3) the same view, as large as the picture gives it.
    """

    def __init__(self, frame: NDArray[np.uint8], box: Box, crop_size: int) -> None:
        self.box, self.window = box, crop_window(box)
        self.image_size = frame.shape[0], frame.shape[1]
        self.crop = crop_square(frame, box, crop_size)
        side = int(np.clip(round(self.window.side), SMALLEST, LARGEST))
        self.portrait = crop_square(frame, box, side)

    @property
    def filled(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom px of the portrait's part that is in the picture; see `View`.

        Beyond them the portrait is black.
        """
        window, side = self.window, len(self.portrait)
        (height, width), scale = self.image_size, side / self.window.side
        edges = (-window.left, -window.top, width - window.left, height - window.top)
        left, top, right, bottom = (min(max(edge * scale, 0.0), side) for edge in edges)
        return left, top, right, bottom

    def in_picture(self, face: FaceCoefficients) -> FaceCoefficients:
        """One face regressed from the crop, its pose in the picture's coordinates."""
        return replace(face, pose=pose_in_picture(face.pose, self.window, self.image_size))

    def in_crop(self, face: FaceCoefficients) -> FaceCoefficients:
        """One face of the picture, its pose in the crop's coordinates."""
        return replace(face, pose=pose_in_crop(face.pose, self.window, self.image_size))


class Reconstructor:
    """A face model and a regressor trained with it.

    Args:
        model: the face model.
        regressor: in evaluation mode.
        device: where the network runs, as PyTorch names it.
        texture_size: side of the textures in pixels.
        refiner: brings what the network says to landmarks and light of the crop; None leaves it.
    """

    def __init__(
        self,
        model: MorphableModel,
        regressor: FaceNetwork,
        device: str = "cpu",
        texture_size: int = 1024,
        refiner: FaceRefiner | None = None,
    ) -> None:
        self.model = model
        self.regressor = regressor.to(device)
        self.device = device
        self.decoder = FaceDecoder(model).to(device)
        self.texture_size = texture_size
        self._refiner = refiner
        self._normals = VertexNormals(self.decoder.triangles)

    @property
    def crop_size(self) -> int:
        """Side in pixels of the square crops that `regress` takes."""
        return self.regressor.image_size

    @cached_property
    def texture_space(self) -> TextureSpace:
        """Where the model lies in its textures; made on first use."""
        return TextureSpace(self.model, self.texture_size)

    @property
    def landmark_detector(self) -> LandmarkDetector | None:
        """What a fit starts from, or faces are brought to; None without either."""
        if isinstance(self.regressor, FittingNetwork):
            return self.regressor.crop_fitter.detector
        return None if self._refiner is None else self._refiner.detector

    def frame_faces(self, frame: NDArray[np.uint8], boxes: Sequence[Box]) -> list[Box]:
        """Detected boxes of an (H, W, 3) picture that the landmarks found in each agree with.

        For the package's own kind of landmark network they become the boxes of these landmarks: it
        knows no crops but such, and errs less in place and size than a detector. Fetched networks
        are framed by a rule of their own. Without a landmark network all stay as they are.
        """
        detector = self.landmark_detector
        if detector is None or not boxes:
            return list(boxes)
        points = detector.landmarks([frame] * len(boxes), boxes)
        pairs = [(box_of_points(own), box) for own, box in zip(points, boxes, strict=True)]
        agreeing = [pair for pair in pairs if box_overlap(*pair) >= LEAST_AGREEMENT]
        own_kind = isinstance(detector, NetworkLandmarks)
        return [own if own_kind else box for own, box in agreeing]

    def regress(self, crops: NDArray[np.uint8]) -> FaceCoefficients:
        """The faces in RGB crops (B, crop_size, crop_size, 3), as a batch."""
        with torch.inference_mode():
            faces = FaceCoefficients.of(self.regressor(to_tensor(crops, self.device)))
        return faces if self._refiner is None else self._refiner.refine(faces, crops)

    def mesh(self, face: FaceCoefficients) -> Mesh:
        """One face with its expression in model space, mm, coloured by its albedo."""
        return self.model.mesh(face.identity, face.expression, face.albedo)

    def neutral_mesh(self, face: FaceCoefficients) -> Mesh:
        """One face without its expression."""
        return self.model.mesh(face.identity, albedo=face.albedo)

    @torch.inference_mode()
    def landmarks(
        self, faces: FaceCoefficients, image_size: tuple[int, int]
    ) -> NDArray[np.float64]:
        """The 68 iBUG points (B, 68, 2) of a batch in pixels of the picture of their poses.

        x right, y down, integers at pixel centres; points that the model lacks are NaN.
        """
        batch = faces.tensors(self.device)
        points = self.decoder.landmark_shape(batch.identity, batch.expression)
        placed = project(rotate(points, rotation_matrix(batch.pose[:, :3])), batch.pose)
        found = to_pixels(placed, image_size).permute(2, 0, 1).double().cpu().numpy()
        # What the model lacks was looked up at some other vertex, and would lie on the face.
        found[:, self.model.landmarks < 0] = np.nan
        return np.asarray(found, np.float64)

    @torch.inference_mode()
    def view(
        self,
        photograph: NDArray[np.uint8],
        face: FaceCoefficients,
        filled: tuple[float, float, float, float] | None = None,
    ) -> View:
        """One face in a square photograph (S, S, 3), ready for its texture.

        Args:
            photograph: any S; the view of the face's pose.
            face: one face.
            filled: see `View`; the whole photograph when None.
        """
        batch = face[None].tensors(self.device)
        shape = self.decoder.shape(batch.identity, batch.expression)
        turned = rotate(shape, rotation_matrix(batch.pose[:, :3]))
        normals = self._normals(turned)
        side = float(len(photograph))
        return View(
            photograph=photograph,
            filled=filled or (0.0, 0.0, side, side),
            placed=_one(project(turned, batch.pose)),
            normals=_one(normals),
            shading=_one(illuminate(torch.ones_like(normals), normals, batch.light)),
            scale=float(face.pose[6]),
        )

    def texture(self, albedo: NDArray[np.floating], views: Sequence[View]) -> Texture:
        """The views' photographs where they show the face, completed by its albedo (K,)."""
        # Of the mean shape: only its colours are used.
        own = self.model.mesh(albedo=albedo).colours
        assert own is not None
        seen = [sample_view(self.texture_space, self.model.triangles, view) for view in views]
        return blend(self.texture_space, own, seen)


class FittingNetwork(FaceNetwork):
    """A fitter in a network's place: whatever reconstructs by a network reconstructs by it.

    Args:
        fitter: of crops.
        model: its face model.
    """

    def __init__(self, fitter: CropFitter, model: MorphableModel) -> None:
        super().__init__()
        self.image_size, self.sizes = fitter.fitter.image_size, CoefficientSizes.of(model)
        self.crop_fitter, self._model = fitter, model

    def forward(self, images: Tensor) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1], finished by `align_gaze` and
        `share_brightness`."""
        # Detectors take bytes; rounded, for they were bytes before they became tensors.
        crops = (images * 255.0).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        # Beyond the picture crops are black, which is no shadow.
        shown = (images.amax(1) > 0).float()
        fitted = align_gaze(self._model, self.crop_fitter.fit(crops, weights=shown).coefficients)
        return share_brightness(self._model, fitted)


@dataclass(frozen=True)
class ReconstructionMethod:
    """By what a photograph is reconstructed.

    Attributes:
        method: `fitting` or `ours`.
        model: name or file of the face model.
        checkpoint: weights of `ours`; None stands for those in the package.
        landmarks: what a fit starts from, and what a face of `ours` is brought to, or `none`.
    """

    method: str
    model: str
    checkpoint: Path | None
    landmarks: str


def choose_method(
    method: str | None, model: str | None, checkpoint: Path | None, landmarks: str = "best"
) -> ReconstructionMethod:
    """What suits a photograph best where nothing else was asked for: the human model, fitted.

    Args:
        method: `fitting`, `ours`, or None: `ours` for weights that are given, else `fitting`.
        model: name or file, or None: the human one; for weights that are given the embedded one.
        checkpoint: weights of `ours`; for `fitting` of a landmark network, before `landmarks`.
        landmarks: as a user gives it, `best` too.

    Raises:
        FacebenchError: no such method or landmark network, or a fit is to do without landmarks.
    """
    method = method or ("ours" if checkpoint else "fitting")
    if method == "ours":
        found = resolve_choice("landmarks", landmarks)
        # Weights that are given are of the model that training takes where nothing is asked for.
        own = EMBEDDED if checkpoint else HUMAN
        return ReconstructionMethod(method, model or own, checkpoint, found)
    if method != "fitting":
        raise FacebenchError(f"no method '{method}' to reconstruct by", "give 'fitting' or 'ours'")
    found = resolve_choice("landmarks", str(checkpoint or landmarks))
    if found == NONE:
        raise FacebenchError(
            "a fit starts from landmarks", "give --landmarks a network, or the method 'ours'"
        )
    return ReconstructionMethod(method, model or HUMAN, None, found)


def choose_network(
    choice: ReconstructionMethod, model: MorphableModel, device: str = "cpu"
) -> tuple[FaceNetwork, str, str]:
    """What finds the coefficients: a trained network, or a fitter of the model.

    Args:
        choice: method, weights and landmarks.
        model: the face model.
        device: where a fitter computes.

    Returns:
        It, its name, and the SHA-256 of its weights; of a fit those of its landmark network.

    Raises:
        FacebenchError: weights that cannot be used or are of another model.
    """
    checkpoint = choice.checkpoint
    if choice.method == "fitting":
        trusted = choice.landmarks != EMBEDDED_WEIGHTS
        settings = FittingSettings(landmark_deviation=TRUSTED_DEVIATION) if trusted else None
        size, landmarks = FITTED_SIZE, choice.landmarks
        fitter = CropFitter(model, size, landmarks, device, settings, MOUTH_SHARPNESS)
        network = FittingNetwork(fitter, model)
        return network, choice.method, _landmark_digest(choice.landmarks)
    # The one mismatch that a user of another model meets first has two ways out.
    if checkpoint is None and not _has_weights(model):
        raise FacebenchError(
            "the networks in the package were trained with the embedded and the human model, "
            f"not '{model.name}'",
            "take the method 'fitting', which suits any model, or weights of 'facebench train'",
        )
    loaded = load_regressor(checkpoint or embedded_weights(model.name), model)
    return loaded.regressor, loaded.recipe.name, loaded.digest


def _has_weights(model: MorphableModel) -> bool:
    """Whether the package holds weights for it: not for another that bears the name."""
    return model.name in (EMBEDDED, HUMAN) and model.digest == load_model(model.name).digest


def _landmark_digest(landmarks: str) -> str:
    """SHA-256 of the weights of a landmark network that `resolve_choice` named."""
    own = {EMBEDDED_WEIGHTS: embedded_network("landmarker"), FAN: torch_checkpoints() / FAN_FILE}
    path = own.get(landmarks) or Path(portable_choice(landmarks))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_reconstructor(
    model: MorphableModel,
    choice: ReconstructionMethod,
    device: str = "cpu",
    texture_size: int = 1024,
) -> tuple[Reconstructor, str, str]:
    """A reconstructor by a method, its faces brought to landmarks where any are asked for.

    Args:
        model: the face model.
        choice: as `choose_method` made it.
        device: as PyTorch names it.
        texture_size: side of the textures in pixels.

    Returns:
        It, and name and SHA-256 as `choose_network` gives them.

    Raises:
        FacebenchError: as `choose_network`, or the landmark network cannot be used.
    """
    network, name, digest = choose_network(choice, model, device)
    # A fit is aligned with the landmarks already.
    refining = NONE if choice.method == "fitting" else choice.landmarks
    refiner = make_refiner(model, refining, device)
    return Reconstructor(model, network, device, texture_size, refiner), name, digest


def to_tensor(crops: NDArray[np.uint8], device: str) -> Tensor:
    """RGB pictures (B, H, W, 3) uint8 as (B, 3, H, W) float32 in [0, 1] on a device."""
    return torch.tensor(crops, device=device).permute(0, 3, 1, 2).float() / 255.0


def _one(values: Tensor) -> NDArray[np.float32]:
    """(V, 3) of a batch (V, 3, 1)."""
    return np.asarray(values[..., 0].cpu().numpy(), np.float32)
