"""`facebench synth` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from facebench.cli.synth import command
from facebench.errors import FacebenchError


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_faces_are_written_and_counted(tmp_path: Path) -> None:
    out = tmp_path / "faces"
    sizes = ("--subjects", 2, "--frames", 1, "--image-size", 32)
    result = _run("faces", "--out", out, *sizes, "--seed", 1, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["faces"] == 2
    assert [path.name for path in out.glob("*.parquet")] == answer["shards"]


def test_micc_is_written_with_the_chosen_scenes(tmp_path: Path) -> None:
    out = tmp_path / "data"
    result = _run("micc", "--out", out, "--subjects", 1, "--frames", 2, "--scenes", "outdoor")
    assert result.exit_code == 0, result.output
    assert [path.stem for path in (out / "subject_01" / "Video").iterdir()] == ["PTZ-Outdoor"]
    assert (tmp_path / "data-truth" / "subject_01.npz").exists()
    assert "1 subject, 1 video, 2 frames" in result.output


@pytest.mark.parametrize("kind", ["faces", "micc"])
def test_an_unknown_model_is_one_line(kind: str, tmp_path: Path) -> None:
    result = _run(kind, "--out", tmp_path / "out", "--model", tmp_path / "none.npz")
    assert isinstance(result.exception, FacebenchError)
    assert "none.npz" in str(result.exception) and "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_an_unknown_scene_is_named(tmp_path: Path) -> None:
    result = _run("micc", "--out", tmp_path / "out", "--scenes", "indoor,moon")
    assert result.exit_code == 2
    assert "moon" in result.output and "cooperative" in result.output


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    sizes = ("--subjects", 1, "--frames", 1, "--image-size", 32)
    assert _run("faces", "--out", tmp_path, *sizes, "--seed", 1).exit_code == 0
    result = _run("faces", "--out", tmp_path, *sizes, "--seed", 2)
    assert isinstance(result.exception, FacebenchError)
    assert "seed" in str(result.exception)


@pytest.mark.parametrize("kind", [(), ("faces",), ("micc",)])
def test_help_ends_in_examples(kind: tuple[str, ...]) -> None:
    assert "Examples:" in _run(*kind, "--help").output
