"""`facebench prepare` as a user calls it, and a training on what it leaves."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from labelled_photographs import write_photograph
from training_faces import SETTINGS, small_model

from facebench.cli.prepare import _print, command
from facebench.cli.train import command as train
from facebench.errors import FacebenchError
from facebench.recon.morphable.load import save_npz


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs") / "photos"
    for number in range(5):
        write_photograph(root / f"{number}.jpg", number, mask=number > 0)
    (root / "junk.jpg").write_bytes(b"no photograph")
    return root


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_one_is_told_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {"faces": 1, "photographs": 1, "shards": ["a"], "dropped": {}}
    _print(defaultdict(int, found), tmp_path, as_json=False)
    assert capsys.readouterr().out.startswith("1 face of 1 photograph in 1 shard: ")


def test_prepares_says_what_was_left_out_and_trains(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    options = ("--landmarks", "none", "--parser", "none", "--image-size", 64)
    result = run(photographs, "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert "5 faces of 6 photographs in 1 shard" in result.stdout
    assert "unreadable photograph" in result.stdout
    assert "Without a mask: 1." in result.stderr
    again = run(photographs, "--out", out, *options, "--json")
    summary = json.loads(again.stdout)
    assert summary["faces"] == 5 and summary["dropped"] == {"unreadable photograph": 1}
    settings = [f"--set={setting}" for setting in SETTINGS]
    save_npz(small_model(), tmp_path / "model.npz")
    settings += ["--model", str(tmp_path / "model.npz")]
    arguments = ["--data", str(out), "--out", str(tmp_path / "run"), "--steps", "2", "--json"]
    trained = CliRunner().invoke(train, [*arguments, "--recipe", "ours-embedded", *settings])
    assert trained.exit_code == 0, trained.output
    assert "Without a mask: 1 photograph." in trained.stderr
    log = json.loads(trained.stdout)
    assert log["steps"] == 2 and log["log"]["pixel"] > 0 and log["log"]["landmark"] > 0


def test_mistakes_are_told_in_one_line(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = ("--out", tmp_path / "shards")
    for arguments, message in (
        ((tmp_path / "empty", *out), "no photographs in"),
        ((tmp_path / "nowhere", *out), "no such f"),
        ((photographs, *out, "--landmarks", "lost.pt"), "no landmarks 'lost.pt'"),
        ((photographs, *out, "--landmarks", "none", "--parser", "lost.pt"), "no parser weights"),
        ((photographs / "0.jpg", *out, "--folders-are-subjects"), "given by itself"),
    ):
        result = run(*arguments)
        assert isinstance(result.exception, FacebenchError), result.output
        assert message in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "shards").exists()


def test_help_ends_in_examples() -> None:
    assert "Examples:" in run("--help").output
