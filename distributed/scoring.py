"""All subjects of a run measured and kept: in one pass, or in two for one scale factor for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bench.method.decoder import Decoder
from ..bench.scoring.measure import Measured, Measuring
from ..bench.scoring.statistics import geometric_mean
from ..recon.export.write import write_ply
from ..results.run.folder import SCORED, RunFolder
from ..results.run.subjects_table import GrowingTable, SubjectsTable
from .evaluate import measure_subjects
from .predict import Predictor

if TYPE_CHECKING:
    from .benchmark import Benchmark, Listener

Row = dict[str, Any]


def score_subjects(benchmark: Benchmark, folder: RunFolder, listen: Listener) -> list[Row]:
    """Measure every subject that the folder lacks, keep each as it is finished; all rows.

    With `alignment.scale = global` a first pass gives every mesh its own scale; their geometric
    mean over subjects and scenes, kept in the record, is what the second pass gives all of them.
    """
    how = measuring(benchmark)
    if benchmark.protocol.alignment.scale == "global":
        first = _pass(benchmark, folder, how, folder.first_pass, _keep_nothing, listen)
        how = replace(how, fixed_scale=global_scale(first))
        folder.write_record(replace(folder.record(), global_scale=how.fixed_scale))
    return _pass(benchmark, folder, how, folder.scores, _keep, listen)


def measuring(benchmark: Benchmark) -> Measuring:
    """How the subjects of a benchmark are measured."""
    job = benchmark.job
    return Measuring(
        protocol=benchmark.protocol,
        unit=benchmark.unit,
        mean_face=benchmark.mean_face,
        parts=benchmark.method.parts,
        decode=None if job is None else Decoder(job.method, job.options),
    )


def global_scale(rows: list[Row]) -> float | None:
    """The geometric mean of the scored rows' scale factors; None without any."""
    scales = [row["scale"] for row in rows if row["status"] == SCORED]
    return geometric_mean(scales) if scales else None


def _pass(
    benchmark: Benchmark,
    folder: RunFolder,
    how: Measuring,
    table: SubjectsTable,
    keep: Callable[[Measured, RunFolder], None],
    listen: Listener,
) -> list[Row]:
    """Rows of all subjects; those that the table has, measured in the same way, are not redone."""
    rows = table.whole_subjects(len(benchmark.dataset.scenes), how.fixed_scale)
    known = {row["subject"] for row in rows}
    for name in sorted(known):
        listen.subject(name)
    missing = (name for name in benchmark.dataset.subjects if name not in known)
    predictor = Predictor(benchmark.dataset, benchmark.method, folder.ledger)
    with GrowingTable(table, rows) as growing:
        for measured in measure_subjects(map(predictor.job, missing), how):
            for item in measured:
                keep(item, folder)
            growing.add([item.row for item in measured])
            listen.subject(measured[0].row["subject"])
    return growing.rows


def _keep(item: Measured, folder: RunFolder) -> None:
    """The mesh and the distances, before the row that tells of them."""
    subject, scene = item.row["subject"], item.row["scene"]
    path = folder.mesh_path(subject, scene)
    if item.aligned is None:
        path.unlink(missing_ok=True)
        folder.scan_path(subject, scene).unlink(missing_ok=True)
        folder.point_errors.remove(subject, scene)
        return
    folder.point_errors.write(subject, scene, item.distances)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ply(item.aligned, path, {"error": item.vertex_errors.astype(np.float32)})
    if item.scan is not None:
        scan_path = folder.scan_path(subject, scene)
        scan_path.parent.mkdir(parents=True, exist_ok=True)
        write_ply(item.scan.mesh, scan_path, {"error": item.scan.errors.astype(np.float32)})


def _keep_nothing(item: Measured, folder: RunFolder) -> None:
    """The first pass is for the scales alone."""
