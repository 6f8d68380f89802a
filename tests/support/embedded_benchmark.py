"""The benchmark on embedded data, small and in this process: the numbers of `facebench micc`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from facebench.bench.dataset.interface import Clip
from facebench.bench.method.clip_faces import ChunkRow, Crops, describe_chunk, face_chunks
from facebench.bench.method.registry import build_method
from facebench.bench.scoring.measure import measure_job
from facebench.bench.synthetic.write import MiccPlan, write_micc
from facebench.distributed.benchmark import Benchmark, item_jobs, predictions
from facebench.distributed.plan import RunRequest, describe_run, prepare
from facebench.recon.morphable.load import load_model
from facebench.recon.regressors.checkpoint import embedded_weights, load_regressor, save_weights
from facebench.results.run.folder import RunFolder
from facebench.results.run.record import now
from facebench.results.run.summary import summarise

SUBJECTS, FRAMES, SCENES, SEED = 5, 3, ("cooperative",), 1
"""Of the set, as `.ci/gate` writes it."""


def write_people(folder: Path) -> Path:
    """The set of `facebench synth micc` with these numbers."""
    digest = load_model("embedded").digest
    plan = MiccPlan("embedded", digest, SUBJECTS, FRAMES, SCENES, False, SEED)
    write_micc(plan, folder, 1, lambda _: None)
    return folder


def write_scaled_weights(path: Path, factor: float) -> Path:
    """The embedded checkpoint with its identities multiplied: 0 gives everybody the mean face."""
    model = load_model("embedded")
    loaded = load_regressor(embedded_weights(), model)
    loaded.regressor.output_scale[: loaded.regressor.sizes.identity] *= factor
    save_weights(
        path, loaded.regressor, loaded.recipe, loaded.model_digest, loaded.steps, loaded.seed
    )
    return path


def measured_run(people: Path, out: Path, checkpoint: Path | None = None) -> RunFolder:
    """A finished run of `ours`; what Ray would spread over workers is done one after the other."""
    request = RunRequest(people, scenes=SCENES, checkpoint=checkpoint)
    benchmark, folder = prepare(request), RunFolder(out)
    folder.begin(describe_run(benchmark, request, "facebench micc", {}, {}))
    _describe(benchmark, folder)
    ruler = benchmark.ruler
    groups = item_jobs(benchmark.dataset.items)
    jobs = [predictions(group, benchmark, folder.ledger) for group in groups]
    results = [item.result for job in jobs for item in measure_job(job, ruler)]
    folder.scores.write(results)
    folder.write_summary(summarise(folder))
    scored = sum(result.scored for result in results)
    record = replace(
        folder.record(), ended=now(), n_scored=scored, n_unscored=len(results) - scored
    )
    folder.write_record(record)
    return folder


@cache
def _chunks(clip: Clip, size: int) -> tuple[tuple[ChunkRow, Crops], ...]:
    """Found and cut once for all methods."""
    return tuple(face_chunks(clip, size))


def _describe(benchmark: Benchmark, folder: RunFolder) -> None:
    job = benchmark.job
    assert job is not None
    method = build_method(job.method, job.options)
    for clip in benchmark.clips:
        for chunk in _chunks(clip, job.crop_size):
            folder.ledger.write(describe_chunk(method, *chunk), "one", 1.0)
