"""The exported network by an independent runtime, against PyTorch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.baselines import RichardsonRecipe
from facebench.recon.recipes.files import load_any_recipe, recipe_from_table
from facebench.recon.recipes.regressor import NetworkRecipe, Recipe
from facebench.recon.regressors import onnx as exporting
from facebench.recon.regressors.checkpoint import (
    LoadedRegressor,
    fresh_network,
    load_regressor,
    save_weights,
)
from facebench.recon.regressors.regressor import FaceRegressor

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
onnx = pytest.importorskip("onnx", reason="needs the extra 'onnx'")

MODEL = load_model("embedded")


@pytest.fixture(scope="module", params=["average", "grid", "places"])
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LoadedRegressor:
    """A small network whose every weight is drawn at random."""
    torch.manual_seed(0)
    network = NetworkRecipe("resnet18", width=8, image_size=64, pooling=request.param)
    recipe = Recipe(name="test", network=network)
    regressor = FaceRegressor(network, CoefficientSizes.of(MODEL), mean_face_pose(MODEL))
    torch.nn.init.normal_(regressor.backbone.fc.weight, std=0.05)
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    save_weights(path, regressor, recipe, MODEL.digest, steps=7, seed=0)
    return load_regressor(path, MODEL)


@pytest.fixture(scope="module")
def written(loaded: LoadedRegressor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "face.onnx"
    assert exporting.export_onnx(loaded, MODEL, path)[0] < 1e-4
    return path


@pytest.mark.parametrize("batch", [1, 3])
def test_the_runtime_gives_what_pytorch_gives(
    loaded: LoadedRegressor, written: Path, batch: int
) -> None:
    images = np.random.default_rng(batch).random((batch, 3, 64, 64), np.float32)
    session = onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    found = session.run(None, {"images": images})[0]
    with torch.inference_mode():
        expected = loaded.regressor(torch.from_numpy(images)).vector().numpy()
    assert np.ptp(expected, axis=1).min() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_the_metadata_tell_all_a_caller_needs(loaded: LoadedRegressor, written: Path) -> None:
    facts = {item.key: item.value for item in onnx.load(str(written)).metadata_props}
    assert facts["model_digest"] == MODEL.digest
    assert facts["checkpoint_digest"] == loaded.digest
    assert recipe_from_table(json.loads(facts["recipe"])) == loaded.recipe
    assert json.loads(facts["input"])["size_px"] == 64
    layout = json.loads(facts["layout"])
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        parts = vars(loaded.regressor(images))
        vector = loaded.regressor(images).vector()[0]
    assert [part["name"] for part in layout] == list(parts)
    for part in layout:
        cut = vector[part["start"] : part["start"] + part["length"]]
        torch.testing.assert_close(cut, parts[part["name"]][0].flatten())
    assert layout[-1]["start"] + layout[-1]["length"] == len(vector)


def test_a_file_that_computes_something_else_is_not_kept(
    loaded: LoadedRegressor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = exporting.run_onnx
    monkeypatch.setattr(exporting, "run_onnx", lambda path, images: right(path, images) + 0.01)
    with pytest.raises(FacebenchError, match="differs from PyTorch"):
        exporting.export_onnx(loaded, MODEL, tmp_path / "face.onnx")
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named_with_their_extra(
    loaded: LoadedRegressor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(FacebenchError, match=r"facebench\[onnx\]"):
        exporting.export_onnx(loaded, MODEL, tmp_path / "face.onnx")


def test_a_network_that_draws_on_its_way_is_refused(
    loaded: LoadedRegressor, tmp_path: Path
) -> None:
    recipe = load_any_recipe("richardson-ict", ["network.width=8", "network.image_size=48"])
    assert isinstance(recipe, RichardsonRecipe)
    drawing = replace(loaded, regressor=fresh_network(recipe, MODEL), recipe=recipe)
    with pytest.raises(FacebenchError, match="method 'richardson' is more than one graph"):
        exporting.export_onnx(drawing, MODEL, tmp_path / "face.onnx")
    assert not (tmp_path / "face.onnx").exists()
