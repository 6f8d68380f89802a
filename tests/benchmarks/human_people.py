"""A sheet of people of the human model with their skins: human_people.py PICTURE [SEED]."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facebench.recon.export.sheet import grid, to_pictures
from facebench.recon.face.coefficients import Coefficients
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.face.imaging import ambient_light
from facebench.recon.morphable.load import load_model
from facebench.recon.render import make_renderer
from facebench.recon.render.face import FaceDecoder, FaceRenderer, draw_overlay, draw_shape
from facebench.recon.synthetic.appearance import random_albedo, random_expression, standard_normal

COLUMNS, ROWS, SIDE = 8, 2, 170


def main(out: Path, seed: int) -> None:
    """Per person the face at rest, with an expression, and that shape alone."""
    model, random = load_model("human"), np.random.default_rng(seed)
    renderer = make_renderer("outline", sigma=1e-6)
    face = FaceRenderer(FaceDecoder(model), renderer, (2 * SIDE, 2 * SIDE))
    rows = []
    light = ambient_light(COLUMNS)
    light[:, :4] += torch.tensor([0.0, 0.25, 0.6, 0.15]).view(1, 4, 1)
    for _ in range(ROWS):
        drawn = [
            np.stack([standard_normal(random, 60) for _ in range(COLUMNS)]),
            np.stack([random_expression(random, model) for _ in range(COLUMNS)]),
            np.stack([random_albedo(random, model) for _ in range(COLUMNS)]),
        ]
        pose = 0.8 * torch.from_numpy(mean_face_pose(model)).float().repeat(COLUMNS, 1)
        pose[:, 1] = torch.from_numpy(random.uniform(-0.6, 0.6, COLUMNS))
        identity, expression, albedo = (torch.from_numpy(part).float() for part in drawn)
        people = Coefficients(identity, torch.zeros_like(expression), albedo, pose, light)
        paper = torch.full((COLUMNS, 3, 2 * SIDE, 2 * SIDE), 0.96)
        moved = replace(people, expression=expression)
        images = [draw_overlay(face, one, paper) for one in (people, moved)]
        images.append(draw_shape(face, moved))
        halved = (torch.nn.functional.avg_pool2d(image.clamp(0, 1), 2) for image in images)
        rows += [to_pictures(image) for image in halved]
    Image.fromarray(grid(rows)).save(out, quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
