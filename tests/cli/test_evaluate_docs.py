"""Every command and example of docs/evaluate.md runs, and shows what the page shows."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pair_files import write_now_prediction, write_now_scan

from facebench.bench.meshes.files import load_mesh
from facebench.cli.main import group

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evaluate.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
EXAMPLES = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    line for _, text in BLOCKS for line in text.splitlines() if line.startswith("facebench ")
]
ONE_PAIR = [line for line in COMMANDS[1:] if line.startswith("facebench evaluate face.obj")]
FOLDERS = [line for line in COMMANDS if line.startswith("facebench evaluate") and "runs/" in line]
ON_RUNS = [line for line in COMMANDS if not line.startswith("facebench evaluate")]
SHOWN = next(text for language, text in BLOCKS if not language and "protocol micc (" in text)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's own two files, then the folders it speaks of, made of them."""
    root = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        exec(EXAMPLES[0], {})
    face, scan = load_mesh(root / "face.obj"), load_mesh(root / "scan.ply")
    own, theirs = np.loadtxt(root / "face.txt"), np.loadtxt(root / "scan.txt")
    for folder, stem, ending in (("predictions", "face", "obj"), ("scans", "scan", "ply")):
        (root / folder).mkdir()
        for suffix in (ending, "txt"):
            shutil.copy(root / f"{stem}.{suffix}", root / folder / f"anna.{suffix}")
    write_now_scan(root / "NoW_Dataset", "FaMoS_1", scan, theirs)
    write_now_prediction(root / "now_predictions", "FaMoS_1/selfie/IMG_1", face, own)
    (root / "NoW_Dataset" / "imagepathsvalidation.txt").write_text("FaMoS_1/selfie/IMG_1.jpg\n")
    shutil.copytree(root / "now_predictions", root / "other_predictions")
    (root / "gates.toml").write_text("[[limit]]\nmax_mm = 9.0\n")
    return root


LANDMARKS = "--prediction-landmarks face.txt --scan-landmarks scan.txt"


def quickly(line: str) -> str:
    """The same of the meshes as their files have them, and without a search: a fifth of its time.

    Measured in full is the page's first command.
    """
    found = "" if "-landmarks" in line or "face.obj" not in line else LANDMARKS
    return f"{line} {found} --set points.longest_edge_mm=inf"


def run(line: str) -> str:
    words = shlex.split(line)
    assert words[0] == "facebench"
    result = CliRunner().invoke(group, words[1:])
    assert result.exit_code == 0, result.output
    return result.output


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.\d+", text)]


def test_the_first_command_shows_what_the_page_shows(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    printed = run(COMMANDS[0])
    assert numbers(printed) == pytest.approx(numbers(SHOWN), abs=0.02, rel=0.05)
    words = [line.split("  ")[1] for line in SHOWN.splitlines() if line.startswith("  ")]
    assert all(word in printed for word in words)
    for name in ("score.json", "aligned.ply", "heat.png", "curve.png"):
        assert (home / "pair" / name).stat().st_size


@pytest.mark.parametrize("line", ONE_PAIR)
def test_a_command_of_one_pair(home: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(home)
    assert "protocol" in run(quickly(line))


@pytest.mark.parametrize("line", FOLDERS)
def test_a_command_of_folders(home: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(home)
    assert "1 scored, 0 not" in run(quickly(line))


@pytest.mark.parametrize("line", ON_RUNS)
def test_a_command_on_the_runs_of_folders(
    home: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(home)
    assert "runs/now" in line and run(line)


def test_the_example_in_python(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    exec(EXAMPLES[1], {})
    assert 0.1 < numbers(capsys.readouterr().out)[0] < 1.0


def test_the_page_has_all_of_them() -> None:
    assert len(EXAMPLES) == 2
    assert (len(ONE_PAIR), len(FOLDERS), len(ON_RUNS)) == (4, 3, 3)
