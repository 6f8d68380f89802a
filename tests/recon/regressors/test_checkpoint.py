from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_faces import small_model, small_recipe

from facebench.errors import FacebenchError
from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.morphable.procedural import procedural_model
from facebench.recon.regressors.checkpoint import load_regressor, save_weights
from facebench.recon.regressors.regressor import FaceRegressor


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, FaceRegressor]:
    model, recipe = small_model(), small_recipe()
    torch.manual_seed(1)
    network = FaceRegressor(recipe.network, CoefficientSizes.of(model), mean_face_pose(model))
    torch.nn.init.normal_(network.backbone.fc.weight, std=0.003)
    network.train()(torch.rand(8, 3, 48, 48))
    path = tmp_path / "weights.pt"
    save_weights(path, network, recipe, model.digest, steps=7, seed=3)
    return path, network.eval()


def test_weights_give_the_same_faces_to_half_precision(saved: tuple[Path, FaceRegressor]) -> None:
    path, network = saved
    loaded = load_regressor(path, small_model())
    image = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        expected, found = network(image), loaded.regressor(image)
    torch.testing.assert_close(found.vector(), expected.vector(), atol=5e-3, rtol=5e-3)
    assert found.vector().dtype == torch.float32
    assert not loaded.regressor.training
    assert (loaded.steps, loaded.seed, loaded.crop_size) == (7, 3, 48)
    assert loaded.recipe == small_recipe()


def test_nothing_is_left_beside_the_file(saved: tuple[Path, FaceRegressor]) -> None:
    assert [path.name for path in saved[0].parent.iterdir()] == ["weights.pt"]


def test_another_face_model_is_refused_naming_both(saved: tuple[Path, FaceRegressor]) -> None:
    other = procedural_model(seed=1, n_vertices=2000)
    with pytest.raises(FacebenchError) as error:
        load_regressor(saved[0], other)
    assert other.digest[:12] in str(error.value)
    assert small_model().digest[:12] in str(error.value)


@pytest.mark.parametrize("kept", [0, 10, 4000])
def test_a_truncated_file_is_one_line(saved: tuple[Path, FaceRegressor], kept: int) -> None:
    path = saved[0]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FacebenchError, match="cannot be read") as error:
        load_regressor(path, small_model())
    assert "\n" not in str(error.value)


def test_files_that_are_no_checkpoints_are_one_line(tmp_path: Path) -> None:
    garbage, other = tmp_path / "garbage.pt", tmp_path / "other.pt"
    garbage.write_bytes(bytes(range(256)) * 20)
    torch.save({"state_dict": {}}, other)
    for path in (garbage, other, tmp_path / "missing.pt"):
        with pytest.raises(FacebenchError) as error:
            load_regressor(path, small_model())
        assert "\n" not in str(error.value)


class Malicious:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    torch.save({"format": 1, "weights": Malicious(trap)}, tmp_path / "evil.pt")
    with pytest.raises(FacebenchError, match="cannot be read"):
        load_regressor(tmp_path / "evil.pt", small_model())
    assert not trap.exists()
