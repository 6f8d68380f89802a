"""A small recipe and shards of quickly drawn faces, for tests that train."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from facebench.recon.face.coefficients import Coefficients, CoefficientSizes
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.morphable.load import save_npz
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model
from facebench.recon.recipes.files import load_recipe
from facebench.recon.recipes.regressor import Recipe
from facebench.recon.render import make_renderer
from facebench.recon.render.face import FaceDecoder, FaceRenderer

SIZE = 48
SETTINGS = (
    "network.width=8",
    f"network.image_size={SIZE}",
    "training.batch_size=4",
    "training.steps=6",
    "training.log_every=1",
    "training.checkpoint_every=2",
    "training.validate_every=3",
    "loss.pixel_from=0",
)


@cache
def small_model() -> MorphableModel:
    """The embedded face with as few vertices as it goes."""
    return procedural_model(n_vertices=2000)


def small_recipe(*settings: str) -> Recipe:
    """`ours-embedded` for 48 px and a few steps."""
    return load_recipe("ours-embedded", [*SETTINGS, *settings])


def write_training_faces(folder: Path, subjects: int = 6, frames: int = 2) -> Path:
    """A shard of faces of `small_model` in `folder / faces`, and the model in `model.npz`."""
    model = small_model()
    save_npz(model, folder / "model.npz")
    coefficients = random_faces(model, subjects, frames)
    size = (SIZE, SIZE)
    with torch.no_grad():
        drawn = FaceRenderer(FaceDecoder(model), make_renderer("outline"), size)(coefficients)
    behind = drawn[0].background_weight.unsqueeze(1) * 0.3
    images = ((drawn[0].image + behind).clamp(0, 1) * 255).byte()
    masks = (drawn[0].silhouette > 0.5).byte()
    table = {
        "id": [f"s{i // frames}-f{i % frames}" for i in range(len(images))],
        "subject": [f"s{i // frames}" for i in range(len(images))],
        "image": [_encoded(image.permute(1, 2, 0).numpy(), "JPEG") for image in images],
        "landmarks": list(drawn[1].permute(2, 0, 1).flatten(1).numpy()),
        "mask": [_encoded(mask.numpy(), "PNG") for mask in masks],
        "coefficients": list(coefficients.vector().numpy()),
    }
    faces = folder / "faces"
    faces.mkdir(parents=True)
    metadata = {"facebench.model_digest": model.digest, "facebench.mask_order": "bisenet"}
    pq.write_table(pa.table(table).replace_schema_metadata(metadata), faces / "faces.parquet")
    return faces


def random_faces(model: MorphableModel, subjects: int, frames: int) -> Coefficients:
    """Coefficients of `subjects * frames` faces near the middle of the picture."""
    generator = torch.Generator().manual_seed(5)
    sizes = CoefficientSizes.of(model)
    n = subjects * frames
    pose = torch.from_numpy(mean_face_pose(model)).float().repeat(n, 1)
    pose[:, :3] = 0.2 * torch.randn(n, 3, generator=generator)
    light = torch.zeros(n, 9, 3)
    light[:, 0] = 2.5
    light[:, 2] = 0.3
    identity = torch.randn(subjects, sizes.identity, generator=generator).repeat_interleave(
        frames, 0
    )
    expression = 0.5 * torch.randn(n, sizes.expression, generator=generator)
    albedo = torch.randn(n, sizes.albedo, generator=generator)
    return Coefficients(identity, expression, albedo, pose, light)


def _encoded(pixels: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()
