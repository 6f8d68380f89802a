"""`fitting`: analysis by synthesis, a face model fitted to each photograph without training."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..method.interface import MethodCard, MethodOptions
from ..method.model_faces import ModelFaces

if TYPE_CHECKING:
    from ...recon.render.face_in_photograph import FaceInPhotograph

CARD = MethodCard(
    name="fitting",
    title="Analysis by synthesis: landmarks, then pixels, by Gauss-Newton on each photograph",
    paper="Blanz and Vetter, SIGGRAPH 1999",
    licence="MIT; landmark weights and face model under their own terms",
    expressions=("neutral", "predicted"),
    own="code written here. The publication's are model, light and prior, most probable face and "
    "pixels; landmarks that start it, harmonics, robust weights and solver are later practice",
    seen="no photograph for the fit itself; deviations and weights were chosen on 24 synthetic "
    "faces. Its landmark detector saw synthetic people of the embedded and the human face model, "
    "which 'facebench synth' draws others of. No photograph of MICC",
    state="nothing to train; landmarks by the embedded detector, or --checkpoint of another",
    trains=False,
)

CROP_SIZE = 192


class Fitting(ModelFaces):
    """A fitter of the face model and the landmark detector that it starts from.

    Args:
        options: with the model; their checkpoint is that of a landmark detector.

    Raises:
        FacebenchError: the model cannot be used, or the checkpoint is not a landmarker's.
    """

    card, crop_size = CARD, CROP_SIZE

    def __init__(self, options: MethodOptions) -> None:
        from ...recon.fitting.fitter import CropFitter
        from ...recon.network.vision_weights import EMBEDDED, chosen_weights

        super().__init__(options)
        # The kind is checked: another network's checkpoint gives no landmarks.
        weights = chosen_weights(options.checkpoint or EMBEDDED, "landmarker")
        self.checkpoint_digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        self.fitter = CropFitter(self.model, CROP_SIZE, weights, options.device)

    @property
    def digest(self) -> str:
        """Settings, detector and model."""
        # Settings are part of it: nothing was trained, they are what decides the fit.
        parts = (repr(self.fitter.fitter.settings), self.checkpoint_digest, self.model.digest)
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What was fitted to each crop, see `vectors`."""
        return self.vectors(self.fitter.fit(crops).coefficients)

    def faces_in_photographs(self, crops: NDArray[np.uint8]) -> list[FaceInPhotograph]:
        """Everything that was fitted to each crop."""
        return self.faces_at_landmarks(crops, np.full((len(crops), 68, 2), np.nan))

    def faces_at_landmarks(
        self, crops: NDArray[np.uint8], landmarks: NDArray[np.floating]
    ) -> list[FaceInPhotograph]:
        """The same from landmarks (B, 68, 2) px of the crops; NaN: found by the detector."""
        from ...recon.face.coefficients import FaceCoefficients
        from ...recon.render.face_in_photograph import decode_faces

        found = self.fitter.fit(crops, landmarks).coefficients
        return decode_faces(self.model, FaceCoefficients.of(found))


build = Fitting
