"""Methods that regress: each takes the weights of its own recipes, and says so of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_regressor import write_small_regressor

from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.registry import method_card, open_method
from facebench.errors import FacebenchError
from facebench.recon.recipes.files import load_any_recipe, recipe_names

NAMES = ("genova", "mofa", "richardson", "tran")


@pytest.mark.parametrize("name", NAMES)
def test_a_method_without_weights_says_how_to_train_some(name: str) -> None:
    with pytest.raises(FacebenchError, match="comes without weights") as error:
        open_method(name, MethodOptions())
    assert f"facebench train --recipe {name} " in error.value.hint
    assert name in recipe_names() and f"{name}-ict" in recipe_names()


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_another_method_are_refused(name: str, tmp_path: Path) -> None:
    weights = write_small_regressor(tmp_path / "weights.pt")
    with pytest.raises(FacebenchError, match="as method 'ours', not") as error:
        open_method(name, MethodOptions(checkpoint=weights))
    assert error.value.hint == "give --method ours"


@pytest.mark.parametrize("name", [*NAMES, "ours"])
def test_recipes_are_of_the_method_they_are_named_after(name: str) -> None:
    own = [recipe for recipe in recipe_names() if recipe.split("-")[0] == name]
    assert {load_any_recipe(recipe).kind for recipe in own} == {name}


@pytest.mark.parametrize("name", NAMES)
def test_what_cards_say_can_be_done(name: str) -> None:
    card = method_card(name)
    named = [
        recipe for recipe in recipe_names() if f" {recipe} " in f"{card.state} ".replace(",", " ")
    ]
    assert {name, f"{name}-ict"} <= set(named)
