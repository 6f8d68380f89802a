"""What a wheel holds, and that every file that names the version names the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import facebench

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("bench", "cli", "distributed", "recon", "results")


def tracked() -> list[str]:
    """Paths of the files that git knows and that are here."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout")
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What a wheel of the tracked files holds under `facebench/`."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        place = folder / "source" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", folder, folder / "source"], check=True)
    (wheel,) = folder.glob("facebench-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    return {name.removeprefix("facebench/") for name in names if name.startswith("facebench/")}


def test_the_wheel_holds_every_module_and_data_file_and_nothing_else(held: set[str]) -> None:
    layers = {name for name in tracked() if name.startswith(tuple(f"{top}/" for top in LAYERS))}
    top = {"__init__.py", "__main__.py", "errors.py", "py.typed"} & set(tracked())
    modules_at_the_root = {name for name in tracked() if re.fullmatch(r"\w+\.py", name)}
    assert held == layers | top | (modules_at_the_root - {"setup.py"})
    assert {"py.typed", "recon/network/embedded/weights.pt"} <= held


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    newest = re.search(r"^## (\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert newest is not None
    assert project["version"] == facebench.__version__ == citation["version"] == newest[1]
    assert str(citation["date-released"]) == newest[2]
    assert project["license"] == citation["license"] == "MIT"


def test_every_requirement_of_the_package_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if "==" in line
    }
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["docs"]]
    names = {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in wanted}  # type: ignore[index]
    assert names - pinned <= {"open3d", "triton"}, "without a pin, two set-ups differ"


def test_hooks_and_targets_run_what_is_there() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    entries = [hook["entry"] for repo in hooks for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"demo", "test", "check", "docs", "gate", "bench", "coverage", "wheel"} <= targets
    assert {entry.split()[1] for entry in entries if entry.startswith("make ")} <= targets
    scripts = re.findall(r"(?:tests|\.ci)/[\w/.-]+", makefile + " ".join(entries))
    assert len(scripts) > 5 and all((ROOT / name).is_file() for name in scripts)
