"""How every reader of the package is called on one file: it answers, accepts, or fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from facebench.bench.audit.people import read_person
from facebench.bench.dataset.registry import read_listing
from facebench.bench.meshes.clean import clean_mesh
from facebench.bench.meshes.files import load_mesh
from facebench.cli._options import read_options
from facebench.recon.face.crop import Box
from facebench.recon.mesh import Mesh
from facebench.recon.morphable import ict as obj
from facebench.recon.morphable.mat5 import read_mat
from facebench.recon.network.tensor_files import architecture_of, read_state_dict
from facebench.recon.portraits.results import ResultLedger
from facebench.recon.portraits.sources import Source
from facebench.recon.preparation.candidates import (
    PreparationSettings,
    decode_landmarks,
    decode_mask,
    find_faces,
)
from facebench.recon.preparation.folder import WorkFolder
from facebench.recon.preparation.listing import list_photographs
from facebench.recon.regressors.checkpoint import load_regressor
from facebench.recon.training.loop import TrainingFolder
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.tasks.parser import CelebAMaskFaces
from facebench.recon.video.decode import frame_rate, read_chunks
from facebench.results.run.items import PointErrors
from facebench.results.run.ledger import Ledger
from facebench.results.run.record import read_cost
from facebench.results.tables.basis import refuse_unfinished
from facebench.results.tracking.run import open_runs
from facebench.tests.support.hostile_input import folders, samples


def mesh(path: Path) -> None:
    clean_mesh(load_mesh(path))


def obj_model(path: Path) -> None:
    obj.read_vertices(path)
    obj.read_faces(path)


def packed_mat(path: Path) -> None:
    read_mat(path, ("meanshape", "idx"), "")


def regressor(path: Path) -> None:
    load_regressor(path, samples.small_model())


def state_dict(path: Path) -> None:
    architecture_of(read_state_dict(path, "the web"))


def frames(path: Path) -> None:
    frame_rate(path)
    for chunk in read_chunks(path, "subject_01/indoor", limit=200):
        _one_line(chunk.reason)


class _OneFace:
    """Finds a face in the middle of whatever it is shown."""

    def detect(self, frame: Any) -> Box | None:
        return Box(1.0, 1.0, float(frame.shape[1]), float(frame.shape[0]))

    def detect_all(self, frame: Any) -> list[Box]:
        return [Box(1.0, 1.0, float(frame.shape[1]), float(frame.shape[0]))]


def prepared(path: Path) -> None:
    listing = list_photographs([path])
    for rejected in listing.unreadable.values():
        _one_line(str(rejected))
    for photograph in listing.photographs[:20]:
        faces = find_faces(photograph, _OneFace(), PreparationSettings(image_size=32))
        for *_, rejected in faces.rejected:
            _one_line(str(rejected))


def _one_line(reason: str) -> None:
    if "\n" in reason:
        raise AssertionError(f"several lines: {reason!r}")


def mask(path: Path) -> None:
    decode_mask(path.read_bytes(), (64, 64))


def pts(path: Path) -> None:
    decode_landmarks(path.read_bytes(), path.name)


def options(path: Path) -> None:
    from facebench.cli.run import micc as command

    read_options(path, command)


def shards(path: Path) -> None:
    faces = FaceShards(path.parent)
    for row in range(min(len(faces), 8)):
        try:
            faces.sample(row)
        except Exception as error:
            if type(error).__name__ != "FacebenchError":
                raise
            _one_line(str(error))
    len(faces.subjects)
    faces.coefficients(range(min(len(faces), 2)))


def celebamask(path: Path) -> None:
    root = next(p for p in path.parents if (p / "CelebA-HQ-img").is_dir())
    CelebAMaskFaces(root).sample(0)


def ledger(path: Path) -> None:
    kept = Ledger(path.parents[2])
    kept.table()
    kept.progress()
    kept.total(folders.CLIP)
    kept.frames_per_second()


def run(path: Path) -> None:
    with open_runs([str(path.parent)]) as (run,):
        refuse_unfinished(run)


def report(path: Path) -> None:
    from facebench.results.report import write_report

    with open_runs([str(path.parent)]) as (run,):
        refuse_unfinished(run)
        page = write_report(run).read_text("utf-8")
    if "<script>alert" in page or "</script><script>" in page:
        raise AssertionError("a name became a script")


def compare(path: Path) -> None:
    from facebench.results.compare import FORMS, compare, comparison_text

    with open_runs([str(path.parent)]) as runs:
        for run in runs:
            refuse_unfinished(run)
        comparison = compare(runs)
        for form in FORMS:
            comparison_text(comparison, form)


def point_errors(path: Path) -> None:
    PointErrors(path.parent.parent).read("subject_01/indoor")


def portraits(path: Path) -> None:
    ledger = ResultLedger(path.parent, {})
    ledger._rows = {ledger._key(_SOURCE): row for row in ledger._rows.values()}
    ledger.find(_SOURCE)


_SOURCE = Source("a", Path("a.jpg"))


def work(path: Path) -> None:
    WorkFolder(path.parent).index([])


def plan(path: Path) -> None:
    WorkFolder(path.parent).claim({"image_size": 224})


def now_list(path: Path) -> None:
    read_listing("now", path.parent)


def cost(path: Path) -> None:
    read_cost(path.parent)


def log(path: Path) -> None:
    TrainingFolder(path.parent).read(path)
    TrainingFolder(path.parent).rewind(3)


def truth(path: Path) -> None:
    read_person(path, samples.small_model(), "frontal1", Mesh(np.zeros((0, 3)), np.zeros((0, 3))))
