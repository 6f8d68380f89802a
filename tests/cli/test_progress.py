"""Progress bars keep what they count, however narrow the terminal."""

from __future__ import annotations

import pytest

from facebench.cli._progress import duration, training_progress

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
    with training_progress(0, 150, 4) as listen:
        listen(ROW)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("step ") and " 7/150 " in line and "total 6.69" in line
    assert len(line) <= columns and ("3 images/s" in line) == (columns == 200)
    assert "gradient" not in line and "waiting" not in line


def test_a_long_training_tells_its_length_once(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress(0, 100_000, 16, "Give --minutes.") as listen:
        for step in (1000, 2000, 3000):
            listen(ROW | {"step": step, "images_per_s": 100.0})
    lines = [line for line in capsys.readouterr().err.splitlines() if "to go" in line]
    assert lines == ["About 4.4 hours to go, at 100 photographs/s. Give --minutes."]
    assert [duration(s) for s in (620, 7000, 7200, 9000, 2e5, 2e7)] == [
        *("10 minutes", "117 minutes", "2 hours", "2.5 hours", "2.3 days", "231.5 days"),
    ]
