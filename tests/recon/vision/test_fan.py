"""Nothing is downloaded: what is missing is told with where to put it."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.errors import FacebenchError
from facebench.recon.vision.fan import FAN_FILE, SFD_FILE, SfdDetector, torch_checkpoints
from facebench.recon.vision.landmarks import make_landmark_detector


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = torch_checkpoints()
    assert folder == tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_missing_weights_are_named_with_their_place(checkpoints: Path) -> None:
    with pytest.raises(FacebenchError, match=FAN_FILE) as caught:
        make_landmark_detector("fan")
    assert str(checkpoints) in caught.value.hint
    with pytest.raises(FacebenchError, match=SFD_FILE):
        SfdDetector()


def test_a_page_in_place_of_the_weights_is_told(checkpoints: Path) -> None:
    (checkpoints / FAN_FILE).write_text("<!doctype html><title>404</title>")
    with pytest.raises(FacebenchError, match="is a web page"):
        make_landmark_detector("fan")
