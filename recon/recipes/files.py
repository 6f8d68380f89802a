"""Recipes from the package or a user's TOML file, with their base and changes on top.

The key `kind` says what a recipe trains; without it: ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import FacebenchError, did_you_mean
from ..files.text import MOST_TOML_BYTES, parse_toml, read_text
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


def recipe_names() -> list[str]:
    """Names of the recipes in the package."""
    folder = resources.files(__package__)
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml"))


def load_recipe(name: str, settings: Iterable[str] = ()) -> Recipe:
    """A recipe by name, or from a TOML file by path, with its `base` recipes under it.

    Args:
        name: a name from `recipe_names`, or the path of a `.toml` file.
        settings: changes on top, each `key=value` with a dotted key and a TOML value.

    Raises:
        FacebenchError: an unknown recipe or key, a value of the wrong type, or a recipe without
            the multi-level loss of `ours` and `mofa`.
    """
    recipe = load_any_recipe(name, settings)
    if not isinstance(recipe, Recipe):
        raise FacebenchError(f"recipe {name} trains a {recipe.kind}, without the multi-level loss")
    return recipe


def load_any_recipe(name: str, settings: Iterable[str] = ()) -> AnyRecipe:
    """As `load_recipe`, for the recipe of any network."""
    table = _with_base(name, seen=())
    table.setdefault("name", Path(name).stem)
    for setting in settings:
        table = _merge(table, _parse_setting(setting))
    return recipe_from_table(table)


def _with_base(name: str, seen: Sequence[str]) -> dict[str, Any]:
    if name in seen:
        raise FacebenchError(f"recipe {name}: its base leads back to itself", "drop one 'base'")
    table = _read(name)
    base = table.pop("base", None)
    if base is None:
        return table
    beneath = _with_base(str(base), (*seen, name))
    return _merge(beneath, {"name": Path(name).stem} | table)


def _read(name: str) -> dict[str, Any]:
    try:
        return parse_toml(_text(name))
    except (OSError, ValueError) as error:
        raise FacebenchError(f"recipe {name}: not valid TOML: {error}") from error


def _text(name: str) -> str:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise FacebenchError(f"no recipe file {name}", f"named recipes: {_listed()}")
        return read_text(path, MOST_TOML_BYTES)
    if name not in recipe_names():
        raise FacebenchError(f"no recipe '{name}'", did_you_mean(name, recipe_names()))
    source = resources.files(__package__) / f"{name}.toml"
    return source.read_text(encoding="utf-8")


def _listed() -> str:
    return ", ".join(recipe_names())


def _parse_setting(setting: str) -> dict[str, Any]:
    key, equals, value = setting.partition("=")
    if not equals:
        raise FacebenchError(f"setting '{setting}' has no value", "write KEY=VALUE")
    try:
        parsed: Any = parse_toml(f"value = {value}")["value"]
    except ValueError:
        parsed = value
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _merge(beneath: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(beneath)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged
