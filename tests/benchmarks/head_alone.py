"""What a head can learn of known landmarks: `python tests/benchmarks/head_alone.py`.

The part of a `pooling = "places"` network that reads landmarks' places, and the landmark levels and
prior of its recipe, without a photograph: places are those of made-up faces, with noise. A minute
of one core tells what a change of the prior, the output scales or the start does to the shape.

    python tests/benchmarks/head_alone.py faces held --model ict.npz --recipe ours-ict
    python tests/benchmarks/head_alone.py faces held --model ict.npz --set loss.prior.expression=8
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facebench.recon.face.coefficients import Coefficients, CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.losses.landmarks import FRAME
from facebench.recon.losses.multilevel import MultiLevelLoss, Supervision
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.recipes.files import load_recipe
from facebench.recon.recipes.regressor import Recipe
from facebench.recon.regressors.checkpoint import face_renderer
from facebench.recon.regressors.regressor import FaceRegressor
from facebench.recon.training.methods.trainer import shape_error
from facebench.recon.training.optimise import learning_rate
from facebench.recon.training.shards import FaceShards

BATCH = 64


class HeadAlone(nn.Module):
    """Places (B, 68, 2) in px to faces, as the network's head reads them."""

    def __init__(self, recipe: Recipe, model: MorphableModel) -> None:
        super().__init__()
        sizes = CoefficientSizes.of(model)
        self.regressor = FaceRegressor(recipe.network, sizes, mean_face_pose(model))
        places = self.regressor.places
        if places is None:
            raise SystemExit("a recipe with network.pooling=places is needed")
        self.places, self.reading = places, places.reading
        self.fc = nn.Linear(places.features, sizes.total)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, places: Tensor) -> Coefficients:
        outputs = self.fc(self.places.read(places)) * self.regressor.output_scale
        parts = Coefficients.from_vector(outputs, self.regressor.sizes)
        return self.regressor.move(self.regressor.start(), parts)

    def learned(self) -> list[nn.Parameter]:
        return [*self.reading.parameters(), *self.fc.parameters()]


class Study:
    """The faces, their landmarks, and the loss."""

    def __init__(self, recipe: Recipe, model: MorphableModel, noise: float) -> None:
        self.recipe, self.model, self.sizes = recipe, model, CoefficientSizes.of(model)
        self.face = face_renderer(recipe, model)
        self.loss = MultiLevelLoss(recipe.loss, model)
        self.side = recipe.network.image_size
        self.noise = noise * self.side / FRAME / 2**0.5

    def placed(self, faces: Coefficients) -> tuple[Tensor, Tensor]:
        shape = self.face.decoder.landmark_shape(faces.identity, faces.expression)
        return shape, self.face.landmarks(faces)

    def seen(self, places: Tensor, generator: torch.Generator) -> Tensor:
        """Places as a network would see them, (B, 68, 2)."""
        exact = places.permute(2, 0, 1)
        return exact + self.noise * torch.randn(exact.shape, generator=generator)

    def total(self, head: HeadAlone, faces: Coefficients, generator: torch.Generator) -> Tensor:
        with torch.no_grad():
            true = self.placed(faces)[1]
        found = head(self.seen(true, generator))
        blank = torch.zeros(len(faces.pose), 3, self.side, self.side)
        truth = Supervision(blank, true, blank[:, 0].long())
        return self.loss.total(self.loss(found, *self.placed(found), None, truth))

    @torch.no_grad()
    def report(self, head: HeadAlone, vectors: Tensor, subjects: np.ndarray) -> str:
        faces = Coefficients.from_vector(vectors, self.sizes)
        true = self.placed(faces)[1]
        found = head(self.seen(true, torch.Generator().manual_seed(5)))
        off = (self.face.landmarks(found) - true).square().sum(1).sqrt().mean() * FRAME / self.side
        mean, actual = by_subject(found.identity, subjects), by_subject(faces.identity, subjects)
        alone = shape_error(self.model, np.zeros_like(actual), actual)
        share = shape_error(self.model, mean, actual) / alone - 1.0
        return (
            f"landmarks {off:.2f} px of 224, shape {share:+.1%} of the mean face's {alone:.3f} mm"
        )


def by_subject(values: Tensor, subjects: np.ndarray) -> np.ndarray:
    return np.stack([values[subjects == name].mean(0).numpy() for name in np.unique(subjects)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--recipe", default="ours-ict")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--noise", type=float, default=1.0, help="px of 224")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe, model = load_recipe(given.recipe, given.set), load_model(given.model)
    study, head = Study(recipe, model, given.noise), HeadAlone(recipe, model)
    known = torch.from_numpy(FaceShards(given.faces).all_coefficients())
    shards = FaceShards(given.held_out)
    optimiser = torch.optim.Adam(head.learned())
    generator = torch.Generator().manual_seed(1)
    for step in range(given.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe.optimiser, step, given.steps)
        rows = torch.randint(len(known), (BATCH,), generator=generator)
        faces = Coefficients.from_vector(known[rows], study.sizes)
        others = torch.randn(faces.identity.shape, generator=generator)
        optimiser.zero_grad()
        study.total(head, replace(faces, identity=others), generator).backward()
        optimiser.step()
    held_out = torch.from_numpy(shards.all_coefficients())
    print(f"{given.steps} steps: {study.report(head, held_out, np.array(shards.subjects))}")


if __name__ == "__main__":
    main()
