"""What the face-parsing mask is worth where something hides a part of the face.

Made-up faces get something in front of a quarter of what is seen of them. Their coefficients are
then found by descending the recipe's own loss, once with the mask and once without one, and the
albedo of the hidden skin is compared with the true one.

    python tests/benchmarks/mask.py --faces 24
    python tests/benchmarks/mask.py --faces 24 --parser recon/network/embedded/parser.pt
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from facebench.bench.scoring.statistics import bootstrap_interval
from facebench.recon.export.sheet import to_pictures
from facebench.recon.face.coefficients import Coefficients
from facebench.recon.losses.multilevel import Supervision, class_weights
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.recipes.files import load_recipe
from facebench.recon.regressors.regressor import FaceRegressor
from facebench.recon.render.face import draw_panels
from facebench.recon.synthetic.appearance import CLASS
from facebench.recon.synthetic.faces import (
    HIDDEN,
    CoveredFace,
    FaceSampler,
    cover,
    hidden_vertices,
    true_coefficients,
)
from facebench.recon.training.batches import collate
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.shards import Sample
from facebench.recon.training.workers import Worker
from facebench.recon.vision.parsing import make_parser

Floats = NDArray[np.floating]


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    model = load_model(arguments.model)
    recipe = load_recipe("ours-embedded", ["loss.pixel_from=0", *arguments.set])
    size = recipe.network.image_size
    weights = class_weights(recipe.loss.mask).numpy()
    sampler = FaceSampler(model, arguments.seed, size)
    faces = [cover(sampler.face(k, 0), weights > 0, k) for k in range(arguments.faces)]
    trainer = Trainer(recipe, model, Worker())
    masks = {
        "no mask": np.full((len(faces), size, size), CLASS["skin"], np.uint8),
        "true mask": np.stack([one.mask for one in faces]),
    }
    if arguments.parser:
        masks["parsed"] = parsed_masks(arguments.parser, faces)
    masks["nothing hidden"] = np.stack([one.face.mask for one in faces])
    errors, found = {}, {}
    for name, classes in masks.items():
        truth = supervision(faces, classes, hidden=name != "nothing hidden")
        found[name] = fitted(trainer, truth, arguments.steps)
        albedo = found[name].albedo.numpy()
        errors[name] = hidden_albedo_error(model, albedo, faces, weights)
    mean = hidden_albedo_error(model, np.zeros_like(albedo), faces, weights)
    print(f"{len(faces)} faces of {size} px, {HIDDEN:.0%} of each hidden, {arguments.steps} steps")
    print(f"{'':16}albedo error on the hidden skin (0 to 1)    of 'no mask'")
    for name, values in {"mean albedo": mean, **errors}.items():
        interval = bootstrap_interval(values)
        ratio = values.mean() / errors["no mask"].mean()
        span = f"[{interval.low:.4f}, {interval.high:.4f}]"
        print(f"{name:16}{values.mean():.4f}  {span}{ratio:28.2f}")
    if arguments.picture:
        draw(trainer, faces, found, arguments.picture)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=24)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--parser", type=Path, help="weights of a parser, for a third row")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--picture", type=Path, help="where to draw some faces")
    return parser.parse_args()


def supervision(faces: list[CoveredFace], masks: NDArray[np.uint8], *, hidden: bool) -> Supervision:
    """A batch of the pictures under some masks."""
    images = [one.image if hidden else one.face.image for one in faces]
    landmarks = [one.face.landmarks for one in faces]
    return collate([Sample(*row) for row in zip(images, landmarks, masks, strict=True)])


def parsed_masks(weights: Path, faces: list[CoveredFace]) -> NDArray[np.uint8]:
    """What a trained parser says of the covered pictures."""
    images = torch.from_numpy(np.stack([one.image for one in faces])).movedim(3, 1).float() / 255
    with torch.no_grad():
        return make_parser(weights)(images).numpy().astype(np.uint8)


def fitted(trainer: Trainer, truth: Supervision, steps: int) -> Coefficients:
    """Coefficients of each face where the recipe's loss is least, from the mean face on."""
    regressor = trainer.regressor
    free = torch.zeros(len(truth.images), regressor.sizes.total, requires_grad=True)
    optimiser = torch.optim.Adam([free], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        # Summed over the batch, so that a face does not depend on how many are fitted beside it.
        loss = trainer.loss.total(trainer.terms(coefficients(regressor, free), truth)) * len(free)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return coefficients(regressor, free.detach())


def coefficients(regressor: FaceRegressor, free: Tensor) -> Coefficients:
    """What the regressor would make of such outputs of its last layer."""
    parts = Coefficients.from_vector(free * regressor.output_scale, regressor.sizes)
    shifted = parts.pose[:, :6] + regressor.start_pose[:6]
    scale = parts.pose[:, 6:].exp() * regressor.start_pose[6:]
    light = parts.light + regressor.start_light
    return replace(parts, pose=torch.cat([shifted, scale], dim=1), light=light)


def hidden_albedo_error(
    model: MorphableModel, albedo: NDArray[np.float32], faces: list[CoveredFace], on: Floats
) -> Floats:
    """Mean colour distance (N,) from the true albedo over the hidden vertices of each face.

    Args:
        model: the face model.
        albedo: (N, K) coefficients found.
        faces: N faces.
        on: (19,) weight of each mask class; those above 0 are the face.
    """
    return np.array(
        [_hidden_error(model, a, one, on) for a, one in zip(albedo, faces, strict=True)]
    )


def _hidden_error(
    model: MorphableModel, albedo: NDArray[np.float32], one: CoveredFace, on: Floats
) -> float:
    true = true_coefficients(model, one.face)
    hidden = hidden_vertices(model, one, on > 0)
    difference = model.albedo_basis[hidden] @ (albedo - true.albedo[0].numpy())
    return float(np.linalg.norm(difference, axis=1).mean())


def draw(
    trainer: Trainer,
    faces: list[CoveredFace],
    found: dict[str, Coefficients],
    path: Path,
    rows: int = 6,
) -> None:
    """Photograph and albedo under each mask, a face a row."""
    images = torch.from_numpy(np.stack([one.image for one in faces])).movedim(3, 1).float() / 255
    columns = [images]
    with torch.no_grad():
        columns += [draw_panels(trainer.face, one, images)[2] for one in found.values()]
    stacked = [np.concatenate(to_pictures(column[:rows]), axis=0) for column in columns]
    Image.fromarray(np.concatenate(stacked, axis=1)).save(path)


if __name__ == "__main__":
    main()
