"""Methods that regress: each takes the weights of its own recipes, and says so of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_regressor import write_small_regressor

from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.registry import method_card, open_method
from facebench.bench.surface.similarity import similarity_between
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.files import load_any_recipe, recipe_names
from facebench.recon.synthetic.faces import FaceSampler, LabelledFace

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


@pytest.mark.parametrize("name", ["embedded", "human"])
def test_ours_knows_people_of_each_model_in_the_package(name: str) -> None:
    """Of 16 whom it has not seen, its neutral faces are nearer than the model's mean face."""
    model, method = load_model(name), open_method("ours", MethodOptions(model=name))
    faces = [FaceSampler(model, 990, method.crop_size).face(person, 0) for person in range(16)]
    vectors = method.describe(np.stack([face.image for face in faces]))
    n_identity = model.identity_basis.shape[2]

    def distance(shape: Mesh, face: LabelledFace) -> float:
        true = model.mesh(face.coefficients[:n_identity]).vertices
        laid = similarity_between(shape.vertices, true).apply(shape.vertices)
        return float(np.linalg.norm(laid - true, axis=1).mean())

    found = [distance(method.mesh(v), face) for v, face in zip(vectors, faces, strict=True)]
    assert np.mean(found) < 0.95 * np.mean([distance(model.mesh(), face) for face in faces])
