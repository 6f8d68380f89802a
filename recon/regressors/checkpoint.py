"""Trained regressors on disk: what training leaves and what reconstruction reads.

Also the network that a recipe describes: fresh, or of the build that weights were taken from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import FacebenchError
from ..face.coefficients import CoefficientSizes
from ..face.crop import mean_face_pose
from ..morphable import EMBEDDED, HUMAN
from ..morphable.model import MorphableModel
from ..network.dense import LandmarkNetwork
from ..network.resnet import iresnet_like
from ..network.tensor_files import FORMAT, build_fitting, read_content, recipe_in, write_content
from ..recipes.baselines import GenovaRecipe, RichardsonRecipe
from ..recipes.files import AnyRecipe, network_of
from ..recipes.regressor import ImageRecipe, Recipe, RegressorRecipe
from ..render import make_renderer
from ..render.face import FaceDecoder, FaceRenderer
from ..vision.landmarks import landmark_network
from ..vision.recognition import Recogniser, make_recogniser
from .regressor import FaceNetwork, FaceRegressor, FeatureRegressor, OwnRender, RefiningRegressor

Weights = Mapping[str, torch.Tensor]
"""A state dict."""


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
    network: FaceNetwork = network_of(recipe)(recipe, model, None)
    return network


def image_network(recipe: ImageRecipe, model: MorphableModel, _: Weights | None) -> FaceNetwork:
    """A network that looks at the photograph, as its recipe says."""
    return FaceRegressor(recipe.network, CoefficientSizes.of(model), mean_face_pose(model))


def refining_network(
    recipe: RichardsonRecipe, model: MorphableModel, _: Weights | None
) -> FaceNetwork:
    """A network that looks at the photograph and at its own render."""
    draw = OwnRender(face_renderer(recipe, model))
    sizes, pose = CoefficientSizes.of(model), mean_face_pose(model)
    return RefiningRegressor(recipe.network, sizes, pose, draw)


def feature_network(
    recipe: GenovaRecipe, model: MorphableModel, weights: Weights | None
) -> FaceNetwork:
    """A decoder behind a frozen recogniser and landmark detector, of their files or of weights."""
    if weights is None:
        recogniser = make_recogniser(recipe.network.recogniser)
        landmarker = landmark_network(recipe.network.landmarker)
    else:
        # From the weights alone: a checkpoint must load where the files it began with are gone.
        recogniser = Recogniser(iresnet_like(_under(weights, "recogniser.network.")))
        width = weights["landmarker.trunk.conv1.weight"].shape[0]
        landmarker = LandmarkNetwork(width, int(weights["landmarker_size"]))
    return FeatureRegressor(recipe.network, model, recogniser, landmarker)


def _under(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of a part, by their names in it."""
    return {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }


@dataclass(frozen=True)
class LoadedRegressor:
    """A trained regressor and where it comes from.

    Attributes:
        regressor: in evaluation mode, float32.
        recipe: it was trained by.
        steps: it was trained for.
        seed: of its training.
        model_digest: of the face model it was trained with.
        digest: SHA-256 of the file.
    """

    regressor: FaceNetwork
    recipe: RegressorRecipe
    steps: int
    seed: int
    model_digest: str
    digest: str

    @property
    def crop_size(self) -> int:
        """Side in pixels of the square crops the regressor takes."""
        return self.regressor.image_size


def embedded_weights(model: str = EMBEDDED) -> Path:
    """The weights of `ours` that come with the package.

    Args:
        model: name of a face model. Of those without weights it gets the embedded one's, which
            `load_regressor` refuses for it.
    """
    folder = Path(__file__).parents[1] / "network" / "embedded"
    return (folder / HUMAN if model == HUMAN else folder) / "weights.pt"


def describe_weights(
    learner: nn.Module, recipe: AnyRecipe, model_digest: str, steps: int, seed: int
) -> dict[str, Any]:
    """What was learned and how, as plain values and tensors: all that `load_regressor` needs."""
    return {
        "format": FORMAT,
        "weights": learner.state_dict(),
        "recipe": json.dumps(recipe.as_table()),
        "model_digest": model_digest,
        "steps": steps,
        "seed": seed,
    }


