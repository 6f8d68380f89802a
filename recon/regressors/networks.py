"""The network that a recipe describes: fresh, or of the build that weights were taken from."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..face.coefficients import CoefficientSizes
from ..face.crop import frame_mean_face
from ..morphable.decoder import FaceDecoder
from ..morphable.model import MorphableModel
from ..network.iresnet import iresnet_like
from ..network.landmarker import LandmarkNetwork
from ..recipes.baselines import GenovaRecipe, RichardsonRecipe
from ..recipes.regressor import ImageRecipe, RegressorRecipe
from ..render import make_renderer
from ..render.face import FaceRenderer
from ..vision.landmarks import landmark_network
from ..vision.recognition import Recogniser, make_recogniser
from .face_network import FaceNetwork
from .feature_regressor import FeatureRegressor
from .refining import OwnRender, RefiningRegressor
from .regressor import FaceRegressor


def face_renderer(recipe: RegressorRecipe, model: MorphableModel) -> FaceRenderer:
    """Draws a model's faces at the size and in the way of a recipe."""
    drawing, size = recipe.renderer, recipe.image_size
    renderer = make_renderer(drawing.kind, drawing.sigma, drawing.gamma)
    return FaceRenderer(FaceDecoder(model), renderer, (size, size))


def fresh_network(recipe: RegressorRecipe, model: MorphableModel) -> FaceNetwork:
    """A recipe's network with random weights; what is frozen in it comes from its files.

    Raises:
        FacebenchError: those files cannot be used.
    """
    if isinstance(recipe, GenovaRecipe):
        recogniser = make_recogniser(recipe.network.recogniser)
        landmarker = landmark_network(recipe.network.landmarker)
        return FeatureRegressor(recipe.network, model, recogniser, landmarker)
    return _image_network(recipe, model)


def restored_network(
    recipe: RegressorRecipe, model: MorphableModel, weights: Mapping[str, Tensor]
) -> FaceNetwork:
    """A network of the build that weights have, not yet with them; no other file is read."""
    if isinstance(recipe, GenovaRecipe):
        recogniser = Recogniser(iresnet_like(_under(weights, "recogniser.network.")))
        width = weights["landmarker.trunk.conv1.weight"].shape[0]
        landmarker = LandmarkNetwork(width, int(weights["landmarker_size"]))
        return FeatureRegressor(recipe.network, model, recogniser, landmarker)
    return _image_network(recipe, model)


def _image_network(recipe: RegressorRecipe, model: MorphableModel) -> FaceNetwork:
    sizes, framing = CoefficientSizes.of(model), frame_mean_face(model)
    if isinstance(recipe, RichardsonRecipe):
        draw = OwnRender(face_renderer(recipe, model))
        return RefiningRegressor(recipe.network, sizes, framing, draw)
    if isinstance(recipe, ImageRecipe):
        return FaceRegressor(recipe.network, sizes, framing)
    raise TypeError(f"no network for {type(recipe).__name__}")


def _under(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of a part, by their names in it."""
    return {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }
