"""`facebench check-method`: the answer, the exit code, and methods of other packages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from in_process import facebench

from facebench.cli.main import group
from facebench.errors import FacebenchError

ROOT = Path(__file__).resolve().parents[2]
BROKEN = """
import numpy as np
from facebench.bench.methods.mean_face import CARD as OWN, MeanFace, build as build_own
from dataclasses import replace

CARD = replace(OWN, name="other", licence="")

def build(options):
    raise ZeroDivisionError("no weights")
"""


def check(*words: str) -> Result:
    return CliRunner().invoke(group, ["check-method", *words], standalone_mode=False)


def test_the_baseline_can_be_measured() -> None:
    result = check("mean-face")
    assert result.return_value == 0, result.output
    assert "✓" in result.output and "⚠" in result.output and "✗" not in result.output
    assert "mean-face can be measured." in result.output


def test_an_unknown_method_or_folder_is_a_mistake(tmp_path: Path) -> None:
    error = check("mean-fase").exception
    assert isinstance(error, FacebenchError) and "did you mean 'mean-face'?" in str(error)
    assert "no such folder" in str(check(f"meshes:{tmp_path / 'none'}").exception)
    assert "no checkpoint" in str(check("ours", "--checkpoint", str(tmp_path / "w.pt")).exception)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of the documentation, built and installed by pip, and a broken package."""
    home = tmp_path_factory.mktemp("packages")
    shutil.copytree(ROOT / "docs" / "examples" / "shrunk", home / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check"]
    target = home / "site"
    subprocess.run([*command, "--target", str(target), str(home / "source")], check=True)
    facts = target / "broken-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    points = "[facebench.methods]\nhalf = half_broken\nlost = not_there\n"
    (facts / "entry_points.txt").write_text(points)
    (target / "half_broken.py").write_text(BROKEN)
    return target


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return facebench(*words, home=site.parent, path=site)


def test_the_worked_example_is_listed_and_conforms(installed: Path) -> None:
    listed = json.loads(run(installed, "methods", "--json").stdout)
    example = next(entry for entry in listed if entry["name"] == "shrunk")
    assert example["origin"] == "facebench-shrunk 0.1.0" and example["kind"] == "frames"
    done = run(installed, "check-method", "shrunk", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["conforms"], done.stdout + done.stderr
    verdicts = {finding["check"]: finding["verdict"] for finding in answer["findings"]}
    assert verdicts["other process"] == verdicts["average"] == "passed"
    assert [check for check, verdict in verdicts.items() if verdict == "warning"] == ["parts"]


def test_a_package_that_cannot_be_loaded_does_not_hide_the_others(installed: Path) -> None:
    done = run(installed, "methods")
    assert done.returncode == 0 and "mean-face" in done.stdout
    assert "lost" in done.stdout and "ModuleNotFoundError" in done.stdout
    shown = run(installed, "methods", "show", "lost")
    assert shown.returncode == 2 and "'lost' of broken 1.0 cannot be loaded" in shown.stderr


def test_a_method_that_breaks_while_it_is_built(installed: Path) -> None:
    done = run(installed, "check-method", "half", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and not answer["conforms"]
    said = {f["check"]: f["detail"] for f in answer["findings"] if f["verdict"] == "failed"}
    assert said["loads"] == "ZeroDivisionError: no weights"
    details = [f["detail"] for f in answer["findings"] if f["check"] == "card"]
    assert any("its name is 'other'" in detail for detail in details)
    assert any("no licence" in detail for detail in details)
