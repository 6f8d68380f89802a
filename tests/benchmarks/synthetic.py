"""How fast synthetic people are drawn, and what they look like.

    python tests/benchmarks/synthetic.py [--model embedded] [--sheet sheet.png]

Prints faces per second of one process at 112 and 224 px and seconds per subject of a MICC set; with
`--sheet`, draws faces with landmarks over their masks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from facebench.bench.synthetic.write import MiccPlan, write_micc
from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.faces import FaceSampler, LabelledFace

SHOWN_PX = 168


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    for size in (112, 224):
        seconds, processor = _time_faces(arguments.model, size)
        print(f"faces {size} px: {1 / seconds:.1f}/s, {processor * 1e3:.1f} ms of CPU each")
    print(f"micc: {_time_subject(arguments.model):.1f} s of CPU a subject of 3 x 40 frames")
    if arguments.sheet:
        sampler = FaceSampler(load_model(arguments.model), seed=1, image_size=112)
        _sheet([sampler.face(subject, 0) for subject in range(32)]).save(arguments.sheet)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--sheet", type=Path)
    return parser.parse_args()


def _time_faces(source: str, size: int, number: int = 60) -> tuple[float, float]:
    """Seconds on the wall and of the processor, encoding included."""
    sampler = FaceSampler(load_model(source), seed=0, image_size=size)
    sampler.face(0, 0)
    wall, processor = time.perf_counter(), time.process_time()
    for subject in range(number):
        face = sampler.face(subject, 0)
        face.jpeg(), face.png_mask()
    return (time.perf_counter() - wall) / number, (time.process_time() - processor) / number


def _time_subject(source: str) -> float:
    scenes = ("cooperative", "indoor", "outdoor")
    plan = MiccPlan(source, load_model(source).digest, 1, 40, scenes, False, 0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        write_micc(plan, Path(folder) / "data", 1, lambda _: None)
        return time.process_time() - start


def _sheet(faces: list[LabelledFace], columns: int = 8) -> Image.Image:
    palette = np.random.default_rng(3).integers(40, 255, (19, 3)).astype(np.uint8)
    palette[0] = 0
    tiles = [np.concatenate([_marked(face), _shown(palette[face.mask])]) for face in faces]
    rows = [np.concatenate(tiles[i : i + columns], 1) for i in range(0, len(tiles), columns)]
    return Image.fromarray(np.concatenate(rows))


def _shown(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((SHOWN_PX, SHOWN_PX), 0))


def _marked(face: LabelledFace) -> np.ndarray:
    picture = Image.fromarray(_shown(face.image))
    draw = ImageDraw.Draw(picture)
    for x, y in (face.landmarks + 0.5) * SHOWN_PX / len(face.image):
        draw.ellipse([x - 1, y - 1, x + 1, y + 1], fill=(0, 255, 0))
    return np.asarray(picture)


if __name__ == "__main__":
    main()
