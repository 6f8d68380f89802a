"""Predictions from files and from clips: each scene has one, or the reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from small_micc import scan_path, write_scan

from facebench.bench.dataset.interface import Clip, Item
from facebench.bench.meshes.units import UnitError
from facebench.bench.method.clip_faces import ChunkRow
from facebench.bench.scoring.measure import Job, Measured, failed_job
from facebench.bench.scoring.target import Ruler
from facebench.bench.surface.triangles import Float64Array
from facebench.distributed import benchmark as driver
from facebench.distributed.benchmark import item_jobs, predictions
from facebench.distributed.plan import RunRequest, _check_size, describe_run, prepare
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.results.run.folder import RunFolder
from facebench.results.run.ledger import Ledger
from facebench.results.run.record import measured_dataset

T = TypeVar("T")


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
    benchmark = prepare(RunRequest(home / "data", f"meshes:{home / 'meshes'}"))
    one, other = item_jobs(benchmark.dataset.items)
    made = [made for _, made in predictions(one, benchmark, Ledger(home / "ledger"))]
    assert [item.scene for item in one] == ["cooperative", "indoor", "outdoor"]
    assert all(face.mesh is not None and face.reason == "" for face in made)
    assert all(face.landmarks is not None for face in made)
    assert {(face.frames, face.faces) for face in made} == {(0, 0)}
    lost = [made for _, made in predictions(other, benchmark, Ledger(home / "ledger"))]
    assert all(face.mesh is None for face in lost)
    assert all("no prediction of subject_02" in face.reason for face in lost)


def test_a_row_tells_of_rounded_coordinates_and_of_a_face_of_nothing(home: Path) -> None:
    class Outside:
        """Nobody has checked what a package's own method gives."""

        names = ("subject_01",)

        def __init__(self, vertices: Float64Array) -> None:
            self.mesh = Mesh(vertices, np.zeros((0, 3), np.int32))

        def files_for(self, item: Item) -> tuple[Path, ...]:
            return ()

        def mesh_for(self, item: Item) -> Mesh:
            return self.mesh

        def landmarks_for(self, item: Item) -> None: ...

    benchmark = prepare(RunRequest(home / "data", f"meshes:{home / 'meshes'}"))
    items, ledger = benchmark.dataset.items[:1], Ledger(home / "ledger")
    whole = np.round(load_model("embedded").mesh().vertices)
    for vertices, said in ((whole, "rounded to steps of 1, and"), (np.zeros((0, 3)), "IndexError")):
        other = replace(benchmark, method=Outside(vertices))
        ((_, made),) = predictions(items, other, ledger)
        assert said in made.reason


def test_missing_videos_are_no_problem_for_files(home: Path) -> None:
    meshes = prepare(RunRequest(home / "data", f"meshes:{home / 'meshes'}"))
    assert len(meshes.dataset.problems) == 6 and meshes.problems() == ()
    baseline = prepare(RunRequest(home / "data", "mean-face"))
    assert baseline.problems() == baseline.dataset.problems
    first = item_jobs(baseline.dataset.items)[0]
    job = predictions(first, baseline, Ledger(home / "ledger"))
    assert all("no video" in made.reason for _, made in job)


def test_a_folder_too_high_is_answered_with_the_one_inside(home: Path) -> None:
    with pytest.raises(
        FacebenchError, match=r"no prediction of any of 6 .*did you mean .*meshes\?"
    ):
        prepare(RunRequest(home / "data", f"meshes:{home}"))


def test_files_of_other_names_are_answered_with_those_expected(home: Path, tmp_path: Path) -> None:
    (tmp_path / "somebody.obj").write_text("v 1 2 3\n")
    with pytest.raises(FacebenchError, match=r"no prediction of any of 6 .*subject_NN/SCENE\.obj"):
        prepare(RunRequest(home / "data", f"meshes:{tmp_path}"))


def test_a_run_of_files_reads_no_clip(home: Path) -> None:
    benchmark = prepare(RunRequest(home / "data", f"meshes:{home / 'meshes'}"))
    assert benchmark.job is None and benchmark.clips == ()


class Counted(tuple[T, ...]):
    """Counts how often somebody walks through it."""

    walks = 0

    def __iter__(self) -> Iterator[T]:
        type(self).walks += 1
        return super().__iter__()


class Deaf:
    def frames(self, row: ChunkRow) -> None: ...
    def subject(self, name: str) -> None: ...


