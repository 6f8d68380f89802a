"""Two workers are one worker with the double batch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import two_workers
from normalised_together import cases as batches_to_normalise
from normalised_together import layer_for, normalise
from training_faces import small_recipe

from facebench.recon.losses.multilevel import Supervision
from facebench.recon.recipes.regressor import AugmentationRecipe
from facebench.recon.training.augmentation import augmentation
from facebench.recon.training.batches import BatchSource
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.tasks.loop import point_noise
from facebench.recon.training.tasks.task import PeopleBatch
from facebench.recon.training.workers import ProcessGroup


def photographs(faces: Path, count: int) -> Supervision:
    """Photographs of which some landmarks are unknown and some skin is covered."""
    recipe = small_recipe()
    batch = BatchSource(FaceShards(faces), count, 48, 0, augmentation(recipe.augmentation)).batch(0)
    landmarks, masks = batch.landmarks.clone(), batch.masks.clone()
    landmarks[:30, :, 0] = torch.nan
    masks[1, :, 20:] = 0
    return replace(batch, landmarks=landmarks, masks=masks)


def people(faces: Path, kind: str, count: int = 5) -> PeopleBatch:
    """Photographs, in doubles, as one of the tasks takes them."""
    side = two_workers.task_recipe(kind).photograph_size
    unchanged = augmentation(AugmentationRecipe(0.0, 0.0, 0.0, 0.0, 0.0))
    batch = BatchSource(FaceShards(faces), count, side, 0, unchanged).batch(0)
    landmarks = batch.landmarks.double()
    if kind == "landmarker":
        landmarks[:30, :, 0] = torch.nan
    truth = Supervision(batch.images.double(), landmarks, batch.masks)
    noise = torch.from_numpy(point_noise(0, 0, count)).double()
    return PeopleBatch(truth, torch.arange(count) % two_workers.PEOPLE, noise)


@dataclass(frozen=True)
class Cases:
    """Batches, and what two workers found on each."""

    batches: dict[str, Supervision]
    tasks: dict[str, PeopleBatch]
    found: dict[str, list[dict[str, Any]]]
    normalised: list[dict[str, dict[str, torch.Tensor]]]


BATCHES = batches_to_normalise()


@pytest.fixture(scope="module")
def cases(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Cases:
    """All batches through one pair of processes, whose start takes the time."""
    folder = tmp_path_factory.mktemp("together")
    spoilt = photographs(faces, 4).images.clone()
    spoilt[1] = torch.inf  # the second worker's
    batches = {
        "unequal": photographs(faces, 5),
        "spoilt": replace(photographs(faces, 4), images=spoilt),
    }
    tasks = {kind: people(faces, kind) for kind in two_workers.VISION_SETTINGS_OF}
    contents = {name: {"kind": "regressor", "truth": asdict(b)} for name, b in batches.items()}
    contents |= {kind: {"kind": kind, **asdict(batch)} for kind, batch in tasks.items()}
    for name, content in contents.items():
        torch.save(content, folder / f"{name}.pt")
    command = [sys.executable, two_workers.__file__, str(folder)]
    subprocess.run(command, check=True, timeout=500)
    files = {name: [folder / f"{name}-{rank}.found" for rank in range(2)] for name in contents}
    found = {name: [_loaded(path) for path in files[name]] for name in files}
    return Cases(
        batches, tasks, found, [_loaded(folder / f"{rank}.normalised") for rank in range(2)]
    )


def test_the_gradient_is_that_of_the_double_batch(cases: Cases) -> None:
    """Shares of three and two photographs."""
    one: Any = two_workers.alone(cases.batches["unequal"])
    assert one["applied"]
    for other in cases.found["unequal"]:
        mine, theirs = whole_vector(one["gradients"]), whole_vector(other["gradients"])
        assert (mine - theirs).norm() < 1e-5 * mine.norm()
        for key, value in one["state"].items():
            if "running" in key:  # the statistics of the batch are those of all photographs
                torch.testing.assert_close(other["state"][key], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", two_workers.VISION_SETTINGS_OF)
def test_so_it_is_of_the_networks_that_photographs_are_prepared_with(
    cases: Cases, kind: str
) -> None:
    """Shares of three and two photographs; in doubles, so that only the method can differ."""
    one: Any = two_workers.task_step(kind, cases.tasks[kind], ProcessGroup())
    assert one["applied"]
    for other in cases.found[kind]:
        mine, theirs = whole_vector(one["gradients"]), whole_vector(other["gradients"])
        assert (mine - theirs).norm() < 1e-5 * mine.norm()
        for key, value in one["state"].items():
            torch.testing.assert_close(other["state"][key], value, rtol=1e-5, atol=1e-9)


def test_a_share_that_is_not_finite_is_left_out_by_both(cases: Cases) -> None:
    for one in cases.found["spoilt"]:
        assert not one["applied"]
        assert all(value.isfinite().all() for value in one["state"].values())


@pytest.mark.parametrize("name", BATCHES)
def test_batch_normalisation_has_values_and_gradients_of_the_whole_batch(
    cases: Cases, name: str
) -> None:
    """In doubles; where the mean is a million of the spread, half of the digits are the mean's."""
    case = BATCHES[name]
    whole = normalise(layer_for(case.features, shared=False), case.features, case.gradient)
    close = {"rtol": 0.0, "atol": 1e-8 if "far" in name else 1e-12}
    both = [one[name] for one in cases.normalised]
    for key in ("normalised", "features"):
        torch.testing.assert_close(torch.cat([one[key] for one in both]), whole[key], **close)
    for key in ("weight", "bias"):
        torch.testing.assert_close(sum(one[key] for one in both), whole[key], **close)
    for key in (key for key in whole if key.startswith("state")):
        assert torch.equal(both[0][key], both[1][key])
        torch.testing.assert_close(both[0][key], whole[key], **close)


def whole_vector(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """All tensors as one vector."""
    return torch.cat([value.flatten().double() for value in tensors.values()])


def _loaded(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content
