"""A new kind of training is one module and its recipe: this one, which nothing else names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from training_faces import write_training_faces

from facebench.errors import FacebenchError
from facebench.recon.files.records import Count
from facebench.recon.network.vision_weights import load_network
from facebench.recon.recipes import files
from facebench.recon.recipes.files import Kind, load_any_recipe, register_kind
from facebench.recon.recipes.vision import VisionRecipe
from facebench.recon.training.batches import Photographs
from facebench.recon.training.optimise import Row
from facebench.recon.training.run import TrainingJob, train_worker
from facebench.recon.training.tasks.task import Learner, LossTerms
from facebench.recon.training.workers import ProcessGroup, Worker


@dataclass(frozen=True)
class SkinNetwork:
    """How large the photographs are."""

    image_size: Count = 16


@dataclass(frozen=True)
class SkinRecipe(VisionRecipe):
    """The share of a photograph that is background, by a linear layer."""

    needs: ClassVar[frozenset[str]] = frozenset({"masks"})

    kind: str = "background"
    network: SkinNetwork = field(default_factory=SkinNetwork)

    @property
    def photograph_size(self) -> int:
        return self.network.image_size


class SkinLearner(Learner):
    def __init__(self, recipe: SkinRecipe, people: int, group: ProcessGroup) -> None:
        super().__init__()
        self.network = nn.Linear(3 * recipe.network.image_size**2, 1)

    def forward(
        self, images: Tensor, landmarks: Tensor, masks: Tensor, people: Tensor, noise: Tensor
    ) -> LossTerms:
        share = (masks == 0).float().mean((1, 2))
        return {"share": (self.network(images.flatten(1))[:, 0] - share).square().mean()}

    def weights(self) -> dict[str, Tensor]:
        return self.network.state_dict()

    def measure(self, held_out: Photographs, device: torch.device) -> Row:
        return {"photographs": float(len(held_out))}

    def picture(self, photographs: Photographs, device: torch.device) -> NDArray[np.uint8]:
        return np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_KINDS", dict(files._KINDS))
    register_kind("background", Kind(SkinRecipe, SkinLearner))
    return


@pytest.mark.usefixtures("registered")
def test_a_kind_from_outside_is_trained_measured_and_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'kind = "background"\nflip = 0.0\n[optimiser]\nlearning_rate = 0.01\n[training]\n'
        "steps = 6\nbatch_size = 4\nlog_every = 1\ncheckpoint_every = 3\nvalidate_every = 6\n"
    )
    faces = write_training_faces(tmp_path / "faces")
    recipe = load_any_recipe(str(path), ["network.image_size=8"])
    job = TrainingJob(faces, recipe, "embedded", tmp_path / "out", validation=faces)
    assert train_worker(job, Worker(), lambda row: None) == 6
    losses = [row["share"] for row in job.folder.read(job.folder.log)]
    assert losses[-1] < losses[0]
    assert load_network(job.folder.weights, SkinRecipe)[1] == recipe
    assert TrainingJob.from_table(job.as_table()) == job


@pytest.mark.usefixtures("registered")
def test_its_recipe_is_checked_by_its_own_fields(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('kind = "background"\n')
    with pytest.raises(FacebenchError, match=r"network\.image_size is 0: give more than 0"):
        load_any_recipe(str(path), ["network.image_size=0"])


def test_an_unknown_kind_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('kind = "landmark"\n')
    with pytest.raises(FacebenchError, match="did you mean 'landmarker'"):
        load_any_recipe(str(path))


PLUGIN = """
from dataclasses import dataclass
from facebench.recon.recipes.files import Kind, register_kind
from facebench.recon.recipes.vision import ParserRecipe

@dataclass(frozen=True)
class OwnRecipe(ParserRecipe):
    kind: str = "own"

def make(recipe, people, group):
    return ("the learner of", recipe.name, people, group.count)

register_kind("own", Kind(OwnRecipe, make))
"""


def install(folder: Path, module: str, source: str) -> None:
    """A package as an installer leaves it: a module, and its entry point beside it."""
    (folder / f"{module}.py").write_text(source)
    facts = folder / f"{module}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{files.PLUGINS}]\n{module} = {module}\n")


def test_an_installed_package_brings_its_kind_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_KINDS", dict(files._KINDS))
    path = tmp_path / "mine.toml"
    path.write_text('kind = "own"\n')
    with pytest.raises(FacebenchError, match="unknown kind 'own'"):
        load_any_recipe(str(path))
    install(tmp_path, "own_trainings", PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = load_any_recipe(str(path), ["network.width=8"])
    assert type(recipe).__module__ == "own_trainings" and recipe.kind == "own"
    made = files.training_of(recipe)(recipe, 3, ProcessGroup())
    assert made == ("the learner of", "mine", 3, 1)


def test_a_broken_package_stops_nobody_else_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_KINDS", dict(files._KINDS))
    install(tmp_path, "broken_trainings", "import a_module_that_is_nowhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "mine.toml"
    path.write_text('kind = "parser"\n')
    assert load_any_recipe(str(path)).kind == "parser"
    path.write_text('kind = "parsers"\n')
    with pytest.raises(FacebenchError, match="broken_trainings cannot be loaded") as caught:
        load_any_recipe(str(path))
    assert "did you mean 'parser'" in str(caught.value)
    install(tmp_path, "second_trainings", PLUGIN.replace('"own"', '"second"'))
    path.write_text('kind = "second"\n')
    assert load_any_recipe(str(path)).kind == "second"
