from __future__ import annotations

from pathlib import Path

from facebench.recon.training.loop import TrainingFolder


def test_lines_come_back_as_written(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    rows = [{"step": float(i), "total": 1 / (i + 1), "images_per_s": 7.5} for i in range(3)]
    for row in rows:
        folder.append(folder.log, row)
    assert folder.read(folder.log) == rows


def test_a_level_that_joins_later_gets_a_column_of_its_own(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    early, late = {"step": 1.0, "landmark": 5.0}, {"step": 2.0, "pixel": 0.1, "landmark": 4.0}
    for row in (early, late, late | {"step": 3.0}):
        folder.append(folder.log, row)
    assert folder.read(folder.log) == [early, late, late | {"step": 3.0}]
    assert folder.log.read_text().splitlines()[0] == "step,pixel,landmark"


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.append(folder.log, {"step": 1.0, "total": 2.0})
    with folder.log.open("a") as file:
        file.write("2.0")
    assert folder.read(folder.log) == [{"step": 1.0, "total": 2.0}]


def test_wherever_a_line_is_torn_the_lines_before_are_read(tmp_path: Path) -> None:
    """A number cut after its sign or exponent would be none, and one cut later another."""
    folder = TrainingFolder(tmp_path)
    rows = [{"step": 1.0, "total": 2.0}, {"step": 2.0, "total": -3.4e-05}]
    for row in rows:
        folder.append(folder.log, row)
    whole = folder.log.read_bytes()
    second = whole.index(b"2.0,-3")
    for end in range(second, len(whole) - 1):
        folder.log.write_bytes(whole[:end])
        assert folder.read(folder.log) == rows[:1]
    folder.log.write_bytes(whole)
    assert folder.read(folder.log) == rows


def test_rewinding_drops_what_the_checkpoint_does_not_know(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    for step in range(1, 6):
        folder.append(folder.log, {"step": float(step)})
    folder.rewind(3)
    assert [row["step"] for row in folder.read(folder.log)] == [1, 2, 3]
    folder.rewind(0)
    assert folder.read(folder.log) == []
    folder.append(folder.log, {"step": 1.0})
    assert folder.read(folder.log) == [{"step": 1.0}]
