"""Who is it? Frozen face-recognition features with the alignment they expect."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import FacebenchError
from ..network.iresnet import DEPTHS, IResNet
from ..network.state_dicts import fit_state_dict, fitted, read_state_dict, recognised
from ..network.vision_weights import EMBEDDED, chosen_weights, is_own_file, load_network
from ..recipes.vision import RecogniserRecipe
from .alignment import align_faces
from .five_points import five_points

SOURCE = "https://github.com/deepinsight/insightface, 'arcface_torch' model zoo (backbone.pth)"


class Recogniser(nn.Module):
    """Identity features of faces wherever they are in their images; fulfils `IdentityFeatures`.

    The network is frozen and stays in evaluation mode; gradients flow to the images.

    Args:
        network: trained on aligned faces.
    """

    def __init__(self, network: IResNet) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Recogniser:
        """Stay as it is: statistics of a batch would change who somebody is."""
        return super().train(False)

    def forward(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Features (B, D) of RGB images (B, 3, H, W) in [0, 1] with landmarks (68, 2, B) in px.

        A landmark that is NaN does not count in the alignment.
        """
        faces = align_faces(images, five_points(landmarks.detach()), self.network.image_size)
        features: Tensor = self.network(faces * 2.0 - 1.0)
        return features


def make_recogniser(
    weights: str | Path = EMBEDDED, device: torch.device | str = "cpu"
) -> Recogniser:
    """Frozen recognition features.

    Args:
        weights: `embedded`, a file of `facebench train --recipe recogniser`, or a public ArcFace
            `backbone.pth`, whose depth is told by its names.
        device: where they are computed.

    Raises:
        FacebenchError: no such weights, or not those of a recogniser.
    """
    path = chosen_weights(weights, "recogniser")
    network = _own(path) if is_own_file(path) else _public(path)
    return Recogniser(network).to(device)


def _own(path: Path) -> IResNet:
    loaded = load_network(path, RecogniserRecipe)
    size = loaded.recipe.network
    build = partial(IResNet, size.architecture, size.outputs, size.width, size.image_size)
    return fitted(build, loaded.state, path, f"the {size.architecture} of its recipe")


def _public(path: Path) -> IResNet:
    state = read_state_dict(path, SOURCE)
    title = recognised(state)
    architecture = title.replace("-", "").lower()
    if architecture not in DEPTHS:
        raise FacebenchError(
            f"{path} is not an ArcFace network{f'; this looks like {title}' if title else ''}",
            f"give weights of {SOURCE}",
        )
    network = IResNet(architecture)
    fit_state_dict(network, state, path, title)
    return network
