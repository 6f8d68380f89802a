"""Whether two photographs of one person are told from those of two people: area under the curve.

Each photograph of the shards is reconstructed on its own, as `facebench reconstruct` does; two of
them are compared by the cosine of their identity coefficients, and by that of a recogniser's
features. Photographs of one person differ in pose, expression, light, camera and hair.

    facebench synth faces --model human --out people --subjects 30 --frames 4 --image-size 224 \
      --seed 77
    python tests/benchmarks/identity.py people
    python tests/benchmarks/identity.py people --landmarks embedded --recogniser embedded
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from facebench.bench.photographs.check import identity_auc
from facebench.recon.fitting.fitter import box_of_crop
from facebench.recon.morphable.load import load_model
from facebench.recon.portraits.reconstructor import (
    FaceCrop,
    Reconstructor,
    choose_method,
    make_reconstructor,
)
from facebench.recon.training.data.shards import FaceShards
from facebench.recon.vision.recognition import make_identity_features
from facebench.recon.weights.catalogue import resolve_choice

_BATCH = 8


def main() -> None:
    """Print both areas."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("shards", type=Path)
    arguments.add_argument("--method", choices=("fitting", "ours"))
    arguments.add_argument("--landmarks", default="best")
    arguments.add_argument("--recogniser", default="best")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    shards = FaceShards(given.shards)
    choice = choose_method(given.method, None, None, given.landmarks)
    reconstructor = make_reconstructor(load_model(choice.model), choice)[0]
    images = [shards.sample(row).image for row in range(len(shards))]
    shapes = identities(reconstructor, images)
    recogniser = resolve_choice("recogniser", given.recogniser)
    features = recognised(make_identity_features(recogniser), shards)
    print(f"{len(images)} photographs of {len(set(shards.subjects))} people")
    for name, vectors in ((f"{choice.method}, {choice.landmarks}", shapes), (recogniser, features)):
        area, pairs = identity_auc(list(vectors), shards.subjects)
        print(f"{name}: AUC {area:.3f}, {pairs} pairs of one person", flush=True)


def identities(reconstructor: Reconstructor, images: list[np.ndarray]) -> np.ndarray:
    """Identity coefficients (N, K)."""
    crops = []
    for image in images:
        boxes = reconstructor.frame_faces(image, [box_of_crop(len(image))])
        # A face whose landmarks go astray counts, too: a user would get it.
        box = boxes[0] if boxes else box_of_crop(len(image))
        crops.append(FaceCrop.of(image, box, reconstructor.crop_size).crop)
    starts = range(0, len(crops), _BATCH)
    found = [reconstructor.regress(np.stack(crops[start : start + _BATCH])) for start in starts]
    return np.concatenate([faces.identity for faces in found]).astype(np.float64)


@torch.no_grad()
def recognised(features: torch.nn.Module, shards: FaceShards) -> np.ndarray:
    """Features (N, D), aligned by the true landmarks."""
    found = []
    for row in range(len(shards)):
        sample = shards.sample(row)
        image = torch.tensor(sample.image).permute(2, 0, 1)[None].float() / 255.0
        points = torch.tensor(sample.landmarks, dtype=torch.float64)[:, :, None]
        found.append(features(image, points)[0].double().numpy())
    return np.stack(found)


if __name__ == "__main__":
    main()
