"""`shrunk`: a trained network's identity coefficients, drawn halfway to the mean face.

Coefficients that are regressed from one photograph are noisy; a fixed factor below one trades
their variance for a bias towards the mean, as James and Stein (1961) did for means.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facebench.bench.method.interface import MethodCard, MethodOptions
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel

if TYPE_CHECKING:
    from facebench.recon.regressors.checkpoint import LoadedRegressor

FACTOR = 0.5

CARD = MethodCard(
    name="shrunk",
    title="Regressed identity coefficients, halved towards the mean face",
    paper="after James and Stein, Berkeley Symposium, 1961",
    licence="MIT; weights under the terms of the face model they were trained with",
)


@dataclass(frozen=True, eq=False)
class Shrunk:
    """The network and the face model it was trained with."""

    network: LoadedRegressor
    model: MorphableModel
    device: str
    card: MethodCard = CARD

    @property
    def crop_size(self) -> int:
        """Side in pixels of the crops, as the checkpoint's recipe says."""
        return self.network.crop_size

    @property
    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """None: errors by part of the face are left out."""
        return {}

    @property
    def model_digest(self) -> str:
        """Digest of the face model."""
        return self.model.digest

    @property
    def checkpoint_digest(self) -> str:
        """SHA-256 of the weights file."""
        return self.network.digest

    @property
    def digest(self) -> str:
        """Everything that decides the numbers: weights, model and factor."""
        decisive = f"{self.network.digest} {self.model.digest} {FACTOR}"
        return hashlib.sha256(decisive.encode()).hexdigest()

    def describe(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Identity coefficients (B, K) of (B, S, S, 3) crops."""
        import torch

        with torch.inference_mode():
            images = torch.tensor(crops, device=self.device).permute(0, 3, 1, 2).float() / 255
            identity = self.network.regressor(images).identity
        return np.asarray(FACTOR * identity.cpu().numpy(), np.float32)

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        """The neutral face of the coefficients, mm."""
        return self.model.mesh(identity=vector)


def build(options: MethodOptions) -> Shrunk:
    """The network of a checkpoint; torch is imported here, so that listing methods stays quick."""
    from facebench.recon.regressors.checkpoint import embedded_weights, load_regressor

    model = load_model(options.model)
    network = load_regressor(options.checkpoint or embedded_weights(), model)
    network.regressor.to(options.device)
    return Shrunk(network, model, options.device)
