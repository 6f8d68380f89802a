"""Methods whose meshes are a morphable model's, and those that regress its coefficients."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ...recon.morphable.load import load_model
from ..landmarks import face_parts
from .interface import MethodCard, MethodOptions

if TYPE_CHECKING:
    from ...recon.face.coefficients import Coefficients
    from ...recon.render.face_in_photograph import FaceInPhotograph


class ModelFaces:
    """The faces of a model.

    Args:
        options: with the face model, and the expression of its faces; with `predicted` a vector
            holds both kinds of coefficients.
    """

    def __init__(self, options: MethodOptions) -> None:
        self.model, self.expression = load_model(options.model), options.expression

    @property
    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """The vertices of each part of the face, by the model's regions."""
        return face_parts(self.model.region, self.model.region_names)

    @property
    def model_digest(self) -> str:
        """Digest of the face model."""
        return self.model.digest

    def vectors(self, found: Coefficients) -> NDArray[np.float32]:
        """Identity coefficients (B, K), and behind them those of a predicted expression."""
        # Here: listing methods reads this module and must not load PyTorch for it.
        import torch

        parts = [found.identity]
        # Behind the identity, so that a mean over frames averages both and `mesh` can part them.
        if self.expression == "predicted":
            parts.append(found.expression)
        return np.asarray(torch.cat(parts, dim=1).cpu().numpy(), np.float32)

    def mesh(self, vector: NDArray[np.floating]) -> Mesh:
        """The face of one of `vectors`, mm."""
        n_identity = self.model.identity_basis.shape[2]
        expression = vector[n_identity:] if self.expression == "predicted" else None
        return self.model.mesh(identity=vector[:n_identity], expression=expression)


class RegressedFaces(ModelFaces):
    """A regressor with the face model it was trained with, and the weights of its own recipe.

    Args:
        card: of the method; its name is the `kind` of its recipes.
        options: with the checkpoint and the face model.
        embedded: whether the package holds weights of it, for its own face models.

    Raises:
        FacebenchError: no checkpoint, one that cannot be used, or one of another method.
    """

    def __init__(self, card: MethodCard, options: MethodOptions, embedded: bool = False) -> None:
        from ...recon.regressors.checkpoint import embedded_weights, load_regressor

        if options.checkpoint is None and not embedded:
            raise FacebenchError(
                f"method '{card.name}' comes without weights",
                f"train some: facebench train --recipe {card.name} --data FACES --out training; "
                "then give --checkpoint training/weights.pt",
            )
        super().__init__(options)
        self.card, self._device = card, options.device
        path = options.checkpoint or embedded_weights(self.model.name)
        self.loaded = load_regressor(path, self.model)
        recipe = self.loaded.recipe
        if recipe.kind != card.name:
            raise FacebenchError(
                f"checkpoint {path} was trained by recipe '{recipe.name}' as method "
                f"'{recipe.kind}', not '{card.name}'",
                f"give --method {recipe.kind}",
            )
        self.loaded.regressor.to(options.device)

    @property
    def crop_size(self) -> int:
        """Side of the crops in px, as the checkpoint's recipe says."""
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
        """What the network says of each crop, see `vectors`."""
        return self.vectors(self._regress(crops))

    def faces_in_photographs(self, crops: NDArray[np.uint8]) -> list[FaceInPhotograph]:
        """Everything that the network says of each crop."""
        from ...recon.face.coefficients import FaceCoefficients
        from ...recon.render.face_in_photograph import decode_faces

        return decode_faces(self.model, FaceCoefficients.of(self._regress(crops)))

    def _regress(self, crops: NDArray[np.uint8]) -> Coefficients:
        import torch

        with torch.inference_mode():
            images = torch.tensor(crops, device=self._device).permute(0, 3, 1, 2).float() / 255.0
            found: Coefficients = self.loaded.regressor(images)
        return found
