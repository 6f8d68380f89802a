"""A morphable model fitted to photographs: landmarks first, then pixels (Blanz and Vetter 1999).

Where they descend on a few random triangles at a time, points all over the face are taken in every
step here: Gauss-Newton, its systems solved by conjugate gradients (as in Thies et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import FacebenchError
from ..face.coefficients import Coefficients, CoefficientSizes
from ..face.crop import LANDMARK_SHARE, Box, mean_face_pose
from ..face.imaging import (
    ambient_light,
    fit_pose,
    from_pixels,
    pose_of_camera,
    solve_light,
    to_pixels,
)
from ..morphable.model import MorphableModel
from ..network.vision_weights import EMBEDDED
from ..render import make_renderer
from ..render.face import FaceDecoder, FaceRenderer
from ..vision.landmarks import make_landmark_detector
from .colours import BlurredPictures, ShadedPoints, Visibility, blur_images, look_up
from .landmark_objective import LandmarkModel, LandmarkObjective, landmark_weights
from .pixel_objective import PixelEquations, PixelObjective
from .solver import LIGHT_UNIT, FittingSettings, Unknowns, minimise
from .surface_points import SurfacePoints

FEWEST_LANDMARKS = 6
"""Fewer do not tell a pose from a shape."""

# Radians: half profiles on both sides, so that the mean favours none.
_YAWS = (-0.8, -0.4, 0.0, 0.4, 0.8)
# Upward and forward harmonics beside the ambient one: some shading, from no side.
_LIGHT = (0.3, 0.8)

_LANDMARKS = 68
# Relative change of the cost in a step that counts as none.
_LANDMARKS_REST, _PIXELS_REST = 1e-8, 2e-3


@dataclass(frozen=True)
class Fit:
    """Fitted faces, and how well each fits.

    Attributes:
        coefficients: of B faces, float32, finite for every face.
        converged: (B,) bool: landmarks and photograph could be used, and the cost had come to rest.
        landmark_residual: (B,) mean distance of the known landmarks, px of the photograph.
        pixel_residual: (B,) weighted mean of the Euclidean colour distance, RGB in [0, 1], over
            the surface points in sight, each counted for its share of the picture: eq. 8
            by its samples; NaN where no point counts.
    """

    coefficients: Coefficients
    converged: Tensor
    landmark_residual: Tensor
    pixel_residual: Tensor


class _Target:
    """What faces are fitted to, made harmless: zeros where something is not known.

    Args:
        images, landmarks, weights: as `Fitter.fit` takes them.
        present: (68,) bool, landmarks that the model has.
        size: side of the photographs in px.

    Attributes:
        images: (B, 3, S, S).
        weights: (B, S, S).
        landmarks: (68, 2, B) normalised, y up, float64.
        known: (68, B) bool.
        usable: (B,) bool, enough landmarks and a photograph that is finite.
    """

    def __init__(
        self, images: Tensor, landmarks: Tensor, weights: Tensor | None, present: Tensor, size: int
    ) -> None:
        batch = len(images)
        weights = images.new_ones(batch, size, size) if weights is None else weights
        for name, given, expected in (
            ("photographs", images.shape, (batch, 3, size, size)),
            ("landmarks", landmarks.shape, (_LANDMARKS, 2, batch)),
            ("weights", weights.shape, (batch, size, size)),
        ):
            if tuple(given) != expected:
                raise FacebenchError(
                    f"fitting: {name} are {tuple(given)}", f"expected {expected}: see Fitter.fit"
                )
        # Both coordinates, and a vertex of the model to compare with.
        self.known = landmarks.isfinite().all(1) & present[:, None]
        finite = images.isfinite().all(3).all(2).all(1)
        self.usable = finite & (self.known.sum(0) >= FEWEST_LANDMARKS)
        # Zeros instead of NaN: NaN times a weight of 0 is NaN and would spread to the batch.
        self.images = images.float().nan_to_num(0.0, 0.0, 0.0)
        self.weights = weights.float().nan_to_num(0.0, 0.0, 0.0)
        placed = from_pixels(landmarks.double(), (size, size))
        self.landmarks = placed.masked_fill(~self.known.unsqueeze(1), 0.0)


class Fitter(nn.Module):
    """Fits one model's faces to square photographs of one size.

    Args:
        model: the face model.
        image_size: side of the photographs in px.
        settings: see there.
    """

    preconditioner: Tensor

    def __init__(
        self, model: MorphableModel, image_size: int, settings: FittingSettings | None = None
    ) -> None:
        super().__init__()
        self.settings = settings or FittingSettings()
        self.image_size = image_size
        self.unknowns = Unknowns(CoefficientSizes.of(model))
        self.landmark_model = LandmarkModel(model)
        self.points = SurfacePoints(model, self.settings.pixel_spacing)
        self.visibility = Visibility(model)
        renderer = make_renderer("outline")
        self.face = FaceRenderer(FaceDecoder(model), renderer, (image_size, image_size))
        self._mean_face_pose = mean_face_pose(model)
        self.register_buffer("preconditioner", self._compute_preconditioner(), persistent=False)

    @torch.no_grad()
    def fit(self, images: Tensor, landmarks: Tensor, weights: Tensor | None = None) -> Fit:
        """Fit a batch; a face that cannot be fitted harms no other and says so.

        Args:
            images: (B, 3, S, S) RGB in [0, 1].
            landmarks: (68, 2, B) px, x right and y down, integers at pixel centres; NaN: unknown.
            weights: (B, S, S) of the pixels, 0 on what is not the face; all alike when None.

        Raises:
            FacebenchError: arrays of other shapes.
        """
        present = self.landmark_model.present
        target = _Target(images, landmarks, weights, present, self.image_size)
        vector, converged, objective = self._fit_landmarks(target)
        vector = self._estimate_light(vector, target)
        # From coarse to fine where there are several: a blurred photograph draws from farther away.
        for blur in self.settings.pixel_blurs:
            found, at_rest = self._fit_pixels(vector, target, objective, blur)
            vector = torch.where(target.usable[:, None], found, vector)
        if self.settings.pixel_blurs:
            converged = converged & at_rest
        return self._measure_fit(vector, converged & target.usable, target)

    def _compute_preconditioner(self) -> Tensor:
        if not self.settings.pixel_blurs:
            return torch.eye(self.unknowns.size, dtype=torch.float64)
        with torch.no_grad():
            hessians = [self._reference_hessian(yaw) for yaw in _YAWS]
            # One inverse for all faces: the Hessians of faces differ by pose and light, but their
            # large and small directions are the same, and conjugate gradients does the rest.
            inverse: Tensor = torch.linalg.inv(torch.stack(hessians).mean(0))
        return inverse

    def _reference_hessian(self, yaw: float) -> Tensor:
        """(D, D) of the mean face's cost at the face itself, turned by a yaw."""
        like = self.face.decoder.mean_shape
        pose, light = like.new_tensor(self._mean_face_pose[None]), ambient_light(1).to(like)
        pose[:, 1] = yaw
        # With ambient light alone the normals would have no say, and shape no part in the colours'
        # Hessian.
        light[:, 1:3] = like.new_tensor(_LIGHT).view(1, 2, 1)
        faces = Coefficients.mean_faces(self.unknowns.sizes, pose, light)
        vector = self.unknowns.pack(faces)
        shaded = ShadedPoints(self.points, self.unknowns, vector)
        seen = self.visibility.seen(shaded, vector[:, self.unknowns.shape])
        # The photograph is the face's own render, and the landmarks are its own: at the solution
        # the residuals vanish and Gauss-Newton is exact.
        photographs = BlurredPictures.of(self.face(faces)[0].image, self.settings.pixel_blurs[-1])
        known = self.landmark_model.present.to(vector)[:, None]
        nowhere = vector.new_zeros(68, 2, 1)
        landmarks = LandmarkObjective(
            self.landmark_model, self.unknowns, nowhere, known, self.settings
        )
        objective = PixelObjective(
            replace(landmarks, targets=landmarks.placed(vector)),
            self.points,
            photographs,
            seen,
            vector[:, self.unknowns.light],
            torch.eye(0),
        )
        return PixelEquations(objective, vector).dense_hessian()

    def _fit_landmarks(self, target: _Target) -> tuple[Tensor, Tensor, LandmarkObjective]:
        """Two rounds: how the jaw line counts follows from the yaw of the round before."""
        vector = self._initialise(target)
        for _ in range(2):
            yaw = self.unknowns.pose_of(vector)[:, 1]
            weights = landmark_weights(target.known, yaw, self.settings)
            objective = LandmarkObjective(
                self.landmark_model, self.unknowns, target.landmarks, weights, self.settings
            )
            steps = self.settings.landmark_steps
            found, _, converged = minimise(objective, vector, steps, _LANDMARKS_REST)
            vector = torch.where(target.usable[:, None], found, vector)
        return vector, converged, objective

    def _initialise(self, target: _Target) -> Tensor:
        """The mean face in the pose that aligns it best with the landmarks, in closed form."""
        batch, landmarks = len(target.images), target.landmarks
        neutral = landmarks.new_zeros(batch, self.unknowns.shape.stop)
        shape = self.landmark_model.points(neutral)
        camera = fit_pose(shape, landmarks, target.known.to(shape))
        usual = landmarks.new_tensor(self._mean_face_pose)
        pose = torch.where(target.usable[:, None], pose_of_camera(camera), usual)
        light = ambient_light(batch).to(landmarks)
        return self.unknowns.pack(Coefficients.mean_faces(self.unknowns.sizes, pose, light))

    def _estimate_light(self, vector: Tensor, target: _Target) -> Tensor:
        """With the light that suits the mean albedo, in closed form.

        Points that the face's own nose hides count too: they are few, and it is a start.
        """
        shaded = ShadedPoints(self.points, self.unknowns, vector)
        seen = shaded.turned_normal[2].clamp_min(0.0) * _pixel_weight(target, shaded)
        colours = look_up(blur_images(target.images, self.settings.light_blur), shaded.placed)
        # Before the pixels: from an ambient guess the first steps would bend the shape to explain
        # the shading.
        light = solve_light(shaded.bands, shaded.albedo, colours, seen).flatten(1) / LIGHT_UNIT
        lit = vector.clone()
        lit[:, self.unknowns.light] = light
        return torch.where(lit.isfinite().all(1, keepdim=True), lit, vector)

    def _fit_pixels(
        self, vector: Tensor, target: _Target, landmarks: LandmarkObjective, blur: float
    ) -> tuple[Tensor, Tensor]:
        shaded = ShadedPoints(self.points, self.unknowns, vector)
        seen = self._visible_share(shaded, vector, target)
        photographs = BlurredPictures.of(target.images, blur)
        light = vector[:, self.unknowns.light]
        objective = PixelObjective(
            landmarks, self.points, photographs, seen, light, self.preconditioner
        )
        found, _, converged = minimise(objective, vector, self.settings.pixel_steps, _PIXELS_REST)
        return found, converged

    def _visible_share(self, shaded: ShadedPoints, vector: Tensor, target: _Target) -> Tensor:
        """How much of the picture each surface point stands for, (N, B)."""
        seen = self.visibility.seen(shaded, vector[:, self.unknowns.shape])
        return seen * _pixel_weight(target, shaded)

    def _measure_fit(self, vector: Tensor, converged: Tensor, target: _Target) -> Fit:
        shaded = ShadedPoints(self.points, self.unknowns, vector)
        seen = self._visible_share(shaded, vector, target)
        off = (shaded.colours - look_up(target.images, shaded.placed)).norm(dim=0)
        # The unblurred photograph, and the plain distance: what is reported is not the robust cost.
        pixels = (off * seen).sum(0) / seen.sum(0)
        faces = self.unknowns.unpack(vector.float())
        # By the float32 coefficients that are given away, not by the vector of the search.
        distance = self.face.landmarks(faces) - to_pixels(target.landmarks, self.face.image_size)
        known = target.known.to(distance)
        landmarks = (distance.norm(dim=1).nan_to_num() * known).sum(0) / known.sum(0)
        return Fit(faces, converged, landmarks, pixels)


