"""`mean-face`: the face model's mean for everybody, the baseline every table shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...recon.mesh import Mesh
from ..method.interface import MethodCard
from ..method.model_faces import ModelFaces

CARD = MethodCard(
    name="mean-face",
    title="The face model's mean, whatever the photograph shows",
    paper="",
    licence="that of the face model",
    expressions=("neutral", "predicted"),
    own="all of it: a baseline, from no publication",
    seen="no photograph. Its mean is that of the people the face model was made from: on faces of "
    "'facebench synth' with the same model it is the true mean",
    state="nothing to train",
    trains=False,
)


class MeanFace(ModelFaces):
    """Describes every face by one zero; faces are found all the same, so coverage compares.

    It predicts a neutral expression for everybody, whichever the protocol asks for.
    """

    card, checkpoint_digest = CARD, ""
    crop_size = 32  # Nothing looks at the pixels, so small crops do.

    @property
    def digest(self) -> str:
        """The model alone decides."""
        return self.model.digest

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Zeros (B, 1)."""
        # One number, not none: a face is counted by its vector, and coverage is counted in faces.
        return np.zeros((len(crops), 1), np.float32)

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        """The mean face, mm."""
        return self.model.mesh()


build = MeanFace
