"""Whether two photographs of one person are told from those of two people: area under the curve.

Albums of people of the human model, as cameras that nothing here was trained on take them: from
45 cm to 2.5 m in true perspective (trainings saw weak perspective), heads within 30 degrees of yaw,
15 of pitch and 12 of roll, any expression, ordinary light, backgrounds, focus, noise, white balance
and JPEG at 60 to 95. A person keeps hair, beard and glasses; none are dark, and no hand or object
hides a face. Given a folder of shards their photographs are taken, in any pose, light and cover.

Each photograph is reconstructed on its own, as `facebench reconstruct` does. Two are compared by
the cosine of their shape coefficients, of those of shape and skin together, and of a recogniser's
features at the found landmarks. `by other people` first divides by the spread within the
photographs of a person, which the other half of the people gave.

    python tests/benchmarks/identity.py
    python tests/benchmarks/identity.py --landmarks embedded --recogniser embedded
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from facebench.bench.photographs.check import identity_auc
from facebench.recon.face.crop import mean_face_pose
from facebench.recon.fitting.fitter import box_of_crop
from facebench.recon.morphable.load import load_model
from facebench.recon.portraits.reconstructor import (
    FaceCrop,
    Reconstructor,
    choose_method,
    make_reconstructor,
)
from facebench.recon.synthetic.appearance import (
    Points,
    random_albedo,
    random_appearance,
    random_beard,
    random_expression,
    random_framing,
    random_light,
    required_landmarks,
    standard_normal,
)
from facebench.recon.synthetic.clothing import ClothedModel, Clothing
from facebench.recon.synthetic.faces import combine_modes
from facebench.recon.synthetic.photograph import random_background, random_effects, random_stream
from facebench.recon.synthetic.scene import SceneRenderer
from facebench.recon.training.shards import FaceShards
from facebench.recon.vision.recognition import make_identity_features
from facebench.recon.weights.catalogue import resolve_choice

_BATCH = 8
_SIDE = 224
_DEVIATION, _LIMIT = np.array([7.0, 14.0, 5.0]), np.array([15.0, 30.0, 12.0])
"""Degrees of pitch, yaw and roll."""

_NEAR, _FAR = 450.0, 2500.0
_EYES_AHEAD = 70.0
"""Of the model's origin in mm: the plane that perspective leaves as large as it is."""

_SHRINKAGE = 0.3
"""Share of the within-person covariance's diagonal: 60 people do not tell all of its rest."""

Picture = NDArray[np.uint8]


class NearCamera(SceneRenderer):
    """Draws in true perspective from `distance` mm."""

    distance = _FAR

    def turn(self, vertices: Points, clothing: Clothing, pose: torch.Tensor) -> NDArray[np.float32]:
        """The turned vertices, moved to where weak perspective shows them as this camera does."""
        turned = super().turn(vertices, clothing, pose).copy()
        share = self.distance / (self.distance - (turned[:, 2] - _EYES_AHEAD))
        turned[:, :2] *= share[:, None]
        return turned


def album(seed: int, people: int, photographs: int) -> Iterator[tuple[str, Picture]]:
    """Person and photograph, one after another."""
    model = load_model("human")
    camera, scale = NearCamera(ClothedModel(model)), float(mean_face_pose(model)[6])
    mean = torch.from_numpy(required_landmarks(model, model.mean_shape)).float()
    size = (_SIDE, _SIDE)
    for person in range(people):
        own = random_stream(seed, "album", person)
        identity = standard_normal(own, model.identity_basis.shape[2])
        skin, look = random_albedo(own, model), random_appearance(own)
        if look.glasses is not None and look.glasses.dark:
            look = replace(look, glasses=None)
        neutral = (model.mean_shape + combine_modes(model.identity_basis, identity)).astype(
            np.float64
        )
        bare = (model.mean_albedo + combine_modes(model.albedo_basis, skin)).clip(0, 1)
        beard = random_beard(own, model)[:, None]
        albedo = bare + beard * (0.8 * look.hair.colour - bare)
        clothing = camera.clothed_model.fit_clothing(neutral, albedo, look)
        for number in range(photographs):
            moment = random_stream(seed, "album", person, number)
            expression = random_expression(moment, model)
            degrees = (moment.standard_normal(3) * _DEVIATION).clip(-_LIMIT, _LIMIT)
            angles = torch.tensor(np.radians(degrees)).float()
            pose, light = random_framing(moment, mean, angles, scale), random_light(moment)
            camera.distance = math.exp(moment.uniform(math.log(_NEAR), math.log(_FAR)))
            shape = neutral + combine_modes(model.expression_basis, expression)
            layer = camera.draw(shape, albedo, clothing, pose, light, size)
            picture = layer.over(random_background(moment, size))
            image = random_effects(moment, _SIDE).photograph(moment, picture)
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=int(moment.integers(60, 96)))
            yield f"s{person:06d}", np.asarray(Image.open(file).convert("RGB"))


