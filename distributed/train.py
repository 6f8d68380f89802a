"""Training on Ray Train: in this process, on this machine or a cluster; labels fitted first."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig, get_context
from ray.train.torch import TorchTrainer, get_device, prepare_model
from ray.train.v2.api.exceptions import TrainingFailedError

from ..errors import FacebenchError
from ..recon.files.stores import address_of
from ..recon.recipes.baselines import TranRecipe
from ..recon.training.loop import Listener, TrainingFolder
from ..recon.training.methods.labels import Labelling, fit_piece
from ..recon.training.optimise import DivergedError
from ..recon.training.run import TrainingJob, check_job, train_worker
from ..recon.training.workers import SINGLE_PROCESS, DistributedGroup, Worker
from .cluster import be_quiet, is_ours, ray_connection, threads_each, total
from .nodes import SAME_CODE, expected_code, other_code
from .tasks import in_tasks

RESTARTS = 8
"""How often Ray starts the workers again after one was lost."""

_POLL_SECONDS = 0.5


def train(
    job: TrainingJob,
    workers: int,
    cluster: bool,
    listen: Listener,
    least_workers: int | None = None,
) -> None:
    """Train to the end, from the newest checkpoint of the job's folder if there is one.

    What the method learns from is made first, where it is not there: `fit_labels`.

    One worker without a cluster trains in this process. Otherwise Ray starts the workers, and
    starts them again, from the newest checkpoint, when one is lost; on a cluster of several
    machines the job's data, model and folder must be on a disk that all of them see. Batches and
    their gradients do not depend on how many workers share them.

    Args:
        job: what to train.
        workers: how many processes share each batch.
        cluster: use a running Ray cluster.
        listen: is told every line of the log, in this process.
        least_workers: go on with no fewer than these where machines are lost or missing, and take
            up to `workers` again when they come; None waits for all of them.

    Raises:
        FacebenchError: unusable input, no cluster, the workers were lost too often, or step after
            step was not finite.
    """
    be_quiet()
    least = least_workers or workers
    _check_share(job, workers, least)
    if labelling := labelling_of(job):
        deque(fit_labels(labelling, workers > 1 or cluster, cluster, job.threads), maxlen=0)
    if workers == 1 and not cluster:
        _fit(
            job,
            _local_work(listen),
            ScalingConfig(num_workers=0, use_gpu=torch.cuda.is_available()),
        )
        return
    check_job(job)
    with ray_connection(cluster), follow_log(job.folder, listen):
        scaling = ScalingConfig(
            num_workers=(least, workers) if least < workers else workers,
            use_gpu=total("GPU") >= least,
            resources_per_worker={"CPU": max(1, job.threads)},
        )
        _fit(job, _train_in_group, scaling)


@contextmanager
def follow_log(folder: TrainingFolder, listen: Listener) -> Iterator[None]:
    """Pass every new line of a folder's log to the listener while the block runs elsewhere."""
    ended = threading.Event()
    told = max((row["step"] for row in folder.read(folder.log)), default=0.0)
    thread = threading.Thread(target=_follow, args=(folder, told, listen, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _follow(folder: TrainingFolder, told: float, listen: Listener, ended: threading.Event) -> None:
    last_look = False
    while not last_look:
        last_look = ended.wait(_POLL_SECONDS)
        for row in folder.read(folder.log):
            if row["step"] > told:
                told = row["step"]
                listen(row)


def _check_share(job: TrainingJob, workers: int, least: int) -> None:
    batch = job.recipe.training.batch_size
    if not 1 <= least <= workers:
        raise FacebenchError(
            f"at least {least} of {workers} workers cannot be", f"give 1 to {workers}"
        )
    if workers < 1 or batch % workers:
        raise FacebenchError(
            f"{workers} workers cannot share batches of {batch}",
            "give a number of workers that divides training.batch_size",
        )


def _fit(job: TrainingJob, work: Any, scaling: Any) -> None:
    # Ray's own notes of a training, which no other command reads. In a folder of an object store
    # they are kept back by their name: else they would be published while Ray writes them.
    notes = job.out.absolute() / (".ray" if address_of(job.out) else "ray")
    trainer = _Trainer(
        work,
        train_loop_config={
            "job": job.as_table(),
            "folder": str(Path.cwd()),
            "code": expected_code(),
        },
        scaling_config=scaling,
        run_config=RunConfig(
            name=f"from-{time.time_ns()}",
            storage_path=str(notes),
            failure_config=FailureConfig(max_failures=RESTARTS),
            worker_runtime_env=threads_each(job.threads),
        ),
    )
    try:
        result = trainer.fit()
    except TrainingFailedError as error:
        causes = getattr(error, "worker_failures", {}).values()
        raise _user_error(
            error, causes, "training stopped", "the same command resumes from the newest checkpoint"
        ) from error
    finally:
        if notes.name == ".ray":
            shutil.rmtree(notes, ignore_errors=True)
    if result.return_value:
        raise FacebenchError(*result.return_value)


class _Trainer(TorchTrainer):  # type: ignore[misc]
    """Without what a training here does not need: an actor each, which imports Ray twice."""

    def _create_default_callbacks(self) -> list[Any]:
        # Shards are read by the workers themselves; of a Ray that ends with us nothing remains.
        unused = ["DatasetsCallback", *(["PlacementGroupCleanerCallback"] if is_ours() else [])]
        made = super()._create_default_callbacks()
        return [one for one in made if type(one).__name__ not in unused]


def _user_error(error: Any, causes: Iterable[object], said: str, hint: str) -> FacebenchError:
    """A worker's own message where it is one for the user, else the last line of the failure."""
    for cause in causes:
        if isinstance(cause, FacebenchError):
            return cause
    return FacebenchError(f"{said}: {str(error).strip().splitlines()[-1]}", hint)


def _local_work(listen: Listener) -> Any:
    """The training function of one worker in this process."""

    def work(config: dict[str, Any]) -> None:
        train_worker(TrainingJob.from_table(config["job"]), Worker(_device()), listen)

    return work


def _train_in_group(config: dict[str, Any]) -> tuple[str, str] | None:
    """The training function of one of several workers; why it ended before its end, if it did.

    A divergence or other code comes to all workers at once. It is no error for Ray, which would
    start them again.
    """
    # Ray puts its workers into a folder of their own, where relative paths lead nowhere. On another
    # machine the command's folder may be missing; whole paths are all that can be meant there.
    with suppress(OSError):
        os.chdir(config["folder"])
    context = get_context()
    count = context.get_world_size()
    # Where all others were lost, one worker is left and has the whole batch.
    group = DistributedGroup(context.get_world_rank(), count) if count > 1 else SINGLE_PROCESS
    worker = Worker(_device(), group, prepare_model)
    if refused := _refusal(config["code"], worker):
        return refused, SAME_CODE
    try:
        train_worker(TrainingJob.from_table(config["job"]), worker, lambda row: None)
    except DivergedError as error:
        return error.message, error.hint
    return None


def _refusal(code: str, worker: Worker) -> str:
    """Why nobody may train: one of the nodes holds other code than the command; or empty."""
    if not code:
        return ""
    other = other_code(code)
    # Who has the right code must hear of it too, or would wait for the others.
    same = worker.group.all(torch.tensor(not other, device=worker.device))
    return "" if same else other or "a node's facebench is another than the command's"


def _device() -> torch.device:
    device: torch.device = get_device()
    return device


def labelling_of(job: TrainingJob) -> Labelling | None:
    """What must be fitted before a training can start, done or not; None where nothing must.

    Raises:
        FacebenchError: unusable data or model, or a folder with the labels of other photographs.
    """
    if not isinstance(job.recipe, TranRecipe):
        return None
    return Labelling.claim(job.data, job.model, job.folder.labels, job.limit)


def fit_labels(labelling: Labelling, parallel: bool, cluster: bool, threads: int) -> Iterator[int]:
    """Fit the pieces that are missing; gives the first row of each as it is written.

    Stopped at any moment, the same call goes on where it stood.

    Args:
        labelling: what to fit.
        parallel: on all processors, through Ray; else in this process.
        cluster: those of a running Ray cluster.
        threads: PyTorch threads of this process; 0 leaves PyTorch's choice.

    Raises:
        FacebenchError: a piece could not be fitted or written.
    """
    missing = labelling.missing()
    if not parallel or not missing:
        yield from _fit_here(labelling, missing, threads)
        return
    with ray_connection(cluster):
        for first, result in in_tasks(partial(fit_piece, labelling), missing):
            if isinstance(result, BaseException):
                causes = [getattr(result, "cause", None)]
                raise _user_error(
                    result, causes, "labels could not be fitted", "the same command goes on"
                )
            yield first


def _fit_here(labelling: Labelling, missing: list[int], threads: int) -> Iterator[int]:
    if threads:
        torch.set_num_threads(threads)
    for first in missing:
        fit_piece(labelling, first)
        yield first
