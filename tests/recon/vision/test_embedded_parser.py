"""The parser that comes with the package, on synthetic faces that it was not shown."""

from __future__ import annotations

import numpy as np
import torch

from facebench.recon.losses.multilevel import class_weights
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.files import load_recipe
from facebench.recon.synthetic.appearance import CLASS
from facebench.recon.synthetic.faces import FaceSampler, cover
from facebench.recon.training.batches import collate
from facebench.recon.training.shards import Sample
from facebench.recon.vision.parsing import make_parser

SIDE = 112


def test_synthetic_people_of_another_seed() -> None:
    sampler = FaceSampler(load_model("embedded"), seed=43, image_size=SIDE)
    faces = [sampler.face(subject, 0) for subject in range(12)]
    truth = collate([Sample(face.image, face.landmarks, face.mask) for face in faces])
    found, true = make_parser()(truth.images).numpy(), truth.masks.numpy()
    assert np.mean(found == true) > 0.85
    for name in ("background", "skin", "nose", "hair"):
        here, there = found == CLASS[name], true == CLASS[name]
        assert (here & there).sum() > 0.6 * (here | there).sum(), name


def test_what_a_large_straight_edged_thing_hides_is_not_the_face() -> None:
    face = class_weights(load_recipe("ours-embedded").loss.mask).numpy() > 0
    sampler = FaceSampler(load_model("embedded"), seed=43, image_size=SIDE)
    faces = [cover(sampler.face(subject, 0), face, subject) for subject in range(12)]
    samples = [Sample(one.image, one.face.landmarks, one.mask) for one in faces]
    found = face[make_parser()(collate(samples).images).numpy()]
    behind = np.stack([one.covered for one in faces])
    true = np.stack([face[one.mask] for one in faces])
    assert found[behind].mean() < 0.1
    assert (found & true).sum() > 0.8 * (found | true).sum()


def test_pictures_of_other_sizes_are_parsed_at_their_own() -> None:
    assert make_parser()(torch.rand(2, 3, 96, 224)).shape == (2, 96, 224)
