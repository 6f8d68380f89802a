"""Predictions from files and from clips: each scene has one, or the reason why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from micc_sets import micc_dataset
from small_micc import scan_path, write_scan

from facebench.bench.method.interface import MethodOptions
from facebench.bench.method.registry import open_method
from facebench.distributed.benchmark import Predictor, relevant_problems
from facebench.distributed.plan import RunRequest, prepare
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.morphable.load import load_model
from facebench.results.run.ledger import Ledger


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans without any video, and meshes of one of the subjects."""
    root, model = tmp_path_factory.mktemp("predict"), load_model("embedded")
    for subject in (1, 2):
        write_scan(scan_path(root / "data", subject), model, seed=subject)
    write_mesh(model.mesh(), root / "meshes" / "subject_01" / "PTZ-Outdoor.ply")
    write_mesh(model.mesh(), root / "meshes" / "subject_01.ply")
    np.savetxt(root / "meshes" / "landmarks.txt", model.landmarks, fmt="%d")
    return root


def test_every_scene_has_a_mesh_or_a_reason(home: Path) -> None:
    dataset = micc_dataset(home / "data")
    method = open_method(f"meshes:{home / 'meshes'}", MethodOptions())
    job = Predictor(dataset, method, Ledger(home / "ledger")).job("subject_01")
    assert [made.scene for made in job.predictions] == ["cooperative", "indoor", "outdoor"]
    assert all(made.mesh is not None and made.reason == "" for made in job.predictions)
    assert all(made.landmarks is not None for made in job.predictions)
    assert {(made.frames, made.faces) for made in job.predictions} == {(0, 0)}
    other = Predictor(dataset, method, Ledger(home / "ledger")).job("subject_02")
    assert all(made.mesh is None for made in other.predictions)
    assert all("no mesh of subject_02" in made.reason for made in other.predictions)


def test_missing_videos_are_no_problem_for_files(home: Path) -> None:
    dataset = micc_dataset(home / "data")
    assert len(dataset.problems) == 6
    meshes = open_method(f"meshes:{home / 'meshes'}", MethodOptions())
    assert relevant_problems(dataset, meshes) == ()
    baseline = open_method("mean-face", MethodOptions())
    assert relevant_problems(dataset, baseline) == dataset.problems
    job = Predictor(dataset, baseline, Ledger(home / "ledger")).job("subject_01")
    assert all("no video" in made.reason for made in job.predictions)


def test_a_run_of_files_reads_no_clip(home: Path) -> None:
    benchmark = prepare(RunRequest(home / "data", f"meshes:{home / 'meshes'}"))
    assert benchmark.job is None and benchmark.clips == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": 5}, "--limit does nothing for method 'meshes:"),
        ({"checkpoint": Path("w.pt")}, "--checkpoint does nothing"),
        ({"method": "mean-face", "prediction_unit": "cm"}, "'mean-face' gives millimetres"),
    ],
)
def test_options_of_the_other_kind_are_refused(
    home: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(FacebenchError, match=said):
        prepare(RunRequest(home / "data", **{"method": f"meshes:{home / 'meshes'}"} | changes))
