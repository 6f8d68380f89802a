from __future__ import annotations

import pytest
from drawn_faces import Drawn, draw, some_faces

from facebench.recon.fitting.fitter import Fitter
from facebench.recon.fitting.solver import FittingSettings
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(scope="session")
def model() -> MorphableModel:
    return load_model("embedded")


@pytest.fixture(scope="session")
def fitter(model: MorphableModel) -> Fitter:
    return Fitter(model, 96, FittingSettings(pixel_spacing=9.0))


@pytest.fixture(scope="session")
def drawn(model: MorphableModel, fitter: Fitter) -> Drawn:
    """Three people, the middle one from the front."""
    return draw(fitter.face, some_faces(model, 3))
