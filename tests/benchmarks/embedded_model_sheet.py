"""Pictures and figures of the embedded face model: python embedded_model_sheet.py OUT_FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facebench.recon.face.coefficients import Coefficients
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.face.imaging import ambient_light
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import embedded_model
from facebench.recon.render.face import FaceDecoder, FaceRenderer
from facebench.recon.render.outline import OutlineRenderer

SIDE = 240
VIEWS = ((0, 0), (0, 35), (0, 80), (-25, 0), (25, 0), (8, -20))
"""Pitch and yaw in degrees."""


def faces(model: MorphableModel, count: int) -> dict[str, np.ndarray]:
    """Coefficients of `count` mean faces, to be changed."""
    sizes = {part: getattr(model, f"{part}_basis").shape[2] for part in PARTS}
    return {part: np.zeros((count, size)) for part, size in sizes.items()}


PARTS = ("identity", "expression", "albedo")


def draw(model: MorphableModel, parts: dict[str, np.ndarray], angles: np.ndarray) -> np.ndarray:
    """Pictures (B, SIDE, SIDE, 3) of faces at (B, 2) pitch and yaw in degrees."""
    pose = np.tile(0.85 * mean_face_pose(model), (len(angles), 1))
    pose[:, :2], pose[:, 3] = np.radians(angles), 0.0
    light = ambient_light(len(angles)) * 0.75
    light[:, 1:4] += torch.tensor([0.2, 0.45, 0.15])[None, :, None]
    values = [torch.as_tensor(value, dtype=torch.float32) for value in (*parts.values(), pose)]
    renderer = OutlineRenderer(background=(0.5, 0.5, 0.5))
    face = FaceRenderer(FaceDecoder(model), renderer, (2 * SIDE, 2 * SIDE))
    with torch.no_grad():
        image = face(Coefficients(*values, light))[0].image.clamp(0, 1)
    smooth = torch.nn.functional.avg_pool2d(image, 2)
    return (smooth * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def modes(model: MorphableModel, part: str) -> np.ndarray:
    """Every mode of a part at -2.5 and +2.5 standard deviations, frontal and from the side."""
    count = getattr(model, f"{part}_basis").shape[2]
    parts = faces(model, 4 * count)
    for row in range(4 * count):
        parts[part][row, row // 4] = (-2.5, -2.5, 2.5, 2.5)[row % 4]
    return draw(model, parts, np.array([(0, 0), (0, 35)] * 2 * count))


def strangers(model: MorphableModel, count: int) -> np.ndarray:
    """Random faces, expressions and poses."""
    random = np.random.default_rng(11)
    parts = {name: random.normal(size=value.shape) for name, value in faces(model, count).items()}
    parts["expression"] *= 0.7
    parts["expression"][:, 0] = np.abs(parts["expression"][:, 0])
    return draw(model, parts, random.uniform(-1, 1, (count, 2)) * [12, 35])


def save(pictures: np.ndarray, columns: int, path: Path) -> None:
    """Pictures in rows of `columns`."""
    rows = pictures.reshape(-1, columns, *pictures.shape[1:])
    Image.fromarray(np.concatenate(np.concatenate(list(rows), axis=1), axis=1)).save(path)


def print_strength(model: MorphableModel, part: str) -> None:
    """Displacement of each mode in mm per standard deviation."""
    length = np.linalg.norm(getattr(model, f"{part}_basis"), axis=1)
    rms, largest = np.sqrt((length**2).mean(axis=0)), length.max(axis=0)
    print(f"{part} mode | RMS mm | largest mm")
    for row in zip(getattr(model, f"{part}_names"), rms, largest, strict=True):
        print("{} | {:.2f} | {:.1f}".format(*row))


def main(folder: Path) -> None:
    """Write the sheets and print the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    model = embedded_model()
    print(f"{model.n_vertices} vertices, digest {model.digest}")
    save(draw(model, faces(model, len(VIEWS)), np.array(VIEWS)), 3, folder / "mean.png")
    save(strangers(model, 12), 4, folder / "random.png")
    for part in PARTS:
        save(modes(model, part), 4, folder / f"{part}.png")
    for part in PARTS[:2]:
        print_strength(model, part)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
