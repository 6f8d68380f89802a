"""How well a parser's masks agree with the true ones, on photographs that were not trained on.

The measures: pixels right, and intersection over union of classes, counted over all photographs;
`face` is what the loss of `ours` counts as face, taken together. Each of them also with something
put before every photograph: straight-edged, as the recipe's `augmentation.cover` does, or a hand or
an object at the side, as `facebench synth faces` does.

    facebench synth faces --out held-out --subjects 60 --frames 8 --image-size 112 --seed 2
    python tests/benchmarks/parsing.py held-out
    python tests/benchmarks/parsing.py held-out --parser parser/weights.pt
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facebench.recon.losses.multilevel import class_weights
from facebench.recon.network.dense import CLASSES
from facebench.recon.recipes.files import load_recipe
from facebench.recon.synthetic.appearance import CLASS
from facebench.recon.synthetic.occluders import Occluder, foreground_object, hand, occlude
from facebench.recon.training.augmentation import cover
from facebench.recon.training.batches import Transform, collate, resize_sample
from facebench.recon.training.shards import FaceShards, Sample
from facebench.recon.training.tasks.parser import class_overlaps, confusion
from facebench.recon.vision.parsing import BiSeNetParser, make_parser

GROUPS = {
    "skin": ("skin",),
    "nose": ("nose",),
    "hair": ("hair",),
    "glasses": ("eye_glasses",),
    "eyes": ("l_eye", "r_eye"),
    "brows": ("l_brow", "r_brow"),
    "lips": ("u_lip", "l_lip"),
}
_CHUNK = 32


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("shards", type=Path)
    arguments.add_argument("--parser", default="embedded", help="weights")
    arguments.add_argument("--seed", type=int, default=1, help="of the covers")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    shards, parser = FaceShards(given.shards), make_parser(given.parser)
    print(f"{len(shards)} photographs of {given.shards}, {given.parser}")
    print(f"{'':12}{'pixels':>8}{'face':>7}" + "".join(f"{name:>9}" for name in GROUPS) + "  all")
    ways = {"as they are": as_it_is, "covered": cover, "hand": behind_a_hand}
    for name, way in (ways | {"object": behind_an_object}).items():
        print(f"{name:12}{line(counted(shards, parser, way, given.seed))}")


def as_it_is(sample: Sample, random: np.random.Generator) -> Sample:
    """No change."""
    return sample


def behind_a_hand(sample: Sample, random: np.random.Generator) -> Sample:
    """The photograph with a hand of the person's own colour before the face."""
    skin = sample.image[sample.mask == CLASS["skin"]]
    colour = np.median(skin, axis=0) / 255 if len(skin) else np.full(3, 0.5)
    return behind(hand(random, sample.landmarks, colour, sample.mask.shape), sample)


def behind_an_object(sample: Sample, random: np.random.Generator) -> Sample:
    """The photograph with an object at the face's side."""
    return behind(foreground_object(random, sample.landmarks, sample.mask.shape), sample)


def behind(occluder: Occluder, sample: Sample) -> Sample:
    """The photograph and its mask behind a thing."""
    picture, mask = occlude(sample.image.astype(np.float32) / 255, sample.mask, occluder)
    return Sample((picture * 255 + 0.5).clip(0, 255).astype(np.uint8), sample.landmarks, mask)


def counted(shards: FaceShards, parser: BiSeNetParser, way: Transform, seed: int) -> Tensor:
    """Pixels (C, C) of all photographs by true class and found class."""
    table = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
    for first in range(0, len(shards), _CHUNK):
        rows = range(first, min(first + _CHUNK, len(shards)))
        samples = [resize_sample(shards.sample(row), parser.side) for row in rows]
        randoms = [np.random.default_rng([seed, row]) for row in rows]
        batch = collate([way(*pair) for pair in zip(samples, randoms, strict=True)])
        table += confusion(parser(batch.images), batch.masks)
    return table


def line(table: Tensor) -> str:
    """The measures of one table of counts."""
    overlaps = class_overlaps(table)
    right = float(table.diagonal().sum() / table.sum())
    groups = [float(overlaps[[CLASS[name] for name in names]].mean()) for names in GROUPS.values()]
    values = "".join(f"{value:9.3f}" for value in groups)
    return f"{right:8.1%}{face_overlap(table):7.3f}{values}{float(overlaps.nanmean()):7.3f}"


def face_overlap(table: Tensor) -> float:
    """Intersection over union of everything that the loss of `ours` counts as face."""
    face = class_weights(load_recipe("ours-embedded").loss.mask) > 0
    both = table[face][:, face].sum()
    return float(both / (table[face].sum() + table[:, face].sum() - both))


if __name__ == "__main__":
    main()
