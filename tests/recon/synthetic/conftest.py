"""The embedded model and a sampler of its faces, made once."""

from __future__ import annotations

import pytest

from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.synthetic.faces import FaceSampler


@pytest.fixture(scope="session")
def model() -> MorphableModel:
    return load_model("embedded")


@pytest.fixture(scope="session")
def sampler(model: MorphableModel) -> FaceSampler:
    return FaceSampler(model, seed=3, image_size=112)
