"""What counts as done, and what does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facebench.recon.portraits.results import NAME, ResultLedger, SourceResult
from facebench.recon.portraits.sources import Source

SETTINGS = {"formats": ("obj",), "model": "m"}


@pytest.fixture
def done(tmp_path: Path) -> tuple[Path, Source]:
    """One source that was reconstructed."""
    path, out = tmp_path / "p.jpg", tmp_path / "out"
    path.write_bytes(b"picture")
    source = Source("p", path)
    ResultLedger(out, SETTINGS).add(source, SourceResult("p", str(path), 1, 1, ("p.obj",)))
    (out / "p.obj").touch()
    return out, source


def test_what_was_done_is_kept(done: tuple[Path, Source]) -> None:
    out, source = done
    kept = ResultLedger(out, SETTINGS).find(source)
    assert kept is not None and kept.kept and kept.files == ("p.obj",)


def test_other_settings_are_other_work(done: tuple[Path, Source]) -> None:
    out, source = done
    assert ResultLedger(out, SETTINGS | {"model": "n"}).find(source) is None
    assert ResultLedger(out, SETTINGS, forget=True).find(source) is None


def test_a_name_that_is_no_utf8_is_written_down(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(b"picture")
    source, ledger = Source(path.stem, path), ResultLedger(tmp_path / "out", SETTINGS)
    ledger.add(source, SourceResult(source.name, str(path), 1, 0, reason="no face was found"))
    assert ledger.find(source) is None and (tmp_path / "out" / NAME).read_text().count("\n") == 1


def test_what_was_written_over_is_not_there_already(done: tuple[Path, Source]) -> None:
    """By another model, whose files have the same names."""
    out, source = done
    other = ResultLedger(out, SETTINGS | {"model": "n"})
    other.add(source, SourceResult("p", str(source.path), 1, 1, ("p.obj",)))
    assert ResultLedger(out, SETTINGS).find(source) is None
    assert ResultLedger(out, SETTINGS | {"model": "n"}).find(source) is not None


def test_another_photograph_of_its_name_is_known(done: tuple[Path, Source]) -> None:
    out, first = done
    files = ("p.json", "p_face2.json")
    ResultLedger(out, SETTINGS).add(first, SourceResult("p", str(first.path), 1, 2, files))
    second = Source("p", out / "p.png")
    further = Source("p_face2", out / "p_face2.png")
    ledger = ResultLedger(out, SETTINGS | {"model": "n"}, forget=True)
    assert not ledger.other_source(first)
    assert ledger.other_source(second) == ledger.other_source(further) == str(first.path)
    # A further face may find its name taken where the first does not.
    ledger.add(
        alone := Source("a_face2", out / "a_face2.png"),
        SourceResult("a", "", 1, 1, ("a_face2.json",)),
    )
    alone.path.touch()
    several = Source("a", out / "a.png")
    assert not ledger.other_source(several)
    assert ledger.other_source(several, all_faces=True) == str(alone.path)
    first.path.unlink()
    assert not ledger.other_source(second)  # It was moved, or given another form.


def test_a_relative_path_is_another_photograph_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source("me", Path("me.jpg"))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "me.jpg").write_text(name)
    monkeypatch.chdir(tmp_path / "a")
    done = SourceResult("me", "me.jpg", 1, 1, ("me.json",))
    ResultLedger(tmp_path / "out", SETTINGS).add(source, done)
    assert not ResultLedger(tmp_path / "out", SETTINGS).other_source(source)
    monkeypatch.chdir(tmp_path / "b")
    other = ResultLedger(tmp_path / "out", SETTINGS).other_source(source)
    assert other == str(tmp_path / "a" / "me.jpg")


@pytest.mark.parametrize(
    "change",
    ["file gone", "source changed", "and dated back", "boxes added", "landmarks added", "line cut"],
)
def test_what_changed_is_done_again(done: tuple[Path, Source], change: str) -> None:
    out, source = done
    if change == "file gone":
        (out / "p.obj").unlink()
    elif change == "source changed":
        os.utime(source.path, ns=(1, 1))
    elif change == "and dated back":
        # As by unpacking an archive, or with the clock set back: same size, same date.
        date = source.path.stat().st_mtime_ns
        source.path.write_bytes(source.path.read_bytes()[::-1])
        os.utime(source.path, ns=(date, date))
    elif change == "boxes added":
        source.path.with_name("p.boxes.csv").write_text("frame,left,top,width,height\n")
    elif change == "landmarks added":
        source.path.with_name("p.pts").write_text("version: 1\n{\n}\n")
    else:
        line = (out / NAME).read_text()
        (out / NAME).write_text(line[: len(line) // 2])
    assert ResultLedger(out, SETTINGS).find(source) is None


def test_a_torn_line_costs_itself_alone(done: tuple[Path, Source]) -> None:
    """What a kill cut off swallows neither the lines before it nor the one that comes next."""
    out, first = done
    second, third = (Source(name, first.path) for name in "qr")
    for source in (second, third):
        (out / f"{source.name}.obj").touch()
    found = SourceResult("q", str(first.path), 1, 1, ("q.obj",))
    ResultLedger(out, SETTINGS).add(second, found)
    content = (out / NAME).read_bytes()
    (out / NAME).write_bytes(content[:-20])
    again = ResultLedger(out, SETTINGS)
    assert again.find(first) is not None and again.find(second) is None
    again.add(third, SourceResult("r", str(first.path), 1, 1, ("r.obj",)))
    again = ResultLedger(out, SETTINGS)
    assert again.find(first) is not None and again.find(third) is not None
    assert again.find(second) is None and content[:-20] in (out / NAME).read_bytes()


def test_failures_are_tried_again(tmp_path: Path) -> None:
    source = Source("p", tmp_path / "p.jpg")
    ledger = ResultLedger(tmp_path, SETTINGS)
    ledger.add(source, SourceResult("p", "p.jpg", 1, 0, reason="no face was found"))
    assert ResultLedger(tmp_path, SETTINGS).find(source) is None
