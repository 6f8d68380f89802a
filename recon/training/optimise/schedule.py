"""The learning rate over the steps of a training."""

from __future__ import annotations

import math

from ...recipes.parts import OptimiserRecipe


def learning_rate(recipe: OptimiserRecipe, step: int, steps: int) -> float:
    """Learning rate of a step counted from 0: linear warm-up, then constant or half a cosine."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    if recipe.schedule == "constant":
        return recipe.learning_rate * warm
    after = max(0, step - recipe.warmup_steps) / max(1, steps - recipe.warmup_steps)
    return recipe.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, after)))
