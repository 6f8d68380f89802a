"""Whole runs under other reductions: one scale for all, pooled points, errors of every frame."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_runs import results_of
from small_micc import clip_path, moving_face, scan_path, write_random_weights, write_scan
from small_micc import write_video as encode

from facebench.bench.meshes.clean import TRIANGLES
from facebench.bench.method.clip_faces import ChunkRow
from facebench.distributed.benchmark import Benchmark, run_benchmark
from facebench.distributed.plan import RunRequest, describe_run, prepare
from facebench.errors import FacebenchError
from facebench.recon.morphable.load import load_model
from facebench.results.run.folder import RunFolder
from facebench.results.run.items import read_errors

N_FRAMES = 2
SUBJECTS = ("subject_01", "subject_02")
COARSE = "points.longest_edge_mm=inf"
"""Faces as their files have them: half the time of a measurement."""


class Silent:
    """A listener that counts."""

    def __init__(self) -> None:
        self.chunks: list[str] = []
        self.subjects: list[str] = []

    def frames(self, row: ChunkRow) -> None:
        self.chunks.append(row.clip)

    def subject(self, name: str) -> None:
        self.subjects.append(name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects with two scans and one clip each, the second of subject 2 unreadable."""
    root, model = tmp_path_factory.mktemp("reductions"), load_model("embedded")
    write_random_weights(root / "weights.pt", model)
    for number in (1, 2):
        first = scan_path(root / "data", number)
        write_scan(first, model, seed=number, labelled=True)
        second = first.parents[2] / "frontal2" / "obj" / "1.obj"
        write_scan(second, model, seed=10 + number, labelled=True)
        if number == 2:
            second.write_text("v 1 2\n")
        encode(clip_path(root / "data", number, "cooperative"), moving_face(N_FRAMES, number))
    return root


def benchmark_of(home: Path, *settings: str, protocol: str = "micc") -> Benchmark:
    return prepare(request_of(home, *settings, protocol=protocol))


def request_of(home: Path, *settings: str, protocol: str = "micc") -> RunRequest:
    return RunRequest(
        home / "data",
        checkpoint=home / "weights.pt",
        scenes=("cooperative",),
        protocol=protocol,
        settings=settings,
    )


def run(home: Path, name: str, *settings: str, protocol: str = "micc") -> tuple[RunFolder, Silent]:
    request = request_of(home, *settings, protocol=protocol)
    benchmark, folder, listen = prepare(request), RunFolder(home / name), Silent()
    folder.begin(describe_run(benchmark, request, "facebench micc", {}, {}))
    run_benchmark(benchmark, folder, listen)
    return folder, listen


def test_one_scale_for_all_is_the_geometric_mean_of_the_first_pass(home: Path) -> None:
    settings = (COARSE, "alignment.scale=global", "reduction.average=meshes")
    folder, listen = run(home, "global", *settings)
    first, final = folder.first_pass.read(), folder.items()
    factor = math.sqrt(math.prod(first["scale"]))
    assert folder.record().global_scale == pytest.approx(factor, rel=1e-12)
    assert first["scale"].nunique() == 2 and first["fixed_scale"].isna().all()
    np.testing.assert_allclose(final["scale"], factor, rtol=1e-9)
    assert (final["value_mm"].to_numpy() != first["value_mm"].to_numpy()).all()
    assert sorted(listen.subjects) == sorted(2 * SUBJECTS)
    assert '"global_scale"' in (folder.root / "summary.json").read_text()

    # What the second pass has stays; a row of another factor is not mixed in.
    stamp = folder.first_pass.path.stat().st_mtime_ns
    other = final["subject"] == SUBJECTS[1]
    changed = final.assign(fixed_scale=final["fixed_scale"].mask(other, 1.0), value_mm=9.0)
    folder.scores.write(results_of(changed))
    again, _ = run(home, "global", *settings)
    assert again.first_pass.path.stat().st_mtime_ns == stamp
    assert again.items()["value_mm"].tolist() == [9.0, final["value_mm"][1]]


def test_pooled_points_are_those_that_the_folder_keeps(home: Path) -> None:
    settings = ("reduction.subjects=pooled", "distance.direction=scan_to_prediction")
    folder, _ = run(home, "pooled", *settings, "reduction.scan=each")
    rows, summary = folder.items(), folder.summary()["cooperative"]
    kept = [folder.distances(f"{subject}/cooperative") for subject in SUBJECTS]
    points = np.concatenate([scan for scan, _ in kept]).astype(np.float64)
    assert summary.mean_mm == pytest.approx(points.mean(), rel=1e-9)
    assert summary.median_mm == pytest.approx(np.median(points), rel=1e-6)
    assert summary.std_mm == pytest.approx(points.std(), rel=1e-9)
    assert summary.mean_mm != pytest.approx(rows["value_mm"].mean(), rel=1e-6)
    assert summary.mean_with_failures_mm == summary.mean_mm
    alone = kept[1][0].astype(np.float64)
    # The folder keeps one error a mm², the row the exact mean over the area.
    assert rows["mean_mm"][1] == pytest.approx(alone.mean(), rel=1e-4)
    assert "frontal2 left out" in rows["note"][1] and rows["note"][0] == ""
    assert list(rows["scans"][0]) == ["frontal1", "frontal2"]
    mesh, errors = read_errors(folder.scan_path(f"{SUBJECTS[1]}/cooperative"))
    assert len(mesh.triangles) <= TRIANGLES
    assert np.nanmean(errors) == pytest.approx(alone.mean(), rel=0.2)  # spread more evenly
    assert np.nanmax(errors) <= alone.max()


def test_errors_of_every_frame_and_their_expression(home: Path) -> None:
    settings = (COARSE, "reduction.average=errors", "reduction.expression=predicted")
    folder, _ = run(home, "errors", *settings, "reduction.std=population")
    total = folder.ledger.total("subject_01/cooperative")
    model = load_model("embedded")
    n_coefficients = model.identity_basis.shape[2] + model.expression_basis.shape[2]
    assert total.vectors is not None and total.vectors.shape == (total.faces, n_coefficients)
    np.testing.assert_allclose(total.vectors.sum(0, dtype=float), total.sum, rtol=1e-6, atol=1e-6)
    values = folder.items()["value_mm"]
    assert np.isfinite(values).all() and (folder.items()["status"] == "ok").all()
    summary, rows = folder.summary()["cooperative"], folder.ledger.table()
    assert summary.std_mm == pytest.approx(values.std(ddof=0))
    assert rows["command"].nunique() == 1 and rows["elapsed"].min() > 0
    rate = rows["frames"].sum() / rows["elapsed"].max()
    assert summary.frames_per_second == pytest.approx(rate)


def test_what_cannot_be_measured_is_refused_before_anything_starts(home: Path) -> None:
    with pytest.raises(FacebenchError, match="too many to be pooled"):
        benchmark_of(home, "reduction.average=errors", "reduction.subjects=pooled")
    benchmark = benchmark_of(home)
    protocol = benchmark.protocol.with_setting("reduction.average", "errors")
    with pytest.raises(FacebenchError, match="one mesh a clip"):
        replace(benchmark, protocol=protocol, job=None)
