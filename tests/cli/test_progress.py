"""Progress bars keep what they count, however narrow the terminal."""

from __future__ import annotations

import pytest

from facebench.cli._progress import training_progress

ROW = {
    "step": 7,
    "total": 6.69,
    "pixel": 0.299,
    "landmark": 21.9,
    "landmark_shape": 7.2,
    "prior": 0.1,
    "skipped": 2,
    "images_per_s": 3.3,
    "waiting": 0.3,
    "gradient_pixel": 0.5,
}


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_only_the_note_is_cut(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with training_progress(0, 150) as listen:
        listen(ROW)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("step ") and " 7/150 " in line and "total 6.69" in line
    assert len(line) <= columns and ("3 images/s" in line) == (columns == 200)
    assert "gradient" not in line and "waiting" not in line
