"""What every network is that gives the coefficients of the face in a photograph."""

from __future__ import annotations

from torch import Tensor, nn

from ..face.coefficients import Coefficients, CoefficientSizes


class FaceNetwork(nn.Module):
    """Coefficients of the faces in square photographs.

    Attributes:
        image_size: side of the photographs in px.
        sizes: numbers of coefficients of the face model.
    """

    image_size: int
    sizes: CoefficientSizes

    def forward(self, images: Tensor) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1]; angles in radians."""
        raise NotImplementedError