def main() -> None:
    """Print the areas."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("shards", type=Path, nargs="?")
    arguments.add_argument("--people", type=int, default=40)
    arguments.add_argument("--photographs", type=int, default=4)
    arguments.add_argument("--seed", type=int, default=77)
    arguments.add_argument("--method", choices=("fitting", "ours"))
    arguments.add_argument("--landmarks", default="best")
    arguments.add_argument("--recogniser", default="best")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    if given.shards:
        shards = FaceShards(given.shards)
        pairs = [(shards.subjects[row], shards.sample(row).image) for row in range(len(shards))]
    else:
        pairs = list(album(given.seed, given.people, given.photographs))
    people, images = [name for name, _ in pairs], [image for _, image in pairs]
    choice = choose_method(given.method, None, None, given.landmarks)
    reconstructor = make_reconstructor(load_model(choice.model), choice)[0]
    recogniser = resolve_choice("recogniser", given.recogniser)
    shape, skin, features = describe(reconstructor, recogniser, images)
    print(f"{len(images)} photographs of {len(set(people))} people")
    print(f"{choice.method}, landmarks {choice.landmarks}, recogniser {recogniser}")
    both = np.concatenate([shape, skin], axis=1)
    for name, vectors in (("shape", shape), ("shape and skin", both), ("recogniser", features)):
        plain = identity_auc(list(vectors), people)[0]
        print(f"{name}: AUC {plain:.3f}, by other people {by_others(vectors, people):.3f}")


@torch.no_grad()
def describe(
    reconstructor: Reconstructor, recogniser: str, images: list[Picture]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Shape and skin coefficients and a recogniser's features, (N, K) each."""
    network, detector = make_identity_features(recogniser), reconstructor.landmark_detector
    assert detector is not None
    crops, features = [], []
    for image in images:
        boxes = reconstructor.frame_faces(image, [box_of_crop(len(image))])
        # A face whose landmarks go astray counts, too: a user would get it.
        box = boxes[0] if boxes else box_of_crop(len(image))
        crops.append(FaceCrop(image, box, reconstructor.crop_size).crop)
        points = torch.tensor(detector.landmarks([image], [box])).double().permute(1, 2, 0)
        picture = torch.tensor(image).permute(2, 0, 1)[None].float() / 255.0
        features.append(network(picture, points)[0].double().numpy())
    starts = range(0, len(crops), _BATCH)
    found = [reconstructor.regress(np.stack(crops[start : start + _BATCH])) for start in starts]
    shape, skin = (
        np.concatenate([getattr(faces, part) for faces in found]).astype(np.float64)
        for part in ("identity", "albedo")
    )
    return shape, skin, np.stack(features)


def by_others(vectors: NDArray[np.float64], people: list[str]) -> float:
    """Mean area of both halves of the people, each judged by the spread within those of the other.

    Which of a fit's coefficients pose, light and expression move, and which together, is not to be
    had from the pairs that are judged.
    """
    names = np.array(people)
    even = np.isin(names, sorted(set(people))[::2])
    areas = []
    for judged in (even, ~even):
        others = vectors[~judged]
        means = {name: vectors[names == name].mean(0) for name in set(names[~judged])}
        within = others - np.stack([means[name] for name in names[~judged]])
        covariance = within.T @ within / (len(within) - len(means))
        covariance *= 1 - _SHRINKAGE
        covariance[np.diag_indices_from(covariance)] /= 1 - _SHRINKAGE
        values, directions = np.linalg.eigh(covariance)
        white = (vectors[judged] - others.mean(0)) @ (directions / np.sqrt(values.clip(1e-12)))
        areas.append(identity_auc(list(white), list(names[judged]))[0])
    return float(np.mean(areas))


if __name__ == "__main__":
    main()
