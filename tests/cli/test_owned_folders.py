"""Folders that commands own: one command, one at a time, nothing of anybody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.files.writing import MARK, lock_folder

STRAY = ("--method", "mean-face", "--recipe", "tran=tran")
Words = Callable[[Path], list[object]]
COMMANDS: dict[str, tuple[str, Words]] = {
    "run": ("run", lambda at: ["run", "pairs", at / "theirs", at / "scans"]),
    "micc": ("run", lambda at: ["micc", "--data", at / "micc", "--method", "mean-face"]),
    "evaluate set": ("run", lambda at: ["evaluate", at / "theirs", at / "scans"]),
    "evaluate": ("evaluate", lambda at: ["evaluate", at / "a.ply", at / "b.ply"]),
    "train": ("train", lambda at: ["train", "--data", at / "shards"]),
    "prepare": ("prepare", lambda at: ["prepare", at / "photographs"]),
    "reconstruct": ("reconstruct", lambda at: ["reconstruct", at / "photographs" / "a.jpg"]),
    "synth faces": ("synth faces", lambda at: ["synth", "faces"]),
    "synth micc": ("synth micc", lambda at: ["synth", "micc"]),
    "audit": ("audit", lambda at: ["audit", "--people", 2, "--model", at / "model.npz"]),
    "models fit": ("models fit", lambda at: ["models", "fit", "embedded", at / "a.ply"]),
    "table1": ("table1", lambda at: ["table1", "--data", at / "micc", *STRAY]),
    "demo": ("demo", lambda at: ["demo"]),
}
"""What each is called in the mark, and its words up to `--out`; of some the inputs are wrong."""
WRONG = ("evaluate", "train", "audit", "models fit", "table1")
"""Those that find out inside their folder."""

every = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs that are looked at before the folder is."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in (
        "theirs/a.ply",
        "scans/a.ply",
        "photographs/a.jpg",
        "shards/a.csv",
        "a.ply",
        "b.ply",
        "model.npz",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    scan = folder / "micc" / "subject_01" / "Model" / "frontal1" / "obj" / "110101090000.obj"
    scan.parent.mkdir(parents=True)
    scan.write_bytes(b"")
    video = folder / "micc" / "subject_01" / "Video" / "PTZ-Indoor.avi"
    video.parent.mkdir()
    video.write_bytes(b"")
    return folder


def refusal(name: str, at: Path, out: Path) -> str:
    words = [*COMMANDS[name][1](at), "--out", out]
    result = CliRunner().invoke(group, [str(word) for word in words])
    assert isinstance(result.exception, FacebenchError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


@every
def test_somebody_elses_folder_is_left_alone(name: str, at: Path, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1.tex").write_text("x")
    assert "holds other files, such as chapter1.tex" in refusal(name, at, thesis)
    assert [path.name for path in tmp_path.rglob("*")] == ["thesis", "chapter1.tex"]


@every
def test_the_folder_of_another_command_is_left_alone(name: str, at: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MARK).write_text("models paint\n")
    assert "holds what 'facebench models paint' wrote" in refusal(name, at, tmp_path / "out")
    assert len(list(tmp_path.rglob("*"))) == 2


@every
def test_a_second_command_at_the_same_time_is_told(name: str, at: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out", COMMANDS[name][0]):
        assert "another command is writing to" in refusal(name, at, tmp_path / "out")
        assert (tmp_path / "out" / ".lock").is_file()


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_leaves_no_folder_behind(name: str, at: Path, tmp_path: Path) -> None:
    refusal(name, at, tmp_path / "new" / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("run", "run.json"),
        ("train", "checkpoint.pt"),
        ("evaluate", "score.json"),
        ("models fit", "fit.json"),
        ("audit", "audit.json"),
        ("table1", "table1.md"),
        ("reconstruct", "portraits.jsonl"),
    ],
)
def test_a_folder_from_before_folders_were_marked_goes_on(
    name: str, old: str, at: Path, tmp_path: Path
) -> None:
    (tmp_path / old).write_bytes(b"")
    (tmp_path / "notes.txt").write_text("mine")
    words = [*COMMANDS[name][1](at), "--out", tmp_path]
    result = CliRunner().invoke(group, [str(word) for word in words])
    assert "holds other files" not in str(result.exception)
    assert (tmp_path / MARK).read_text() == f"{COMMANDS[name][0]}\n"