def _pixel_weight(target: _Target, shaded: ShadedPoints) -> Tensor:
    """Weight (N, B) of the pixel that each point falls on."""
    return look_up(target.weights.unsqueeze(1), shaded.placed, mode="nearest")[0]


class CropFitter:
    """Fits faces in square crops as `recon.face.crop` cuts them.

    Args:
        model: the face model.
        crop_size: side of the crops in px.
        weights: of the landmark detector, see `make_landmark_detector`.
        device: as PyTorch names it.
        settings: of the fits.
        mouth_sharpness: of the landmark detector.

    Raises:
        FacebenchError: the weights cannot be used.
    """

    def __init__(
        self,
        model: MorphableModel,
        crop_size: int,
        weights: str | Path = EMBEDDED,
        device: str = "cpu",
        settings: FittingSettings | None = None,
        mouth_sharpness: float = 1.0,
    ) -> None:
        self.detector = make_landmark_detector(weights, device, mouth_sharpness)
        self.fitter = Fitter(model, crop_size, settings).to(device)
        self.device = device

    def fit(
        self,
        crops: NDArray[np.uint8],
        given: NDArray[np.floating] | None = None,
        weights: Tensor | None = None,
    ) -> Fit:
        """The faces in RGB crops (B, S, S, 3).

        Args:
            crops: the faces.
            given: (B, 68, 2) px of the crops, landmarks that are known; NaN: found by the detector.
            weights: (B, S, S) of the pixels, see `Fitter.fit`.
        """
        box = box_of_crop(self.fitter.image_size)
        landmarks = self.detector.landmarks(list(crops), [box] * len(crops))
        if given is not None:
            landmarks = np.where(np.isfinite(given), given, landmarks).astype(landmarks.dtype)
        images = torch.tensor(crops, device=self.device).permute(0, 3, 1, 2).float() / 255.0
        points = torch.tensor(landmarks, device=self.device).permute(1, 2, 0)
        return self.fitter.fit(images, points, weights)


def box_of_crop(size: int) -> Box:
    """The box whose crop, in a picture of `size` px that is a crop itself, is all of it."""
    # Crops are cut so that landmarks fill this share: no box need be told.
    side = size * LANDMARK_SHARE
    return Box((size - side) / 2, (size - side) / 2, side, side)
