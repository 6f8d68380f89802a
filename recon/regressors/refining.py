"""A regressor that looks at what it drew, and corrects it (Richardson et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..face.coefficients import Coefficients, CoefficientSizes
from ..face.crop import Framing
from ..recipes.baselines import RefiningNetwork
from ..render.face import FaceRenderer
from .regressor import FaceRegressor


class OwnRender:
    """Draws faces where their coefficients are, without gradient.

    It is no module: the face model's bases are neither learned nor saved, and no copies of them
    travel with a network's state.

    Args:
        face: the face model with its renderer.
    """

    def __init__(self, face: FaceRenderer) -> None:
        self._face = face

    @torch.no_grad()
    def __call__(self, faces: Coefficients) -> Tensor:
        """Pictures (B, 3, S, S) over black."""
        device = faces.pose.device
        with torch.autocast(device.type, enabled=False):  # eight bits would move its vertices
            image: Tensor = self._face.to(device)(faces).rendering.image
        return image


class RefiningRegressor(FaceRegressor):
    """Sees the photograph beside its own render of the face so far, and moves that face.

    The first pass sees the mean face, so that one network takes every pass.

    Args:
        recipe: the backbone, and how many passes are made.
        sizes: numbers of coefficients of the face model.
        framing: where the mean face stands at first.
        draw: draws faces.
    """

    def __init__(
        self, recipe: RefiningNetwork, sizes: CoefficientSizes, framing: Framing, draw: OwnRender
    ) -> None:
        super().__init__(recipe, sizes, framing)
        self.passes = recipe.passes
        self.backbone.conv1 = _with_channels(self.backbone.conv1, 6)
        self._draw = draw

    def forward(self, images: Tensor, last: Coefficients | None = None) -> Coefficients:
        """Coefficients of RGB images (B, 3, S, S) in [0, 1] after all passes.

        Args:
            images: the photographs.
            last: where given, a single pass is made, from these faces.
        """
        if last is not None:
            return self._refined(images, last)
        return self.refined(images, self.passes)

    def refined(self, images: Tensor, passes: int) -> Coefficients:
        """The faces after so many passes; after none, the mean face in view, as a batch of one."""
        faces = self.start()
        for _ in range(passes):
            faces = self._refined(images, faces)
        return faces

    def _refined(self, images: Tensor, last: Coefficients) -> Coefficients:
        """One pass from the faces of a batch, or from one face for all."""
        drawn = self._draw(last).expand_as(images)
        seen = [self.normalise(images), self.normalise(drawn)]
        return self.moved(last, self.outputs(torch.cat(seen, dim=1)))


def _with_channels(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """A fresh first convolution like another, for pictures of more channels."""
    size, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    assert isinstance(padding, int)
    wider = nn.Conv2d(channels, layer.out_channels, size, stride, padding, bias=False)
    nn.init.kaiming_normal_(wider.weight, mode="fan_out", nonlinearity="relu")
    return wider
