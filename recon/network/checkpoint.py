"""Weights on disk: what training leaves and what reconstruction reads."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import nn

from ...errors import FacebenchError
from ..coefficients import CoefficientSizes
from ..files import replacing
from ..framing import Framing
from ..morphable.model import MorphableModel
from ..recipe import NetworkRecipe, Recipe
from ..recipe_kinds import AnyRecipe
from .regressor import FaceRegressor

FORMAT = 1

Weights = Mapping[str, torch.Tensor]
"""A state dict."""


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

    regressor: FaceRegressor
    recipe: Recipe
    steps: int
    seed: int
    model_digest: str
    digest: str

    @property
    def crop_size(self) -> int:
        """Side in pixels of the square crops the regressor takes."""
        return self.regressor.image_size


def embedded_weights() -> Path:
    """The weights of `ours` that come with the package, for the embedded face model."""
    return Path(__file__).parent / "embedded" / "weights.pt"


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
    path: Path, regressor: FaceRegressor, recipe: Recipe, model_digest: str, steps: int, seed: int
) -> None:
    """Write the weights for inference, matrices in float16, by rename."""
    content = describe_weights(regressor, recipe, model_digest, steps, seed)
    content["weights"] = {
        name: value.half() if value.ndim > 1 and name.startswith("backbone.") else value
        for name, value in content["weights"].items()
    }
    write_content(path, content)


def load_regressor(path: Path, model: MorphableModel) -> LoadedRegressor:
    """The regressor of a weights or checkpoint file, for the face model it was trained with.

    Raises:
        FacebenchError: no such file, not a checkpoint, or one of another face model.
    """
    content = read_content(path)
    check_model(path, content, model)
    recipe = Recipe.from_table(json.loads(content["recipe"]))
    sizes = CoefficientSizes.of(model)
    regressor = FaceRegressor(recipe.network, sizes, Framing(1.0, 0.0, 0.0))
    restore(regressor, content["weights"], path)
    return LoadedRegressor(
        regressor=regressor.eval(),
        recipe=recipe,
        steps=int(content["steps"]),
        seed=int(content["seed"]),
        model_digest=content["model_digest"],
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def starting_weights(path: Path, recipe: NetworkRecipe, model: MorphableModel) -> Weights:
    """What another training begins with: a regressor's weights from a weights or checkpoint file.

    Raises:
        FacebenchError: no such file, or a regressor of another face model, network or picture size.
    """
    loaded = load_regressor(path, model)
    theirs = loaded.recipe.network
    for field in ("architecture", "width", "image_size", "pooling", "output_scale"):
        ours, other = getattr(recipe, field), getattr(theirs, field)
        if ours != other:
            raise FacebenchError(
                f"{path} has network.{field} {other}, the recipe has {ours}",
                "start from weights of the same network, or change the recipe with --set",
            )
    return loaded.regressor.state_dict()


def restore(learner: nn.Module, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load a state dict from the file at `path` into what it was saved from."""
    try:
        learner.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise FacebenchError(
            f"checkpoint {path}: its weights do not fit its own recipe", "train it again"
        ) from error


def check_model(path: Path, content: Mapping[str, Any], model: MorphableModel) -> None:
    """Refuse a checkpoint of another face model, naming both."""
    digest = content["model_digest"]
    if digest != model.digest:
        raise FacebenchError(
            f"checkpoint {path} was trained with face model {digest[:12]}, "
            f"but '{model.name}' is {model.digest[:12]}",
            "give the face model it was trained with",
        )


def write_content(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint by rename, so that a reader never sees half a file."""
    with replacing(path) as draft:
        save_tensors(draft, content)


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """`torch.save`, whose writer would hide a full disk behind an error of its own."""
    try:
        with path.open("wb") as file:
            torch.save(dict(content), file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def read_content(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file, without running anything in it."""
    if not path.is_file():
        raise FacebenchError(f"no checkpoint at {path}", "make one with 'facebench train'")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, BadZipFile, pickle.UnpicklingError) as e:
        raise FacebenchError(
            f"checkpoint {path} cannot be read", "it is truncated or not a checkpoint"
        ) from e
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FacebenchError(
            f"{path} is not a checkpoint of facebench", f"expected format {FORMAT}"
        )
    return content
