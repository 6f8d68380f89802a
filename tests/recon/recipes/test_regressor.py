from __future__ import annotations

from pathlib import Path

import pytest

from facebench.errors import FacebenchError
from facebench.recon.recipes.files import (
    load_any_recipe,
    load_recipe,
    recipe_from_table,
    recipe_names,
)


def test_ours_states_the_papers_numbers() -> None:
    recipe = load_recipe("ours")
    weights = recipe.loss.weights
    assert (weights.pixel, weights.landmark, weights.identity, weights.prior) == (
        3.0,
        2.4e-3,
        0.24,
        4e-4,
    )
    assert (recipe.network.architecture, recipe.network.image_size) == ("resnet50", 224)
    assert (recipe.training.steps, recipe.training.batch_size) == (101_340, 16)
    assert recipe.optimiser.learning_rate == 1e-4
    assert recipe.renderer.kind == "softras"


def test_ours_is_what_the_defaults_are_but_for_the_mask() -> None:
    recipe = load_recipe("ours")
    plain = recipe_from_table({"name": "ours", "title": recipe.title})
    table = recipe.as_table()
    table["loss"]["mask"] = {}
    table["training"]["validate_every"] = plain.training.validate_every
    assert table == plain.as_table()


def test_ours_outline_differs_from_ours_in_the_renderer_alone() -> None:
    ours, outline = load_recipe("ours").as_table(), load_recipe("ours-outline").as_table()
    changed = [key for key in ours if ours[key] != outline[key]]
    assert changed == ["name", "title", "renderer"]
    assert outline["renderer"] == ours["renderer"] | {"kind": "outline"}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_survives_its_own_table(name: str) -> None:
    recipe = load_any_recipe(name)
    assert recipe.name == name
    assert recipe_from_table(recipe.as_table()) == recipe


def test_settings_win_over_the_recipe() -> None:
    recipe = load_recipe("ours", ["training.steps=5", "renderer.kind=outline", "loss.mask.hat=1"])
    assert recipe.training.steps == 5
    assert recipe.renderer.kind == "outline"
    assert recipe.loss.mask["hat"] == 1.0
    assert recipe.loss.mask["nose"] == 2.0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("loss.weigths.pixel=1", "did you mean 'weights'"),
        ("network.architecture=resnet5", "resnet50"),
        ("training.steps=1.5", "expected a value of type int"),
        ("training.steps=-1", "more than 0"),
        ("optimiser.schedule=cosin", "cosine"),
        ("training.checkpoint_every=75", "multiple of log_every"),
        ("training.steps", "KEY=VALUE"),
    ],
)
def test_a_wrong_setting_is_answered_in_one_line(setting: str, message: str) -> None:
    with pytest.raises(FacebenchError, match=message) as error:
        load_recipe("ours", [setting])
    assert "\n" not in str(error.value)


def test_landmarks_are_seen_only_by_a_network_that_looks_for_them() -> None:
    with pytest.raises(FacebenchError, match="needs a network that sees landmarks"):
        load_recipe("ours", ["loss.weights.seen=0.3"])
    load_recipe("ours", ["loss.weights.seen=0.3", "network.pooling=places"])


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(FacebenchError, match="did you mean 'ours-outline'"):
        load_recipe("ours-outlin")


def test_a_file_may_stand_on_a_named_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "ours-outline"\n[training]\nbatch_size = 8\n')
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.training.batch_size) == ("mine", 8)
    assert recipe.renderer.kind == "outline"


def test_broken_toml_and_circles_are_told(tmp_path: Path) -> None:
    broken, circle = tmp_path / "broken.toml", tmp_path / "circle.toml"
    broken.write_text("training = [")
    circle.write_text(f'base = "{circle}"\n')
    with pytest.raises(FacebenchError, match="not valid TOML"):
        load_recipe(str(broken))
    with pytest.raises(FacebenchError, match="leads back to itself"):
        load_recipe(str(circle))
