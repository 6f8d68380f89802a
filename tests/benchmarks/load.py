"""Puts a load of made-up numbers through everything behind the frames, at a tenth and in full.

    python tests/benchmarks/load.py --subjects 10000 --chunks 100000 --folder /tmp/load
    python tests/benchmarks/load.py --only restart sums report

Files in MICC's layout, a ledger row for each of the chunks, a score for each subject in three
scenes; then what `facebench micc`, `compare`, `gate` and `report` do with them, `run` in one
process as a driver does it, from the listing to the page. Nothing is decoded, reconstructed or
measured. Every stage is a process of its own, after its imports: seconds of the
processor, seconds by the clock (a disk is waited for), most memory held. What costs in proportion
to the load costs up to 10 times as much in full as at a tenth; less where much is fixed.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mlflow  # noqa: F401  imported before the clock starts
import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from example_runs import SCENES
from micc_sets import micc_dataset

from facebench.bench.landmarks import FACE_PARTS
from facebench.bench.method.clip_faces import OK, ChunkRow
from facebench.bench.scoring.distance import CURVE_MM
from facebench.bench.scoring.measure import Job, Measured
from facebench.bench.scoring.result import SCORED, Result
from facebench.bench.scoring.target import Ruler
from facebench.distributed import benchmark as driver
from facebench.distributed.benchmark import Benchmark, item_jobs, predictions, unfinished_tasks
from facebench.distributed.plan import RunRequest, describe_run, prepare
from facebench.distributed.tasks import Behind
from facebench.recon.export.mesh_files import write_ply
from facebench.results.compare import FORMS, compare, comparison_text
from facebench.results.gate.baseline import Baseline
from facebench.results.gate.evaluate import evaluate
from facebench.results.gate.rules import Coverage, Limit, Regression
from facebench.results.report import write_report
from facebench.results.run.folder import RunFolder
from facebench.results.run.growing import GrowingTable
from facebench.results.run.items import schema, table_of_results
from facebench.results.run.record import now
from facebench.results.run.summary import summarise
from facebench.results.tables.scenes import scene_rows
from facebench.results.tables.series import read_series
from facebench.results.tables.writers import csv_text, markdown, terminal_text
from facebench.results.tracking.benchmark import connect, track_run

FRAMES = 32
VECTOR = 80
"""Numbers of an identity in the models of the Basel family."""

LINKS = 50_000
"""Most names that one file is given."""

VIDEOS = {
    "cooperative": "Indoor-Cooperative.avi",
    "indoor": "PTZ-Indoor.avi",
    "outdoor": "PTZ-Outdoor.avi",
}


@dataclass(frozen=True)
class Load:
    """How much there is, and where.

    Attributes:
        folder: of the data and the two runs.
        subjects: each with a clip in three scenes.
        chunks: of all clips together.
    """

    folder: Path
    subjects: int
    chunks: int

    @property
    def people(self) -> Path:
        """The folder in MICC's layout."""
        return self.folder / "people"

    @property
    def run(self) -> RunFolder:
        """The run that the load goes through."""
        return RunFolder(self.folder / "first")

    @property
    def other(self) -> RunFolder:
        """The run that it is compared with: scores and no chunks."""
        return RunFolder(self.folder / "second")

    @property
    def names(self) -> list[str]:
        """Of the subjects."""
        return [f"subject_{number:06d}" for number in range(1, self.subjects + 1)]

    def benchmark(self) -> Benchmark:
        """As `facebench micc` prepares it."""
        return prepare(RunRequest(self.people, method="mean-face"))


