"""`ours`: the weakly supervised regressor with the multi-level loss (METHOD)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...recon.mesh import Mesh
from ...recon.morphable.load import load_model
from ...recon.morphable.model import MorphableModel
from ..method import MethodCard, MethodOptions
from ..regions import face_parts

if TYPE_CHECKING:
    from ...recon.network.checkpoint import LoadedRegressor

CARD = MethodCard(
    name="ours",
    title="Weakly supervised regression of a morphable model with a multi-level loss",
    paper="Computer Systems & Applications 29(11), 2020",
    licence="MIT; weights under the terms of the face model they were trained with",
    published=(("cooperative", 1.36, 0.12), ("indoor", 1.37, 0.11), ("outdoor", 1.36, 0.11)),
)


@dataclass(frozen=True, eq=False)
class Ours:
    """A trained regressor with the face model it was trained with."""

    loaded: LoadedRegressor
    model: MorphableModel
    device: str
    card: MethodCard = CARD

    @property
    def crop_size(self) -> int:
        """As the checkpoint's recipe says."""
        return self.loaded.crop_size

    @property
    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """By the model's regions."""
        return face_parts(self.model.region, self.model.region_names)

    @property
    def model_digest(self) -> str:
        """Digest of the face model."""
        return self.model.digest

    @property
    def checkpoint_digest(self) -> str:
        """SHA-256 of the weights file."""
        return self.loaded.digest

    @property
    def digest(self) -> str:
        """Weights and model."""
        return hashlib.sha256(f"{self.loaded.digest}{self.model.digest}".encode()).hexdigest()

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Identity coefficients (B, K)."""
        import torch

        with torch.inference_mode():
            images = torch.tensor(crops, device=self.device).permute(0, 3, 1, 2).float() / 255.0
            identity = self.loaded.regressor(images).identity
        return np.asarray(identity.cpu().numpy(), np.float32)

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        """The neutral face of the identity coefficients, mm."""
        return self.model.mesh(identity=vector)


def build(options: MethodOptions) -> Ours:
    """The regressor of a checkpoint, by default the embedded one of the embedded model."""
    from ...recon.network.checkpoint import embedded_weights, load_regressor

    model = load_model(options.model)
    loaded = load_regressor(options.checkpoint or embedded_weights(), model)
    loaded.regressor.to(options.device)
    return Ours(loaded, model, options.device)
