"""Recipes of every network that is trained here, told apart by their `kind`; without one: ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import FacebenchError, did_you_mean
from .baselines import GenovaRecipe, RichardsonRecipe, TranRecipe
from .record import build_record
from .regressor import Recipe, RegressorRecipe
from .vision import LandmarkerRecipe, ParserRecipe, RecogniserRecipe, VisionRecipe

AnyRecipe = RegressorRecipe | VisionRecipe

KINDS: dict[str, type[AnyRecipe]] = {
    "ours": Recipe,
    "mofa": Recipe,
    **{recipe.kind: recipe for recipe in (GenovaRecipe, RichardsonRecipe, TranRecipe)},
    **{recipe.kind: recipe for recipe in (ParserRecipe, RecogniserRecipe, LandmarkerRecipe)},
}
"""What a recipe is made of, by what it trains: a method or a network for photographs."""


def recipe_from_table(table: Mapping[str, Any]) -> AnyRecipe:
    """The recipe of nested plain values.

    Raises:
        FacebenchError: an unknown kind or key, or a value of the wrong type.
    """
    kind = str(table.get("kind", Recipe.kind))
    where = f"recipe {table.get('name', '')}".strip()
    if kind not in KINDS:
        raise FacebenchError(f"{where}: unknown kind '{kind}'", did_you_mean(kind, KINDS))
    return build_record(KINDS[kind], table, where)
