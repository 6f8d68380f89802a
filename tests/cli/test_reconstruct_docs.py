"""Every command and example of docs/reconstruct.md runs, and writes what the page tells."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from facebench.cli.main import group
from facebench.recon.portraits import results as sheet

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reconstruct.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    line for _, text in BLOCKS for line in text.splitlines() if line.startswith("facebench ")
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the page's photographs, in which the page's commands run in their order."""
    root = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("FACEBENCH_RECONSTRUCT_TEXTURE_SIZE", "128")
        patch.setattr(sheet, "PICTURE_SIZE", 120)  # sheets take most of the time
        exec(EXAMPLES[0], {})
        yield root


def run(line: str) -> str:
    words = shlex.split(line)
    result = CliRunner().invoke(group, words[1:], auto_envvar_prefix="FACEBENCH")
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("line", [line for line in COMMANDS if " reconstruct " in line])
def test_a_command_of_reconstruct(home: Path, line: str) -> None:
    assert "1 of 1 reconstructed" in run(line)


def test_they_wrote_what_the_table_tells(home: Path) -> None:
    written = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    table = re.findall(r"^\| (`NAME.*?) \|", PAGE, re.MULTILINE)
    assert len(table) == 8
    for name in re.findall(r"`(NAME)?([._][\w./]+)`", " ".join(table)):
        ending = name[1].replace("000123", "000000")
        assert any(path.endswith(ending) for path in written), ending
    assert {"faces/group_face2.glb", "faces/holiday/beach.glb", "faces/portraits.jsonl"} <= written


def test_the_coefficients_are_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(EXAMPLES[1], {})
    assert "yaw" in capsys.readouterr().out
    assert (home / "coefficients.schema.json").is_file()


def test_the_network_is_exported_and_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="needs the extra 'onnx'")
    pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    assert "differs from PyTorch" in run(COMMANDS[-1])
    exec(EXAMPLES[2], {})
    assert "'light': (2, 27)" in capsys.readouterr().out


def test_the_page_has_all_of_them() -> None:
    assert len(EXAMPLES) == 3 and len(COMMANDS) == 6
