"""The recogniser that comes with the package knows synthetic people whom it was not shown."""

from __future__ import annotations

import numpy as np
import torch

from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.files import load_recipe
from facebench.recon.synthetic.faces import FaceSampler
from facebench.recon.training.batches import collate
from facebench.recon.training.methods.ours import load_features
from facebench.recon.training.shards import Sample
from facebench.recon.training.tasks.recogniser import separation

PEOPLE, FRAMES, SIDE = 12, 3, 112


def test_photographs_of_one_person_are_more_alike_than_those_of_two() -> None:
    sampler = FaceSampler(load_model("embedded"), seed=41, image_size=SIDE)
    faces = [sampler.face(*divmod(number, FRAMES)) for number in range(PEOPLE * FRAMES)]
    truth = collate([Sample(face.image, face.landmarks, face.mask) for face in faces])
    features = load_features(load_recipe("ours").identity, torch.device("cpu"))
    assert features is not None
    with torch.no_grad():
        vectors = features(truth.images, truth.landmarks).double().numpy()
    people = np.repeat(np.arange(PEOPLE), FRAMES)
    assert separation(vectors, people) > 0.9
