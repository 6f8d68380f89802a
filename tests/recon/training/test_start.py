"""Trainings that begin with weights of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_faces import small_model, small_recipe, write_training_faces

from facebench.errors import FacebenchError
from facebench.recon.network.dense import LandmarkNetwork
from facebench.recon.network.vision_weights import save_network
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.recipes.vision import LandmarkerRecipe
from facebench.recon.regressors.checkpoint import load_regressor, save_weights
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.run import TrainingJob, train_worker
from facebench.recon.training.workers import Worker
from facebench.recon.vision.landmarks import landmark_network

HERE = Worker()
STILL = ("optimiser.learning_rate=1e-12", "training.steps=2", "loss.pixel_from=1")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_faces(tmp_path_factory.mktemp("start"))


def started(faces: Path, out: Path, *settings: str) -> TrainingJob:
    """A job that starts from weights of another seed, which learnt a little."""
    recipe, model = small_recipe(), small_model()
    trainer = Trainer(recipe, model, Worker(seed=7))
    with torch.no_grad():
        trainer.regressor.backbone.fc.bias.fill_(0.25)
    start = out.parent / "start.pt"
    save_weights(start, trainer.regressor, recipe, model.digest, 6, 7)
    model_path = str(faces.parent / "model.npz")
    return TrainingJob(
        faces, small_recipe(*STILL, *settings), model_path, out, threads=1, start=start
    )


def test_a_training_that_learns_nothing_ends_with_the_weights_it_began_with(
    faces: Path, tmp_path: Path
) -> None:
    job = started(faces, tmp_path / "out")
    train_worker(job, HERE, lambda row: None)
    assert job.start is not None
    before = load_regressor(job.start, small_model()).regressor
    after = load_regressor(job.folder.weights, small_model()).regressor
    torch.testing.assert_close(dict(after.named_parameters()), dict(before.named_parameters()))
    job.start.unlink()
    assert train_worker(job, HERE, lambda row: None) == 2  # goes on from its own checkpoint


def test_weights_of_another_network_are_refused(faces: Path, tmp_path: Path) -> None:
    wider = started(faces, tmp_path / "out", "network.width=24")
    with pytest.raises(FacebenchError, match=r"network\.width 8, the recipe has 24"):
        train_worker(wider, HERE, lambda row: None)
    parser = replace(wider, recipe=load_any_recipe("parser", []))
    with pytest.raises(FacebenchError, match="not of a parser"):
        train_worker(parser, HERE, lambda row: None)


def test_a_landmarker_begins_with_the_weights_of_another(faces: Path, tmp_path: Path) -> None:
    small = ("network.width=4", "network.image_size=32", "training.batch_size=2")
    recipe = load_any_recipe("landmarker", [*small, *STILL[:2]])
    assert isinstance(recipe, LandmarkerRecipe)
    network, start = LandmarkNetwork(4, 32), tmp_path / "start.pt"
    save_network(start, network.state_dict(), recipe, 1, 0)
    job = TrainingJob(faces, recipe, "", tmp_path / "out", threads=1, start=start)
    train_worker(job, HERE, lambda row: None)
    after = landmark_network(job.folder.weights)
    # Kept in half precision, twice.
    wanted = dict(network.named_parameters())
    torch.testing.assert_close(dict(after.named_parameters()), wanted, atol=2e-3, rtol=2e-3)
    other = replace(job, out=tmp_path / "other", recipe=load_any_recipe("landmarker", small[:1]))
    with pytest.raises(FacebenchError, match="a landmarker of another size"):
        train_worker(other, HERE, lambda row: None)
