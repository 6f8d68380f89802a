"""The embedded face, and the same at other resolutions."""

from __future__ import annotations

import pytest

from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import embedded_model, procedural_model

SIZES = (2000, 6000, 13000)


@pytest.fixture(scope="session")
def model() -> MorphableModel:
    return embedded_model()


@pytest.fixture(scope="session", params=SIZES)
def sized(request: pytest.FixtureRequest) -> MorphableModel:
    return procedural_model(n_vertices=request.param)
