"""Recipes from the package or a user's TOML file, with their base and changes on top.

The key `kind` says what a recipe trains; without it: ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, resources
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ...errors import FacebenchError, did_you_mean, error_line
from ..files.records import bind
from ..files.text import MOST_TOML_BYTES, parse_toml, read_text
from .baselines import GenovaRecipe, RichardsonRecipe, TranRecipe
from .regressor import Recipe, RegressorRecipe
from .vision import LandmarkerRecipe, ParserRecipe, RecogniserRecipe, VisionRecipe

AnyRecipe = RegressorRecipe | VisionRecipe

PLUGINS = "facebench.trainings"
"""Entry points of other packages; loading one calls `register_kind`."""


@dataclass(frozen=True)
class Kind:
    """A kind of training.

    Attributes:
        recipe: the class of its recipes.
        training: `module:function` of the package, or a function. Of a `RegressorRecipe`: (recipe,
            material, worker) to trainer and source of batches. Of a `VisionRecipe`: (recipe,
            number of people, process group) to learner.
        network: likewise, of a `RegressorRecipe`: (recipe, face model, weights of the build or
            None) to network.
    """

    recipe: type[AnyRecipe]
    training: str | Callable[..., Any]
    network: str | Callable[..., Any] = "regressors.checkpoint:image_network"


_OURS = Kind(Recipe, "training.methods.loop:weakly_supervised")
_KINDS: dict[str, Kind] = {
    # Functions by name: a recipe is read, listed and checked without PyTorch's training code.
    "ours": _OURS,
    "mofa": _OURS,
    "genova": Kind(
        GenovaRecipe,
        "training.methods.loop:from_features",
        "regressors.checkpoint:feature_network",
    ),
    "richardson": Kind(
        RichardsonRecipe,
        "training.methods.loop:from_true_coefficients",
        "regressors.checkpoint:refining_network",
    ),
    "tran": Kind(TranRecipe, "training.methods.loop:from_fitted_labels"),
    "parser": Kind(ParserRecipe, "training.tasks.parser:ParserLearner"),
    "recogniser": Kind(RecogniserRecipe, "training.tasks.recogniser:RecogniserLearner"),
    "landmarker": Kind(LandmarkerRecipe, "training.tasks.landmarker:LandmarkLearner"),
}


def register_kind(name: str, kind: Kind) -> None:
    """Make a kind of training known under the `kind` that its recipes state."""
    _KINDS[name] = kind


def kind_named(name: str, where: str) -> Kind:
    """The kind of training of a name, of this package or of a plug-in.

    Raises:
        FacebenchError: there is none of that name.
    """
    if name not in _KINDS:
        # Only for a name that is not ours: a broken plug-in then stops no other training.
        broken = _load_plugins()
        if name not in _KINDS:
            said = "; ".join([f"{where}: unknown kind '{name}'", *broken])
            raise FacebenchError(said, did_you_mean(name, _KINDS))
    return _KINDS[name]


def _load_plugins() -> list[str]:
    """Let other packages register their kinds; what is wrong with those that cannot be loaded."""
    broken = []
    for point in entry_points(group=PLUGINS):
        try:
            point.load()
        except Exception as error:  # whatever a module raises when it is imported
            broken.append(f"plug-in {point.name} cannot be loaded ({error_line(error)})")
    return broken


def training_of(recipe: AnyRecipe) -> Callable[..., Any]:
    """What makes the training of a recipe."""
    return _function(kind_named(recipe.kind, f"recipe {recipe.name}").training)


def network_of(recipe: RegressorRecipe) -> Callable[..., Any]:
    """What makes the network of a regressor's recipe."""
    return _function(kind_named(recipe.kind, f"recipe {recipe.name}").network)


def _function(reference: str | Callable[..., Any]) -> Callable[..., Any]:
    # By name, because recipes lie below what trains by them and are read without it.
    if not isinstance(reference, str):
        return reference
    module, name = reference.split(":")
    found: Callable[..., Any] = getattr(import_module(f"...{module}", __name__), name)
    return found


def recipe_from_table(table: Mapping[str, Any]) -> AnyRecipe:
    """The recipe of nested plain values.

    Raises:
        FacebenchError: an unknown kind or key, or a value of another type or out of bounds.
    """
    where = f"recipe {table.get('name', '')}".strip()
    # Files of before there were kinds have none: they are all `ours`.
    return bind(kind_named(str(table.get("kind", Recipe.kind)), where).recipe, table, where)


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
    # A file without a name is known by the file's.
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
    # The base's name is not inherited: results would stand under it.
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
            raise FacebenchError(
                f"no recipe file {name}", f"named recipes: {', '.join(recipe_names())}"
            )
        return read_text(path, MOST_TOML_BYTES)
    if name not in recipe_names():
        raise FacebenchError(f"no recipe '{name}'", did_you_mean(name, recipe_names()))
    source = resources.files(__package__) / f"{name}.toml"
    return source.read_text(encoding="utf-8")


def _parse_setting(setting: str) -> dict[str, Any]:
    key, equals, value = setting.partition("=")
    if not equals:
        raise FacebenchError(f"setting '{setting}' has no value", "write KEY=VALUE")
    try:
        parsed: Any = parse_toml(f"value = {value}")["value"]
    except ValueError:
        # Not TOML: a bare word, as `renderer.kind=outline` is typed in a shell.
        parsed = value
    # From the inside out: a.b=1 becomes {a: {b: 1}}, which merges like a file.
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _merge(beneath: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(beneath)
    for key, value in above.items():
        old = merged.get(key)
        # Sections are merged key by key; a number or a list replaces what was there.
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged
