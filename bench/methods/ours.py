"""`ours`: the weakly supervised regressor with the multi-level loss (METHOD)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...recon.mesh import Mesh
from ...recon.morphable.load import load_model
from ..method import Expression, MethodCard, MethodOptions
from ..model_faces import ModelFaces

if TYPE_CHECKING:
    from ...recon.coefficients import Coefficients
    from ...recon.likeness import Likeness
    from ...recon.network.checkpoint import LoadedRegressor

CARD = MethodCard(
    name="ours",
    title="Weakly supervised regression of a morphable model with a multi-level loss",
    paper="Computer Systems & Applications 29(11), 2020",
    licence="MIT; weights under the terms of the face model they were trained with",
    expressions=("neutral", "predicted"),
    own="code and embedded weights, written and trained here; method and loss are the "
    "publication's, whose results were reached with other weights, data and face model",
    seen="embedded weights: photographs of 16,000 synthetic people of the embedded face model, "
    "with landmarks and masks. 'facebench synth' draws other people of the same model, with the "
    "same renderer. No photograph of MICC. Other weights: what they were trained on",
    state="trained for the embedded face model; for others: train --recipe ours",
)


@dataclass(frozen=True, eq=False)
class Ours(ModelFaces):
    """A trained regressor with the face model it was trained with.

    Attributes:
        loaded: the regressor.
        device: it runs on.
        expression: of the faces; with `predicted` a vector holds both kinds of coefficients.
    """

    loaded: LoadedRegressor
    device: str
    expression: Expression = "neutral"
    card: MethodCard = CARD

    @property
    def crop_size(self) -> int:
        """As the checkpoint's recipe says."""
        return self.loaded.crop_size

    @property
    def checkpoint_digest(self) -> str:
        """SHA-256 of the weights file."""
        return self.loaded.digest

    @property
    def digest(self) -> str:
        """Weights and model."""
        return hashlib.sha256(f"{self.loaded.digest}{self.model.digest}".encode()).hexdigest()

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Identity coefficients (B, K), and behind them those of a predicted expression."""
        import torch

        found = self._regress(crops)
        parts = [found.identity]
        if self.expression == "predicted":
            parts.append(found.expression)
        return np.asarray(torch.cat(parts, dim=1).cpu().numpy(), np.float32)

    def likenesses(self, crops: NDArray[np.uint8]) -> list[Likeness]:
        """Everything that the network says of each crop."""
        from ...recon.face_coefficients import FaceCoefficients
        from ...recon.likeness import likenesses_of

        return likenesses_of(self.model, FaceCoefficients.of(self._regress(crops)))

    def _regress(self, crops: NDArray[np.uint8]) -> Coefficients:
        import torch

        with torch.inference_mode():
            images = torch.tensor(crops, device=self.device).permute(0, 3, 1, 2).float() / 255.0
            found: Coefficients = self.loaded.regressor(images)
        return found

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        """The face of a vector as `describe` gives it, mm."""
        n_identity = self.model.identity_basis.shape[2]
        expression = vector[n_identity:] if self.expression == "predicted" else None
        return self.model.mesh(identity=vector[:n_identity], expression=expression)


def build(options: MethodOptions) -> Ours:
    """The regressor of a checkpoint, by default the embedded one of the embedded model."""
    from ...recon.network.checkpoint import embedded_weights, load_regressor

    model = load_model(options.model)
    loaded = load_regressor(options.checkpoint or embedded_weights(), model)
    loaded.regressor.to(options.device)
    return Ours(model, loaded, options.device, options.expression)