def chunk_rows(load: Load) -> Iterator[ChunkRow]:
    """A row a chunk, spread over the clips; vectors (VECTOR,) of noise."""
    rng = np.random.default_rng(0)
    clips = [f"{subject}/{scene}" for subject in load.names for scene in SCENES]
    for number, clip in enumerate(clips):
        first, end = (load.chunks * place // len(clips) for place in (number, number + 1))
        for chunk in range(end - first):
            last = chunk == end - first - 1
            vector = rng.normal(size=VECTOR)
            yield ChunkRow(clip, chunk, last, FRAMES, FRAMES - 1, 0, OK, "", 0.3, vector)


def score_rows(load: Load, seed: int) -> Iterator[list[Result]]:
    """The results of each subject, about as `measure_job` gives them."""
    rng = np.random.default_rng(seed)
    easy = np.random.default_rng(99).normal(1.4, 0.2, load.subjects).clip(0.5)
    for name, level in zip(load.names, easy, strict=True):
        yield [score_row(name, scene, float(level + rng.normal(0, 0.05))) for scene in SCENES]


def score_row(subject: str, scene: str, error: float) -> Result:
    """A half-normal error's statistics, and every other column that a score has."""
    sigma = error * math.sqrt(math.pi / 2)
    shares = {f"share_within_{mm}mm": _share(mm, sigma) for mm in (1, 2, 3)}
    parts = {f"{part}_mm": error for part in FACE_PARTS}
    return Result(
        subject,
        scene,
        SCORED,
        "",
        "micc",
        "0" * 64,
        item=f"{subject}/{scene}",
        value_mm=error,
        mean_mm=error,
        median_mm=0.54 * sigma,
        rmse_mm=sigma,
        p90_mm=1.645 * sigma,
        scale=1.01,
        frames=10 * FRAMES // 3,
        faces=100,
        scan="frontal1",
        scans=("frontal1",),
        scan_values_mm=(error,),
        curve=tuple(_share(threshold, sigma) for threshold in CURVE_MM.tolist()),
        **shares,
        **parts,
    )


def score_table(load: Load, seed: int) -> pa.Table:
    """The same rows, many of which differ only in whose and how large the error is."""
    rng = np.random.default_rng(seed)
    many = [row for some in islice(score_rows(load, seed), 300) for row in some]
    # 100,000 subjects' curves take minutes: they are some hundred subjects' in turn.
    table = table_of_results(many).take(np.arange(3 * load.subjects) % len(many))
    scenes = np.tile(SCENES, load.subjects)
    subjects = np.repeat(load.names, len(SCENES))
    errors = np.repeat(rng.normal(1.4, 0.2, load.subjects).clip(0.5), len(SCENES))
    errors += rng.normal(0, 0.05, len(errors))
    columns = {"subject": subjects, "scene": scenes, "value_mm": errors, "mean_mm": errors}
    columns["item"] = np.char.add(np.char.add(subjects, "/"), scenes)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table.cast(schema())


def _share(threshold_mm: float, sigma: float) -> float:
    return math.erf(threshold_mm / (sigma * math.sqrt(2)))


def write_load(load: Load) -> None:
    """Files of one byte where videos and scans are, two runs' folders, and a mesh a score."""
    for number, name in enumerate(load.names):
        folder = f"{load.people}/{name}"
        for inner in ("Video", "Model/frontal1/obj"):
            Path(folder, inner).mkdir(parents=True)
        for path in (*(f"Video/{video}" for video in VIDEOS.values()), "Model/frontal1/obj/1.obj"):
            if number % (LINKS // 4) == 0 and path == f"Video/{VIDEOS['cooperative']}":
                source = f"{folder}/{path}"
                Path(source).write_bytes(b"-")
            else:
                os.link(source, f"{folder}/{path}")
    benchmark, request = load.benchmark(), RunRequest(load.people, method="mean-face")
    record = describe_run(benchmark, request, "load", {}, _arguments(load))
    for number, run in enumerate((load.run, load.other)):
        run.begin(record)
        table = score_table(load, number)
        run.scores.write_parts([table], np.arange(len(table)))
        run.write_record(replace(run.record(), ended=now(), n_scored=3 * load.subjects))
    load.other.write_summary(summarise(load.other))
    load.run.scores.path.unlink()
    _write_meshes(load, benchmark)


def _arguments(load: Load) -> dict[str, Any]:
    return {"data": str(load.people), "method": "mean-face", "model": "embedded", "name": None}


def _write_meshes(load: Load, benchmark: Benchmark) -> None:
    """One face under all names, for the report to find."""
    mesh = benchmark.mean_face
    errors = {"error": np.linspace(0, 3, len(mesh.vertices)).astype(np.float32)}
    items = (f"{subject}/{scene}" for subject in load.names for scene in SCENES)
    paths = map(load.run.mesh_path, items)
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % LINKS == 0:
            write_ply(mesh, path, errors)
            first = path
        else:
            path.hardlink_to(first)


def dataset(load: Load) -> None:
    """List the files, as every start does."""
    found = micc_dataset(load.people)
    assert len(found.clips) == 3 * load.subjects and found.digest


def ledger(load: Load) -> None:
    """Keep every chunk's row, as many at a time as have come."""
    kept = load.run.ledger
    with Behind(lambda rows: kept.write_all(rows, "one", 1.0)) as behind:
        for row in chunk_rows(load):
            behind.put(row)


def restart(load: Load) -> None:
    """Take the folder, and find what is still to be read: nothing."""
    with load.run.locked():
        _nothing_left(load)


def _nothing_left(load: Load) -> None:
    assert not unfinished_tasks(micc_dataset(load.people).clips, load.run.ledger)


def sums(load: Load) -> None:
    """Every clip's mean vector, handed to the method of every subject."""
    # One ledger, as a run has: it knows where each clip's rows are after one look at all files.
    made, kept = load.benchmark(), load.run.ledger
    for items in item_jobs(made.dataset.items):
        job = predictions(items, made, kept)
        assert all(prediction.mesh is not None for _, prediction in job)


def scores(load: Load) -> None:
    """Keep every subject's scores as they come."""
    with GrowingTable(load.run.scores) as growing:
        for rows in score_rows(load, 0):
            growing.add(rows)


def run(load: Load) -> None:
    """What the driver of a run does, from the listing to the page, all frames being read."""
    given = score_rows(load, 0)

    def made_up(jobs: Iterable[Job], ruler: Ruler) -> Iterator[list[Measured]]:
        for job, rows in zip(jobs, given, strict=True):
            assert all(prediction.mesh is not None for _, prediction in job)
            yield [Measured(row) for row in rows]

    with patch.multiple(driver, measure_here=made_up, keep_arrays=lambda *_: None):
        driver.run_benchmark(load.benchmark(), load.run, _Deaf())
        write_report(load.run)


class _Deaf:
    """Is told how far the run has come."""

    def frames(self, row: ChunkRow) -> None:
        """Nothing is read."""
        raise AssertionError(row.clip)

    def subject(self, name: str) -> None:
        """Shows nothing."""


def statistics(load: Load) -> None:
    """The summary, with its intervals."""
    load.run.write_summary(summarise(load.run))


def tables(load: Load) -> None:
    """For the terminal, as Markdown, as CSV."""
    content = scene_rows(read_series([load.run, load.other]))
    assert terminal_text([content.table()]) and markdown(content.table())
    assert csv_text(content.numbers())


def comparison(load: Load) -> None:
    """In every form."""
    found = compare([load.run, load.other])
    assert all(comparison_text(found, form) for form in FORMS)


def gate(load: Load) -> None:
    """A limit, a regression and the coverage."""
    rules = [Limit(max_mm=5.0), Regression(tolerance_mm=0.1), Coverage(subjects=1.0)]
    assert evaluate(rules, load.run, Baseline.of_run(load.other)).checks


def report(load: Load) -> None:
    """The page, beside the other run."""
    write_report(load.run, [load.other])


def tracking(load: Load) -> None:
    """The MLflow run."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{load.folder / 'mlflow.db'}"
    connect("load")
    track_run(load.run, "load")


STAGES: dict[str, Callable[[Load], None]] = {
    "dataset": dataset,
    "ledger": ledger,
    "restart": restart,
    "sums": sums,
    "scores": scores,
    "run": run,
    "statistics": statistics,
    "tables": tables,
    "compare": comparison,
    "gate": gate,
    "report": report,
    "mlflow": tracking,
}


@dataclass(frozen=True)
class Cost:
    """Of one stage.

    Attributes:
        cpu_s: seconds of the processor.
        wall_s: seconds by the clock.
        memory_mb: most that the process held.
    """

    cpu_s: float
    wall_s: float
    memory_mb: float


def measured(stage: str, load: Load) -> Cost:
    """Do it in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    STAGES[stage](load)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(time.process_time() - cpu, time.perf_counter() - wall, peak)


def in_process(work: Callable[..., Any], *given: Any) -> Any:
    """What comes of it in a process of its own, which begins with all imports and nothing else."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(work, given)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=10_000)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--only", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--size", choices=["tenth", "full", "both"], default="both")
    parser.add_argument("--folder", type=Path, help="kept; else a temporary one")
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    load = Load(arguments.folder, arguments.subjects, arguments.chunks)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        loads = [
            Load(folder / "tenth", load.subjects // 10, load.chunks // 10),
            replace(load, folder=folder / "full"),
        ]
        loads = [one for one in loads if arguments.size in (one.folder.name, "both")]
        for one in loads:
            if not one.people.is_dir():
                in_process(write_load, one)
        compared(loads, arguments.only)


def compared(loads: list[Load], stages: list[str]) -> None:
    """A row a stage, as Markdown."""
    head = [f"{load.subjects:,} subjects, {load.chunks:,} chunks" for load in loads]
    print("| stage |", " | ".join(f"{size}: CPU s | wall s | MB" for size in head), "|")
    print("| --- |" + " ---: |" * (3 * len(loads)))
    for stage in stages:
        costs = [in_process(measured, stage, load) for load in loads]
        cells = (f"{c.cpu_s:.1f} | {c.wall_s:.1f} | {c.memory_mb:.0f}" for c in costs)
        print(f"| {stage} |", " | ".join(cells), "|", flush=True)
    pages = [load.run.report for load in loads if load.run.report.is_file()]
    print("report:", ", ".join(f"{page.stat().st_size / 1e6:.1f} MB" for page in pages))


if __name__ == "__main__":
    main()