def test_a_subject_costs_no_walk_through_the_set(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hundred thousand it would be hours: neither measuring them nor looking them up."""

    def fail(jobs: Iterable[Job], ruler: Ruler) -> Iterator[list[Measured]]:
        return (failed_job(job, "not measured", ruler) for job in jobs)

    monkeypatch.setattr(driver, "measure_here", fail)
    walks: list[int] = []
    for subjects in (("subject_01",), ("subject_01", "subject_02")):
        request = RunRequest(home / "data", f"meshes:{home / 'meshes'}", subjects=subjects)
        made = prepare(request)
        items = Counted(made.dataset.items)
        Counted.walks = 0
        folder = RunFolder(tmp_path / str(len(subjects)))
        counted = replace(made, dataset=replace(made.dataset, items=items))
        driver.score_items(counted, folder, Deaf())
        assert folder.items()["reason"].tolist() == ["not measured"] * len(items)
        walks.append(Counted.walks)
    assert walks[0] == walks[1]
    record = describe_run(made, request, "", {}, {})
    Counted.walks = 0
    assert len(measured_dataset(replace(record, items=Counted(record.items))).items) == 6
    assert Counted.walks == 1


def test_a_unit_wrong_for_all_is_told_before_anything_is_measured(
    home: Path, tmp_path: Path
) -> None:
    face = load_model("embedded").mesh()
    for name in ("subject_01", "subject_02"):
        write_mesh(replace(face, vertices=face.vertices / 1000), tmp_path / f"{name}.ply")
    request = RunRequest(home / "data", f"meshes:{tmp_path}")
    with pytest.raises(
        FacebenchError, match=r"none of 2 predictions .*looks like m, .*--prediction-unit m"
    ):
        prepare(request)
    assert prepare(replace(request, prediction_unit="m")).prediction_unit == "m"
    with pytest.raises(FacebenchError, match=r"none of 2 scans .*looks like mm, not cm.*--unit mm"):
        prepare(replace(request, unit="cm", prediction_unit="m"))
    # One of them alone is that one's fault, and its row will say so.
    write_mesh(face, tmp_path / "subject_02.ply")
    assert len(prepare(request).dataset.items) == 6


def test_a_dozen_files_tell_the_unit_of_a_large_set() -> None:
    read: list[int] = []

    def mesh_in_metres(number: int, right: int = -1, damaged: int = -1) -> None:
        read.append(number)
        if number < damaged:
            raise FacebenchError("damaged")
        if number != right:
            raise UnitError(f"{number}.obj: looks like m, not mm", "pass --unit m")

    with pytest.raises(FacebenchError, match=r"none of 12 scans looked at .*face: 0\.obj"):
        _check_size([partial(mesh_in_metres, number) for number in range(500)], "scans")
    assert len(read) == 12 and max(np.diff(sorted(read))) < 100
    # The first hundred are another device's, or damaged: neither is held against the rest.
    _check_size([partial(mesh_in_metres, n, right=n if n > 99 else -1) for n in range(500)], "")
    read.clear()
    with pytest.raises(FacebenchError, match=r"99\.obj"):
        _check_size([partial(mesh_in_metres, n, damaged=99) for n in range(100)], "scans")
    assert len(read) == 100
    read.clear()
    # Nobody has a prediction: that is no reason to look for one of everybody.
    _check_size([partial(mesh_in_metres, n, damaged=5000) for n in range(5000)], "predictions")
    assert len(read) == 120
    # Nor is one wrong face of the few that are there a reason to refuse all.
    _check_size([partial(mesh_in_metres, n, damaged=4999) for n in range(5000)], "predictions")


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


def test_other_people_of_a_clip_are_named_in_its_note(home: Path, tmp_path: Path) -> None:
    benchmark = prepare(RunRequest(home / "data", "mean-face"))
    item = item_jobs(benchmark.dataset.items)[0][0]
    item = replace(item, clip=Clip(item.id, tmp_path / "a.avi"))
    places = [
        [0.0, 9.0, 10, 10, 50.0, 50.0, 4.6, 50.0, 50.0, 4.6],
        [10.0, 12.0, 3, 3, 900.0, 50.0, 4.6, 900.0, 50.0, 4.6],
    ]
    ledger = Ledger(tmp_path / "ledger")
    row = ChunkRow(item.id, 0, True, 20, 13, 0, "ok", "", 0.1, np.zeros(2))
    ledger.write(replace(row, segments=np.array(places)))
    ((_, made),) = predictions([item], benchmark, ledger)
    assert made.reason == "other faces are left out: frames 11 to 13 (3 faces)"
    assert (made.frames, made.faces, made.mesh is None) == (20, 10, False)
