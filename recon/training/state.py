"""The state of a training on disk, and taking it up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...errors import FacebenchError, error_line
from ..network.weights_content import read_content, recipe_in, write_content
from ..recipes.kinds import AnyRecipe
from ..regressors.checkpoint import describe_weights, restore
from .data.trainee import Trainee


def save_state(path: Path, trainer: Trainee[Any], rows: int) -> None:
    """Write weights, optimiser, average, step, random state and what the training is of.

    The place in the data follows from seed, step and the shards' rows (`order.py`), random changes
    of photographs and second views from seed, step and place in the batch.
    """
    content = describe_weights(
        trainer.learner, trainer.recipe, trainer.model_digest, trainer.step, trainer.seed
    )
    content |= trainer.descent.state()
    content |= {
        "random": torch.get_rng_state(),
        "skipped": trainer.skipped,
        "rows": rows,
    }
    write_content(path, content)


def restore_state(path: Path, trainer: Trainee[Any], rows: int) -> None:
    """Take up the training saved at `path`.

    Raises:
        FacebenchError: the file is of another model, recipe, seed or data set.
    """
    content = read_content(path)
    _check_same(path, content, trainer, rows)
    restore(trainer.learner, content["weights"], path)
    try:
        trainer.descent.restore(content)
        torch.set_rng_state(content["random"])
        trainer.step = int(content["steps"])
        trainer.skipped = int(content["skipped"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        said = f"checkpoint {path} is damaged ({error_line(error)})"
        raise FacebenchError(said, "remove it, or give another --out") from error


def _check_same(path: Path, content: Mapping[str, Any], trainer: Trainee[Any], rows: int) -> None:
    if "optimiser" not in content:
        raise FacebenchError(f"{path} holds weights only", "resume from a checkpoint.pt")
    recipe = recipe_in(path, content)
    for what, old, new in (
        ("face model", str(content.get("model_digest"))[:12], trainer.model_digest[:12]),
        ("seed", content["seed"], trainer.seed),
        ("number of photographs", content.get("rows"), rows),
        ("recipe", _what_matters(recipe), _what_matters(trainer.recipe)),
    ):
        if old != new:
            raise FacebenchError(
                f"{path} is a training with another {what} ({_difference(old, new)})",
                "give another --out, or the settings it was started with",
            )


def _what_matters(recipe: AnyRecipe) -> dict[str, Any]:
    """The recipe without what may change between two runs of one training."""
    table = asdict(recipe)
    table["training"] = {"batch_size": recipe.training.batch_size}
    return table


def _difference(old: Any, new: Any) -> str:
    if not isinstance(old, dict):
        return f"{old}, now {new}"
    changed = [key for key in new if old.get(key) != new[key]]
    return ", ".join(changed)
