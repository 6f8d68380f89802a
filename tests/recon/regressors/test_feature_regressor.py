"""Features decoded to a face: what is frozen stays, and weights hold all that a face needs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_recogniser import small_recogniser, write_recogniser
from training_faces import random_faces, small_model

from facebench.recon.face.imaging import from_pixels, to_pixels
from facebench.recon.network.resnet import IResNet, iresnet_like
from facebench.recon.recipes.baselines import GenovaRecipe
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.regressors.checkpoint import fresh_network, load_regressor, save_weights
from facebench.recon.regressors.regressor import FeatureRegressor
from facebench.recon.render import make_renderer
from facebench.recon.render.face import FaceDecoder, FaceRenderer


def recipe(folder: Path) -> GenovaRecipe:
    weights = write_recogniser(folder / "recogniser.pt")
    settings = [f"network.recogniser={weights}", "network.width=16", "network.image_size=48"]
    made = load_any_recipe("genova-ict", settings)
    assert isinstance(made, GenovaRecipe)
    return made


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> FeatureRegressor:
    torch.manual_seed(0)
    made = fresh_network(recipe(tmp_path_factory.mktemp("genova")), small_model())
    assert isinstance(made, FeatureRegressor)
    return made


def test_only_the_decoder_learns(network: FeatureRegressor) -> None:
    learned = {name for name, value in network.named_parameters() if value.requires_grad}
    assert learned and all(name.startswith("decoder.") for name in learned)
    network.train()
    frozen = [network.recogniser.network, network.landmarker]
    assert not any(module.training for part in frozen for module in part.modules())
    assert network.decoder.training


def test_the_length_of_features_does_not_matter(network: FeatureRegressor) -> None:
    features = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    first, second = network.decoder(features), network.decoder(7.0 * features)
    torch.testing.assert_close(first, second)


def test_a_face_is_laid_over_the_landmarks_it_was_drawn_with(network: FeatureRegressor) -> None:
    people = random_faces(small_model(), 4, 1)
    people = type(people)(**(vars(people) | {"expression": torch.zeros_like(people.expression)}))
    size = (48, 48)
    renderer = FaceRenderer(FaceDecoder(small_model()), make_renderer("outline"), size)
    placed = network.place((people.identity, people.albedo), renderer.landmarks(people))
    torch.testing.assert_close(placed.pose[:, :5], people.pose[:, :5], atol=2e-3, rtol=0)
    torch.testing.assert_close(placed.pose[:, 6], people.pose[:, 6], rtol=2e-3, atol=0)


def test_weights_need_no_other_file(network: FeatureRegressor, tmp_path: Path) -> None:
    own = recipe(tmp_path)
    save_weights(tmp_path / "weights.pt", network, own, small_model().digest, 0, 0)
    (tmp_path / "recogniser.pt").unlink()
    loaded = load_regressor(tmp_path / "weights.pt", small_model())
    images = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected, found = network.eval()(images), loaded.regressor(images)
    torch.testing.assert_close(found.vector(), expected.vector())


@pytest.mark.parametrize(
    ("architecture", "outputs", "width", "size"),
    [("iresnet18", 16, 4, 32), ("iresnet50", 24, 2, 48)],
)
def test_the_build_of_a_recogniser_is_told_by_its_tensors(
    architecture: str, outputs: int, width: int, size: int
) -> None:
    state = IResNet(architecture, outputs, width, size).state_dict()
    like = iresnet_like(state)
    like.load_state_dict(state)
    assert like.image_size == size
    assert small_recogniser().network.image_size == 32


def test_pixels_and_back() -> None:
    points = torch.randn(68, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(from_pixels(to_pixels(points, (48, 64)), (48, 64)), points)
