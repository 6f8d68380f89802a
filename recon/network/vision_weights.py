"""Weights of parser, recogniser and landmarker as this package writes and finds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from ...errors import FacebenchError
from ..recipes.vision import VisionRecipe
from .tensor_files import (
    FORMAT,
    UnreadableTensorsError,
    load_tensors,
    read_content,
    recipe_in,
    write_content,
)

EMBEDDED = "embedded"

EMBEDDED_RECIPES = {
    "parser": "parser-embedded",
    "recogniser": "recogniser-embedded",
    "landmarker": "landmarker",
}
"""The recipe of the weights that the package keeps, by kind of network."""

Kind = TypeVar("Kind", bound=VisionRecipe)


def embedded_network(kind: str) -> Path:
    """Where the package keeps the weights of a kind of network."""
    return Path(__file__).parent / "embedded" / f"{kind}.pt"


def chosen_weights(weights: str | Path, kind: str) -> Path:
    """The file that a user's choice of weights means.

    Raises:
        FacebenchError: the package holds no such weights, or there is no such file.
    """
    if str(weights) != EMBEDDED:
        path = Path(weights)
        if not path.is_file():
            raise FacebenchError(
                f"no {kind} weights at {path}", f"give '{EMBEDDED}' or a weights file"
            )
        return path
    path = embedded_network(kind)
    if not path.is_file():
        raise FacebenchError(
            f"the package holds no {kind} weights",
            f"train some with 'facebench train --recipe {EMBEDDED_RECIPES[kind]}', give the file",
        )
    return path


def save_network(
    path: Path, state: Mapping[str, Tensor], recipe: VisionRecipe, steps: int, seed: int
) -> None:
    """Write a trained network for inference, matrices in float16, by rename."""
    # Half the file; vectors are few, and running variances may leave float16's range.
    halved = {name: value.half() if value.ndim > 1 else value for name, value in state.items()}
    content = {"weights": halved, "recipe": json.dumps(recipe.as_table())}
    write_content(path, content | {"format": FORMAT, "steps": steps, "seed": seed})


def is_own_file(path: Path) -> bool:
    """Whether a readable file is one that this package wrote; a public state dict is not."""
    try:
        content = load_tensors(path)
    except UnreadableTensorsError:  # who reads it next says so
        return False
    return isinstance(content, dict) and "format" in content and "recipe" in content


def load_network(path: Path, kind: type[Kind]) -> tuple[dict[str, Tensor], Kind]:
    """Tensors by name and recipe, which says their sizes, of a file that `save_network` wrote.

    Raises:
        FacebenchError: no such file, or one of another kind.
    """
    content = read_content(path)
    recipe = recipe_in(path, content)
    if not isinstance(recipe, kind):
        found = getattr(recipe, "kind", "face regressor")
        raise FacebenchError(
            f"{path} holds the weights of a {found}, not of a {kind.kind}",
            f"give those of 'facebench train --recipe {kind.kind}'",
        )
    # Its weights are the newest, not the averaged ones that the recipe may ask for.
    if "optimiser" in content:
        raise FacebenchError(f"{path} is a checkpoint to resume from", "give its weights.pt")
    # Networks compute in float32; float16 is how files keep it.
    return {name: value.float() for name, value in content["weights"].items()}, recipe
