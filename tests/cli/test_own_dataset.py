"""The example dataset of the documentation, installed as a package of its own, and broken ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from doc_pages import commands
from in_process import facebench
from pair_files import points_of, write_side

from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural import procedural_model

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "booth"
BROKEN = """
from pathlib import Path
from facebench.bench.dataset.interface import DatasetCard, Item, Listing, Scan

CARD = DatasetCard("KIND", "A broken one", "", "none", "any")

def read(root):
    if "KIND" == "raises":
        raise ZeroDivisionError("no folder of mine")
    twice = Item("a", "a"), Item("a", "b")
    scan = Scan("b", "scan", root / "anna_smile.ply")
    lost = Scan("b", "lost", root / "lost.ply")
    gone = Item("b", "b", scans=(lost,)), Item("c", "c", scans=(scan,))
    return Listing(twice if "KIND" == "twice" else gone)
"""


def someone(seed: int) -> Mesh:
    model = procedural_model(0, 2000)
    n_modes = model.identity_basis.shape[2]
    return model.mesh(identity=0.4 * np.random.default_rng(seed).standard_normal(n_modes))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of two people, predictions of all but one, and the packages in `site`."""
    home = tmp_path_factory.mktemp("booth")
    for number, person in enumerate(("anna", "ben")):
        for scene in ("neutral", "smile"):
            scan, face = someone(number), someone(10 + number)
            write_side(scan, home / "scans" / f"{person}_{scene}.ply", points_of(scan))
            write_side(face, home / "predictions" / f"{person}_{scene}.obj", points_of(face))
    (home / "predictions" / "ben_smile.obj").unlink()
    write_side(someone(5), home / "scans" / "carla_asleep.ply")
    shutil.copytree(EXAMPLE, home / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([*command, "--target", str(home / "site"), str(home / "source")], check=True)
    facts = home / "site" / "broken-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    points = ["[facebench.datasets]"]
    for kind in ("raises", "twice", "gone"):
        points.append(f"{kind} = broken_{kind}")
        (home / "site" / f"broken_{kind}.py").write_text(BROKEN.replace("KIND", kind))
    (facts / "entry_points.txt").write_text("\n".join(points))
    return home


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return facebench(*words, home=home, path=home / "site")


def run_as_process(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = f"{home / 'site'}:{os.environ.get('PYTHONPATH', '')}"
    return subprocess.run(
        [sys.executable, "-m", "facebench", *words],
        capture_output=True,
        text=True,
        cwd=home,
        env=os.environ | {"PYTHONPATH": path},
    )


@pytest.fixture(scope="module")
def done(home: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """The commands of the page, in its order, for the set of this file."""
    lines = [one for one in commands("your-own-dataset.md") if "pairs" not in one.words]
    # Faces as their files have them: half the time.
    coarse = {"run": ("--set", "points.longest_edge_mm=inf")}
    found = {
        " ".join(one.words[1:3]): run(home, *one.words[1:], *coarse.get(one.words[1], ()))
        for one in lines
    }
    assert len(found) == 5
    # The cheapest again in a Python of its own, which finds the package by itself.
    assert run_as_process(home, "datasets").stdout == found["datasets"].stdout
    return found


def test_the_commands_of_the_page_run(
    done: dict[str, subprocess.CompletedProcess[str]], home: Path
) -> None:
    for words, result in done.items():
        assert result.returncode == 0, (words, result.stdout, result.stderr)
    assert "Scans of a photo booth" in done["datasets show"].stdout
    assert "facebench-booth 0.1.0" in done["datasets show"].stdout
    assert "booth can be measured." in done["check-dataset booth"].stdout
    assert "carla_asleep.ply" in done["check-dataset booth"].stdout


def test_a_new_dataset_is_measured_like_every_other(
    done: dict[str, subprocess.CompletedProcess[str]], home: Path
) -> None:
    table = pd.read_parquet(home / "runs" / "booth" / "items.parquet").set_index("item")
    assert list(table.index) == ["anna/neutral", "anna/smile", "ben/neutral", "ben/smile"]
    assert (table["status"] == "ok").tolist() == [True, True, True, False]
    assert "no prediction of ben/smile" in table.loc["ben/smile", "reason"]
    summary = json.loads((home / "runs" / "booth" / "summary.json").read_text())["scenes"]
    assert list(summary) == ["neutral", "smile"]
    assert (summary["neutral"]["n_subjects"], summary["smile"]["n_failed"]) == (2, 1)
    assert (home / "runs" / "booth" / "report.html").is_file()


def test_quotes_of_the_page_are_verbatim() -> None:
    page = (ROOT / "docs" / "your-own-dataset.md").read_text("utf-8")
    for language, name in (("python", "facebench_booth.py"), ("toml", "pyproject.toml")):
        source = (EXAMPLE / name).read_text("utf-8")
        quotes = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
        assert quotes and all(quote in source for quote in quotes)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises", "'raises' of broken 1.0 cannot read"),
        ("twice", "gives 2 items the id 'a'"),
        ("booth2", "no dataset 'booth2': did you mean 'booth'?"),
    ],
)
def test_a_broken_dataset_is_one_line(home: Path, name: str, said: str) -> None:
    words = "--predictions", "predictions", "--scans", "scans", "--out", "runs/broken"
    result = run(home, "run", name, *words)
    assert result.returncode == 2 and said in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_a_scan_that_is_not_there_is_a_row_and_a_finding(home: Path) -> None:
    checked = run(home, "check-dataset", "gone", "--data", "scans", "--json")
    found = {one["check"]: one for one in json.loads(checked.stdout)["findings"]}
    assert checked.returncode == 1 and found["files"]["verdict"] == "failed"
    shutil.copy(home / "predictions" / "anna_smile.obj", home / "predictions" / "c.obj")
    shutil.copy(home / "predictions" / "anna_smile.obj", home / "predictions" / "b.obj")
    # Faces as their files have them: half the time.
    words = "run", "gone", "predictions", "scans", "--set", "points.longest_edge_mm=inf"
    result = run(home, *words, "--out", "runs/gone")
    assert result.returncode == 0, result.stderr
    table = pd.read_parquet(home / "runs" / "gone" / "items.parquet").set_index("item")
    assert table.loc["c", "status"] == "ok" and "no such file" in table.loc["b", "reason"]
