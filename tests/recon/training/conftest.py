from __future__ import annotations

from pathlib import Path

import pytest
from training_faces import write_training_faces


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of shards; the face model lies beside it as `model.npz`."""
    return write_training_faces(tmp_path_factory.mktemp("training"))
