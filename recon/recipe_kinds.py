"""Recipes of every network that is trained here, told apart by their `kind`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..errors import FacebenchError
from .recipe import Recipe, build_record
from .vision_recipe import LandmarkerRecipe, ParserRecipe, RecogniserRecipe, VisionRecipe

AnyRecipe = Recipe | VisionRecipe

KINDS: dict[str, type[VisionRecipe]] = {
    recipe.kind: recipe for recipe in (ParserRecipe, RecogniserRecipe, LandmarkerRecipe)
}
"""The recipes that name what they train; one without a `kind` is a face regressor's."""


def recipe_from_table(table: Mapping[str, Any]) -> AnyRecipe:
    """The recipe of nested plain values.

    Raises:
        FacebenchError: an unknown kind or key, or a value of the wrong type.
    """
    if "kind" not in table:
        return Recipe.from_table(table)
    kind, where = str(table["kind"]), f"recipe {table.get('name', '')}".strip()
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(KINDS)}"
        raise FacebenchError(f"{where}: unknown kind '{kind}'", hint)
    return build_record(KINDS[kind], table, where)
