"""The library door: its examples run, it costs nothing until it is used, errors name arguments."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open3d
import pytest
import trimesh

import facebench
from facebench import library
from facebench.bench.meshes.files import load_mesh
from facebench.bench.protocol.record import read_settings
from facebench.door import with_arguments

ROOT = Path(__file__).resolve().parents[1]
COARSE = read_settings("micc", ("points.longest_edge_mm=inf",))
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
    assert with_arguments("give --scan-unit m, see 'facebench run --help'") == (
        "give scan_unit m, see 'facebench run --help'"
    )
    mesh = facebench.load_model().mesh()
    metres = facebench.Mesh(mesh.vertices / 1000, mesh.triangles)
    with pytest.raises(facebench.FacebenchError, match="scan_unit") as caught:
        facebench.evaluate(mesh, metres)
    assert "--" not in str(caught.value)
    with pytest.raises(facebench.FacebenchError, match="did you mean 'protocol'"):
        facebench.run("pairs", tmp_path, tmp_path / "out", protocl="now")


def _of_open3d(mesh: facebench.Mesh) -> open3d.geometry.TriangleMesh:
    points = open3d.utility.Vector3dVector(np.asarray(mesh.vertices, np.float64))
    return open3d.geometry.TriangleMesh(points, open3d.utility.Vector3iVector(mesh.triangles))


@pytest.mark.parametrize(
    "of_another_library",
    [lambda mesh: trimesh.Trimesh(mesh.vertices, mesh.triangles, process=False), _of_open3d],
    ids=["trimesh", "open3d"],
)
def test_a_mesh_of_another_library_is_measured_as_ours(of_another_library: Any) -> None:
    model = facebench.load_model()
    identity = [0.5] * model.identity_basis.shape[2]
    # Without landmarks, which theirs have not.
    pair = [
        facebench.Mesh(mesh.vertices, mesh.triangles)
        for mesh in (model.mesh(), model.mesh(identity=identity))
    ]
    ours = facebench.evaluate(*pair, COARSE).score
    theirs = facebench.evaluate(*map(of_another_library, pair), COARSE).score
    assert theirs.mean_mm == pytest.approx(ours.mean_mm, abs=1e-9)


MESH = facebench.Mesh(np.eye(3), np.array([[0, 1, 2]]))
PIXELS = np.zeros((8, 8, 3), np.uint8)
NO_ARGUMENTS: list[tuple[Callable[..., object], tuple[Any, ...], dict[str, Any], str]] = [
    (facebench.evaluate, (None, MESH), {}, "prediction is of the type NoneType: expected Mesh or"),
    (facebench.evaluate, (MESH, ""), {}, "scan is an empty name"),
    (facebench.evaluate, (MESH, np.eye(3)), {}, "scan is of the type ndarray: .* makes a mesh"),
    (facebench.evaluate, (trimesh.PointCloud(np.eye(3)), MESH), {}, "PointCloud without faces"),
    (facebench.evaluate, (MESH, MESH, 3), {}, "protocol is of the type int"),
    (facebench.evaluate, (MESH, MESH), {"scan_landmarks": 5}, "scan_landmarks is of the type int"),
    (facebench.run, ("micc", None, "out"), {}, "data is of the type NoneType"),
    (facebench.run, ("micc", ".", "out"), {"scenes": "indoor"}, "scenes is .* expected tuple"),
    (facebench.run, ("micc", ".", "out"), {"limit": np.int64(0)}, "limit is 0: give 1 or more"),
    (facebench.compare, (["a", "b"],), {}, "runs is of the type list"),
    (facebench.load_run, (None,), {}, "path is of the type NoneType"),
    (facebench.load_model, (3,), {}, "name is of the type int"),
    (facebench.reconstruct, ([b"face.jpg"],), {}, "photograph is of the type list"),
    (facebench.reconstruct, (PIXELS,), {"model": 3}, "model is of the type int"),
    (facebench.reconstruct, (PIXELS,), {"device": "gpu"}, "device 'gpu' cannot be used"),
    (facebench.write_mesh, ([MESH], "face.obj"), {}, "mesh is of the type list"),
    (facebench.write_mesh, (MESH, None), {}, "path is of the type NoneType"),
]


@pytest.mark.parametrize(("function", "given", "named", "message"), NO_ARGUMENTS)
def test_a_wrong_argument_is_named(
    function: Callable[..., object], given: tuple[Any, ...], named: dict[str, Any], message: str
) -> None:
    with pytest.raises(facebench.FacebenchError, match=message):
        function(*given, **named)


@pytest.mark.parametrize("ending", ["obj", "ply", "glb"])
def test_what_is_no_mesh_is_not_written(ending: str, tmp_path: Path) -> None:
    path, none = tmp_path / f"face.{ending}", np.empty((0, 3), int)
    for mesh, message in (
        (facebench.Mesh(np.empty((0, 3)), none), "has no vertices"),
        (facebench.Mesh(np.diag([np.nan, 1, 1]), MESH.triangles), "1 vertex is NaN or infinite"),
        (facebench.Mesh(MESH.vertices, MESH.triangles + 1), "the corner 3 of 3 vertices"),
        (facebench.Mesh(np.eye(3), MESH.triangles, colours=none), "colours are"),
    ):
        with pytest.raises(facebench.FacebenchError, match=message):
            facebench.write_mesh(mesh, path)
        assert not path.exists()
    facebench.write_mesh(facebench.Mesh(np.eye(3).tolist(), [[0, 1, 2]]), path)
    assert load_mesh(path).triangles.tolist() == [[0, 1, 2]]


def test_glb_has_no_points_alone(tmp_path: Path) -> None:
    cloud = facebench.Mesh(np.eye(3), np.empty((0, 3), int))
    with pytest.raises(facebench.FacebenchError, match="points without triangles: write them as"):
        facebench.write_mesh(cloud, tmp_path / "cloud.glb")
    assert len(load_mesh(facebench.write_mesh(cloud, tmp_path / "cloud.ply"), True).vertices) == 3


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