def save_weights(
    path: Path,
    regressor: FaceNetwork,
    recipe: RegressorRecipe,
    model_digest: str,
    steps: int,
    seed: int,
) -> None:
    """Write the weights for inference, matrices in float16, by rename."""
    content = describe_weights(regressor, recipe, model_digest, steps, seed)
    content["weights"] = {
        # Nearly all bytes are the backbone's; what frames the first face must come back exactly.
        name: value.half() if value.ndim > 1 and name.startswith("backbone.") else value
        for name, value in content["weights"].items()
    }
    write_content(path, content)


def load_regressor(path: Path, model: MorphableModel) -> LoadedRegressor:
    """The regressor of a weights or checkpoint file, for the face model it was trained with.

    Raises:
        FacebenchError: no such file, not a checkpoint, one of another face model, or the weights of
            a network that prepares photographs.
    """
    content = read_content(path)
    recipe = recipe_in(path, content)
    if not isinstance(recipe, RegressorRecipe):
        raise FacebenchError(
            f"{path} holds the weights of a {recipe.kind}, not of a face regressor",
            "give those of a method, as 'facebench train --recipe ours' leaves them",
        )
    # Before the network is built, whose size follows from the face model's.
    check_model(path, content, model)
    regressor = _of_the_build(path, recipe, model, content["weights"])
    restore(regressor, content["weights"], path)
    return LoadedRegressor(
        regressor=regressor.eval(),
        recipe=recipe,
        steps=int(content["steps"]),
        seed=int(content["seed"]),
        model_digest=content["model_digest"],
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _of_the_build(
    path: Path, recipe: RegressorRecipe, model: MorphableModel, weights: Weights
) -> FaceNetwork:
    """The recipe's network, of a size that the weights themselves have."""
    # Of the build that weights have, not yet with them; no other file is read.
    build: Callable[[], FaceNetwork] = partial(network_of(recipe), recipe, model, weights)
    try:
        # The others are put together from parts of their own files.
        return build_fitting(build, weights) if type(recipe) is Recipe else build()
    except (ValueError, KeyError, IndexError, RuntimeError, TypeError) as error:
        raise _misfit_error(path) from error


def starting_weights(path: Path, recipe: RegressorRecipe, model: MorphableModel) -> Weights:
    """What another training begins with: a regressor's weights from a weights or checkpoint file.

    Raises:
        FacebenchError: no such file, or a regressor of another face model, network or picture size.
    """
    loaded = load_regressor(path, model)
    ours, theirs = _network_table(recipe), _network_table(loaded.recipe)
    # Field by field, so that the message can name the one that differs.
    for field in ours | theirs:
        if ours.get(field) != theirs.get(field):
            raise FacebenchError(
                f"{path} has network.{field} {theirs.get(field)}, the recipe has {ours.get(field)}",
                "start from weights of the same network, or change the recipe with --set",
            )
    return loaded.regressor.state_dict()


def _network_table(recipe: RegressorRecipe) -> dict[str, Any]:
    """What decides a network's weights; a number format does not."""
    table: dict[str, Any] = recipe.as_table()["network"]
    return {name: value for name, value in table.items() if name != "precision"}


def restore(learner: nn.Module, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load a state dict from the file at `path` into what it was saved from."""
    try:
        # Strict: names too many or too few are another network's.
        learner.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise _misfit_error(path) from error


def _misfit_error(path: Path) -> FacebenchError:
    return FacebenchError(
        f"checkpoint {path}: its weights do not fit its own recipe", "train it again"
    )


def check_model(path: Path, content: Mapping[str, Any], model: MorphableModel) -> None:
    """Refuse a checkpoint of another face model, naming both."""
    digest = content.get("model_digest")
    if not isinstance(digest, str):
        raise FacebenchError(f"{path} holds no face regressor", "give one of 'facebench train'")
    # Same sizes, other bases: the coefficients would draw another face without any error.
    if digest != model.digest:
        raise FacebenchError(
            f"checkpoint {path} was trained with face model {digest[:12]}, "
            f"but '{model.name}' is {model.digest[:12]}",
            "give the face model it was trained with",
        )
