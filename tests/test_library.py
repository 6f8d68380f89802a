"""The library door: its examples run, it costs nothing until it is used, errors name arguments."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import facebench
from facebench import library

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = [
    test
    for name, value in vars(library).items()
    if callable(value) and not name.startswith("_") and value.__module__ == library.__name__
    for test in doctest.DocTestFinder(recurse=False).find(value, name)
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
def test_an_example_gives_what_it_says(example: doctest.DocTest) -> None:
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_the_stable_names_are_there_and_documented() -> None:
    promised = {
        *("evaluate", "run", "compare", "reconstruct", "load_model", "load_run", "datasets"),
        *("methods", "write_mesh", "Protocol", "Result", "Mesh"),
    }
    assert promised <= set(facebench.__all__) <= set(dir(facebench))
    for name in promised:
        assert getattr(facebench, name).__doc__, name
        assert f"`{name}`" in (facebench.__doc__ or ""), name
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        facebench.evaluat  # noqa: B018


def test_importing_it_imports_nothing_else() -> None:
    code = "import facebench, sys; dir(facebench); print(*(n.split('.')[0] for n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT.parent)),
    )
    heavy = {"numpy", "scipy", "torch", "ray", "mlflow", "pandas", "open3d", "click", "rich"}
    assert not heavy & set(done.stdout.split())


def test_errors_speak_of_arguments_and_leave_commands_alone(tmp_path: Path) -> None:
    assert library._with_arguments("give --scan-unit m, see 'facebench run --help'") == (
        "give scan_unit m, see 'facebench run --help'"
    )
    mesh = facebench.load_model().mesh()
    metres = facebench.Mesh(mesh.vertices / 1000, mesh.triangles)
    with pytest.raises(facebench.FacebenchError, match="scan_unit") as caught:
        facebench.evaluate(mesh, metres)
    assert "--" not in str(caught.value)
    with pytest.raises(facebench.FacebenchError, match="did you mean 'protocol'"):
        facebench.run("pairs", tmp_path, tmp_path / "out", protocl="now")


def test_a_photograph_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(facebench.FacebenchError, match="uint8 RGB"):
        facebench.reconstruct(np.zeros((8, 8), np.float32))
    (tmp_path / "face.jpg").write_bytes(b"no picture")
    with pytest.raises(facebench.FacebenchError):
        facebench.reconstruct(tmp_path / "face.jpg")
    assert facebench.reconstruct(np.zeros((64, 64, 3), np.uint8)) == []


def test_from_files_to_a_comparison(tmp_path: Path) -> None:
    """Two sets of predictions of two people, measured, opened again and compared."""
    model, rng = facebench.load_model(), np.random.default_rng(1)
    scans, near, far = (tmp_path / name for name in ("scans", "near", "far"))
    for number in range(2):
        identity = rng.normal(size=model.identity_basis.shape[2])
        for folder, share in ((scans, 1.0), (near, 0.9), (far, 0.0)):
            folder.mkdir(exist_ok=True)
            face = model.mesh(identity=share * identity)
            facebench.write_mesh(face, str(folder / f"person{number}.ply"))
            np.savetxt(folder / f"person{number}.txt", face.vertices[face.landmarks])
    coarse = ("points.longest_edge_mm=inf",)
    runs = [
        facebench.run(
            "pairs",
            scans,
            tmp_path / f"{folder.name}-run",
            method=f"meshes:{folder}",
            settings=coarse,
        )
        for folder in (near, far)
    ]
    # What continues a run names all that decides its numbers.
    assert f"method='meshes:{near}'" in runs[0].record().command
    assert f"settings={coarse!r}" in runs[0].record().command
    again = [facebench.load_run(run.root) for run in runs]
    (group,) = facebench.compare(*again).groups
    assert len(group.pairs) >= 1
    assert {start for run in again for start in run.items()["start"]} == {"landmarks"}
    means = [run.items()["value_mm"].mean() for run in again]
    assert 0 < means[0] < means[1]
