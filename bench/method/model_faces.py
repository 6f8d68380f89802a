"""What methods share whose meshes are those of a morphable model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...recon.morphable.model import MorphableModel
from ..landmarks.regions import face_parts


@dataclass(frozen=True, eq=False)
class ModelFaces:
    """Facts of the faces of a model.

    Attributes:
        model: whose faces the method gives.
    """

    model: MorphableModel

    @property
    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """By the model's regions."""
        return face_parts(self.model.region, self.model.region_names)

    @property
    def model_digest(self) -> str:
        """Digest of the face model."""
        return self.model.digest
