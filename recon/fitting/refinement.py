"""A face brought to landmarks and light of its photograph, and its skin told from the light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..face.coefficients import Coefficients, CoefficientSizes, FaceCoefficients
from ..face.imaging import fit_pose, from_pixels, harmonics, pose_of_camera, solve_light
from ..morphable.model import MorphableModel
from ..vision.landmarks import MOUTH_SHARPNESS, LandmarkDetector, make_landmark_detector
from ..weights.catalogue import NONE
from .colours import ShadedPoints, Visibility, blur_images, look_up
from .fitter import FEWEST_LANDMARKS, box_of_crop
from .landmark_objective import LandmarkModel, LandmarkObjective, landmark_weights
from .solver import FittingSettings, Unknowns, minimise
from .surface_points import SurfacePoints

SETTINGS = FittingSettings(landmark_deviation=3.0, landmark_tail=9.0)
"""Good landmarks are off by 3 to 3.6 % of the outer eye distance, which is 3 px of the frame."""

REFINING = 2
"""Version of how faces are brought to landmarks: results of another are made again."""

_REST = 1e-8

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_EXPOSURE, _EXPOSURE_SPREAD = 0.85, 0.2
"""Share of the albedo that a surface towards the camera shows, and the deviation of its logarithm:
what cameras meter, as `synthetic.appearance.random_light` has it."""
_MOST_EXCESS = 1.2
"""Of that logarithm: a face that is darker still is in the dark."""
_SKIN_RIDGE, _MOST_ALBEDO = 2e-3, 3.0


class FaceRefiner:
    """Brings faces of one model to the landmarks that a detector finds in their crops, and lights
    them as the crops are lit.

    Args:
        model: the face model.
        detector: of the landmarks.
        device: where it computes.
    """

    def __init__(
        self, model: MorphableModel, detector: LandmarkDetector, device: str = "cpu"
    ) -> None:
        self._faces, self._model = model, LandmarkModel(model).to(device)
        self._points = SurfacePoints(model, SETTINGS.pixel_spacing).to(device)
        self._visibility = Visibility(model).to(device)
        self._unknowns = Unknowns(CoefficientSizes.of(model))
        self.detector, self._device = detector, device

    @torch.no_grad()
    def refine(self, faces: FaceCoefficients, crops: NDArray[np.uint8]) -> FaceCoefficients:
        """Faces with shape, expression and pose moved, and lit anew.

        Args:
            faces: (B, ...) as regressed from the crops, in their coordinates.
            crops: (B, S, S, 3) RGB.
        """
        size = crops.shape[1]
        places = self.detector.landmarks(list(crops), [box_of_crop(size)] * len(crops))
        return self.relight(self.refine_to(faces, places, size), crops)

    @torch.no_grad()
    def relight(self, faces: FaceCoefficients, crops: NDArray[np.uint8]) -> FaceCoefficients:
        """The same faces in the light that makes them look most like their crops.

        In closed form, of all points in sight; then `share_brightness`. A face of which nothing is
        in sight stays as it is.
        """
        given = faces.tensors(self._device)
        vector = self._unknowns.pack(
            Coefficients(*(part.double() for part in vars(given).values()))
        )
        shaded = ShadedPoints(self._points, self._unknowns, vector)
        seen = self._visibility.seen(shaded, vector[:, self._unknowns.shape])
        images = torch.tensor(crops, device=self._device).permute(0, 3, 1, 2).float() / 255.0
        # Beyond the picture crops are black, which is no shadow.
        shown = (images.amax(1, keepdim=True) > 0).to(images)
        seen = seen * look_up(shown, shaded.placed, mode="nearest")[0]
        colours = look_up(blur_images(images, SETTINGS.light_blur), shaded.placed)
        light = solve_light(shaded.bands, shaded.albedo, colours, seen).to(given.light)
        usable = (seen.sum(0) > 0) & light.isfinite().all(2).all(1)
        light = torch.where(usable[:, None, None], light, given.light)
        lit = share_brightness(self._faces, replace(given, light=light))
        return FaceCoefficients.of(lit.where(usable, given))

    @torch.no_grad()
    def refine_to(
        self, faces: FaceCoefficients, landmarks: NDArray[np.floating], size: int
    ) -> FaceCoefficients:
        """Faces brought to landmarks (B, 68, 2) px of crops of a size, NaN: unknown; skin and light
        stay.

        A face with too few landmarks, or for which nothing better is found, stays as it is.
        """
        given = faces.tensors(self._device)
        old = Coefficients(*(part.double() for part in vars(given).values()))
        start = torch.cat([old.identity, old.expression], 1)
        points = torch.tensor(landmarks, device=self._device, dtype=torch.float64).permute(1, 2, 0)
        known = points.isfinite().all(1) & self._model.present[:, None]
        targets = from_pixels(points, (size, size)).masked_fill(~known.unsqueeze(1), 0.0)
        # The network's pose is the least of what it knows (yaw comes out at half): found anew in
        # closed form from its shape, so that the search need not turn the head with bent cheeks.
        pose = pose_of_camera(fit_pose(self._model.points(start), targets, known.to(targets)))
        usable = (known.sum(0) >= FEWEST_LANDMARKS) & pose.isfinite().all(1) & (pose[:, 6] > 0)
        pose = torch.where(usable[:, None], pose, old.pose)
        vector = self._unknowns.pack(replace(old, pose=pose))
        vector[:, self._unknowns.shape] = 0.0
        # Two rounds, as in fitting: how the jaw line counts follows from the yaw.
        for _ in range(2):
            yaw = self._unknowns.pose_of(vector)[:, 1]
            weights = landmark_weights(known, yaw, SETTINGS).to(targets)
            objective = LandmarkObjective(
                self._model, self._unknowns, targets, weights, SETTINGS, start
            )
            found, cost, _ = minimise(objective, vector, SETTINGS.landmark_steps, _REST)
            usable = usable & cost.isfinite()
            vector = torch.where(usable[:, None], found, vector)
        vector[:, self._unknowns.shape] += start
        new = self._unknowns.unpack(vector).where(usable, old)
        # Depth is no unknown, and comes back as it went in.
        new.pose[:, 5] = old.pose[:, 5]
        met = Coefficients(*(part.float() for part in vars(new).values()))
        return FaceCoefficients.of(align_gaze(self._faces, met).where(usable, met))


def make_refiner(model: MorphableModel, landmarks: str, device: str = "cpu") -> FaceRefiner | None:
    """What brings a model's faces to landmarks; None where none are asked for.

    Args:
        model: the face model.
        landmarks: `none`, or as `make_landmark_detector`.
        device: where it computes.

    Raises:
        FacebenchError: the weights are not there or cannot be used.
    """
    if landmarks == NONE:
        return None
    # With lips sharpened as for a fit: faces of a network open their mouths by as much.
    detector = make_landmark_detector(landmarks, device, MOUTH_SHARPNESS)
    return FaceRefiner(model, detector, device)


def align_gaze(model: MorphableModel, faces: Coefficients) -> Coefficients:
    """Faces whose eyes look to the same side, by the mean of both.

    Pixels tell a gaze by a few points of each eye: told for each by itself, eyes cross. Faces of a
    model without face units of a gaze stay as they are.
    """
    for left, right in (("Left", "Right"), ("_L", "_R")):  # ARKit's names, and ICT-FaceKit's.
        to_right = [f"eyeLookIn{left}", f"eyeLookOut{right}"]
        to_left = [f"eyeLookOut{left}", f"eyeLookIn{right}"]
        if not {*to_right, *to_left} <= set(model.expression_names):
            continue
        ways = [[model.expression_names.index(unit) for unit in way] for way in (to_right, to_left)]
        expression = faces.expression.clone()
        sideways = (expression[:, ways[0]] - expression[:, ways[1]]).mean(1, keepdim=True)
        expression[:, ways[0]] = sideways.clamp_min(0.0).expand(-1, 2)
        expression[:, ways[1]] = (-sideways).clamp_min(0.0).expand(-1, 2)
        faces = replace(faces, expression=expression)
    return faces


def with_one_skin(model: MorphableModel, faces: FaceCoefficients) -> FaceCoefficients:
    """N faces of one person, see `of_one_person`, in light that leaves each as bright as it was.

    Frames brighter than others were given a brighter skin: the mean takes it from them.
    """
    cheeks = model.vertices_of("left_cheek", "right_cheek")
    chosen = cheeks if len(cheeks) else slice(None)
    mean, modes = model.mean_albedo[chosen].mean(0), model.albedo_basis[chosen].mean(0)
    one = faces.of_one_person()
    own, common = (mean + each.albedo @ modes.T for each in (faces, one))
    ratio = np.divide(own, common, out=np.ones_like(own), where=(own > 0) & (common > 0))
    return replace(one, light=faces.light * ratio[:, None])


@torch.no_grad()
def share_brightness(model: MorphableModel, faces: Coefficients) -> Coefficients:
    """Faces whose brightness is the skin's and the light's as their spreads have it.

    A photograph tells the product alone. A fit leaves all of it to the light, which has no prior:
    then all skin is one skin. Here the logarithm of the product is parted in proportion to both
    variances, the albedo moved the least that gives the cheeks their share, and the light divided
    by as much.

    Args:
        model: the face model.
        faces: B faces that look like their photographs.
    """
    cheeks = model.vertices_of("left_cheek", "right_cheek")
    chosen = cheeks if len(cheeks) else slice(None)
    like = faces.albedo
    mean = torch.from_numpy(model.mean_albedo[chosen].mean(0)).to(like)
    modes = torch.from_numpy(model.albedo_basis[chosen].mean(0)).to(like)
    luminance = torch.tensor(_LUMINANCE).to(like)
    ahead = harmonics(like.new_tensor([[[0.0], [0.0], [1.0]]]))[0, :, 0]
    usual, spread = luminance @ mean, (luminance @ modes).square().sum()
    skin = mean + like @ modes.T
    shown = (skin * torch.einsum("j,bjc->bc", ahead, faces.light)) @ luminance
    part = spread / usual**2 / (spread / usual**2 + _EXPOSURE_SPREAD**2)
    excess = (shown / (usual * _EXPOSURE)).log().clamp(-_MOST_EXCESS, _MOST_EXCESS)
    factor = usual * (part * excess).exp() / (skin @ luminance)
    wanted = (factor[:, None] - 1.0) * skin
    # Ridge: colours that hardly any mode gives are left to the light.
    system = modes @ modes.T + _SKIN_RIDGE * torch.eye(3).to(like)
    albedo = like + torch.linalg.solve(system, wanted.T).T @ modes
    albedo = albedo.clamp(-_MOST_ALBEDO, _MOST_ALBEDO)
    ratio = skin / (mean + albedo @ modes.T)
    # A black or unlit face has no logarithm, and stays as it is.
    usable = (shown > 0) & albedo.isfinite().all(1) & (ratio > 0).all(1) & ratio.isfinite().all(1)
    return replace(
        faces,
        albedo=torch.where(usable[:, None], albedo, like),
        light=torch.where(usable[:, None, None], faces.light * ratio[:, None], faces.light),
    )
