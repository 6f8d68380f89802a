"""Photographs of synthetic faces with their label files, for tests that prepare them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.faces import FaceSampler, LabelledFace

SIZE = 200


@cache
def person(number: int) -> LabelledFace:
    """A face of the embedded model, `SIZE` px, the same for the same number."""
    return _sampler().face(number, 0)


@cache
def _sampler() -> FaceSampler:
    return FaceSampler(load_model("embedded"), seed=7, image_size=SIZE)


def pts(landmarks: np.ndarray) -> str:
    """Landmarks (68, 2) as an iBUG file, which counts from 1."""
    lines = "\n".join(f"{x:.4f} {y:.4f}" for x, y in landmarks + 1.0)
    return f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n"


def write_photograph(path: Path, number: int, mask: bool = True, quality: int = 92) -> Path:
    """A person's photograph with `.pts` and mask beside it."""
    face = person(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(face.image).save(path, quality=quality)
    path.with_suffix(".pts").write_text(pts(face.landmarks))
    if mask:
        Image.fromarray(face.mask).save(path.with_name(f"{path.stem}_mask.png"))
    return path


def write_pair(path: Path, left: int, right: int) -> Path:
    """Two persons side by side, the right one at half size; landmarks of both in one text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, second = person(left), person(right)
    half = np.asarray(Image.fromarray(second.image).resize((SIZE // 2, SIZE // 2)))
    canvas = np.full((SIZE, SIZE + SIZE // 2, 3), 90, np.uint8)
    canvas[:, :SIZE] = first.image
    canvas[: SIZE // 2, SIZE:] = half
    Image.fromarray(canvas).save(path, quality=92)
    moved = (second.landmarks + 0.5) / 2 - 0.5 + [SIZE, 0]
    np.savetxt(path.with_suffix(".txt"), np.concatenate([moved, first.landmarks]))
    return path
