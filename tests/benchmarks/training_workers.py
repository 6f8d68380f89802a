"""How much faster two workers train than one: `python tests/benchmarks/training_workers.py`.

The same recipe and batch of a tiny set of faces, in one process and shared by two, a thread each,
as Ray Train's workers do it (Ray itself is at work only at a start and an end). Some steps warm up
and do not count. Two figures for every turn:

- wall: images per second of two over those of one. It holds on a machine with idle processors.
- work: processor seconds of a step in one process over those of the busier of the two. It is what
  wall can reach where each worker has a processor to itself, and holds on a busy machine too; what
  a worker waits for the other is not in it.

    OMP_WAIT_POLICY=PASSIVE python tests/benchmarks/training_workers.py --rounds 2
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from training_faces import small_model, write_training_faces

from facebench.recon.recipes.files import load_recipe
from facebench.recon.training.run import TrainingJob, make_loop
from facebench.recon.training.workers import DistributedGroup, Worker

WARM_UP = 2


def main() -> None:
    arguments = parsed()
    if arguments.workers:
        one_worker(arguments)
        return
    with tempfile.TemporaryDirectory() as name:
        arguments.folder = Path(name)
        write_training_faces(arguments.folder, subjects=16, frames=4)
        turns = [turn(number, arguments) for number in range(arguments.rounds)]
    vertices = small_model().n_vertices
    print(f"{arguments.recipe}, batch {arguments.batch}, {vertices} vertices:", end=" ")
    print(f"wall {middle([wall for wall, _ in turns])}, work {middle([work for _, work in turns])}")


def turn(number: int, arguments: argparse.Namespace) -> tuple[float, float]:
    """One worker and two, one after the other: the ratios of wall and of work."""
    one, two = (group(number, count, arguments) for count in (1, 2))
    wall = [max(found["wall"] for found in workers) for workers in (one, two)]
    work = [max(found["work"] for found in workers) for workers in (one, two)]
    speeds = [arguments.batch / seconds for seconds in wall]
    print(
        f"images/s 1 worker {speeds[0]:.1f}, 2 workers {speeds[1]:.1f}; processor seconds a step "
        f"{work[0]:.3f} and {work[1]:.3f} each; load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} processors",
        flush=True,
    )
    return wall[0] / wall[1], work[0] / work[1]


def group(number: int, workers: int, arguments: argparse.Namespace) -> list[dict[str, float]]:
    """Seconds of a step of each of so many workers, all of them started at once."""
    store = arguments.folder / f"store-{number}-{workers}"
    words = [sys.executable, __file__, *sys.argv[1:], "--folder", str(arguments.folder)]
    words += ["--workers", str(workers), "--store", str(store), "--rank"]
    started = [
        subprocess.Popen([*words, str(rank)], stdout=subprocess.PIPE, text=True)
        for rank in range(workers)
    ]
    said = [process.communicate()[0] for process in started]
    return [json.loads(text) for text in said]


def one_worker(arguments: argparse.Namespace) -> None:
    """Take some steps as one of the workers and print the seconds of one."""
    torch.set_num_threads(1)
    worker = Worker()
    if arguments.workers > 1:
        store = distributed.FileStore(str(arguments.store), arguments.workers)
        distributed.init_process_group(
            "gloo", store=store, rank=arguments.rank, world_size=arguments.workers
        )
        peers = DistributedGroup(arguments.rank, arguments.workers)
        worker = Worker(group=peers, distribute=DistributedDataParallel)
    settings = [f"training.batch_size={arguments.batch}", "loss.pixel_from=0", *arguments.set]
    recipe = load_recipe(arguments.recipe, settings)
    folder = arguments.folder
    job = TrainingJob(folder / "faces", recipe, str(folder / "model.npz"), folder / "out")
    loop = make_loop(job, worker, lambda row: None)
    batches = [loop.source.batch(step) for step in range(WARM_UP + arguments.steps)]
    for batch in batches[:WARM_UP]:
        loop.trainer.training_step(batch)
    wall, work = time.perf_counter(), time.process_time()
    for batch in batches[WARM_UP:]:
        loop.trainer.training_step(batch)
    seconds = {"wall": time.perf_counter() - wall, "work": time.process_time() - work}
    print(json.dumps({name: value / arguments.steps for name, value in seconds.items()}))


def middle(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="ours-embedded")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    for hidden in ("--workers", "--rank"):
        parser.add_argument(hidden, type=int, default=0, help=argparse.SUPPRESS)
    for hidden in ("--folder", "--store"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
