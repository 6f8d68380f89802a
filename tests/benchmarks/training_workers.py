"""How much faster two workers train than one: `python tests/benchmarks/training_workers.py`.

The same recipe and batch of a tiny set of faces, with one worker and with two under Ray Train, a
thread each. The speed is that of the steps after the first lines of the log, so that no start is
counted. Both are measured in turns, and the ratio of each turn is printed with the load: on a
machine with other work the two of a turn can be compared, single speeds cannot.

    OMP_WAIT_POLICY=PASSIVE python tests/benchmarks/training_workers.py --rounds 3
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from training_faces import small_model, write_training_faces

from facebench.distributed.cluster import connected
from facebench.distributed.train import train
from facebench.recon.recipe_files import load_recipe
from facebench.recon.training.job import TrainingJob

WARM_UP = 4
"""Lines of the log that do not count."""


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory() as name, connected(cluster=False):
        folder = Path(name)
        faces = write_training_faces(folder, subjects=16, frames=4)
        ratios = []
        for turn in range(arguments.rounds):
            speeds = [
                speed(faces, folder / f"{turn}-{count}", count, arguments) for count in (1, 2)
            ]
            ratios.append(speeds[1] / speeds[0])
            load = os.getloadavg()[0]
            print(
                f"1 worker {speeds[0]:.1f}, 2 workers {speeds[1]:.1f} images/s, ratio "
                f"{ratios[-1]:.2f}, load {load:.1f} on {os.cpu_count()} processors",
                flush=True,
            )
    vertices = small_model().n_vertices
    print(f"{arguments.recipe}, batch {arguments.batch}, {vertices} vertices: ", end="")
    print(f"ratio {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


def speed(faces: Path, out: Path, workers: int, arguments: argparse.Namespace) -> float:
    """Images per second of a training with so many workers, both of them under Ray."""
    settings = [
        f"training.steps={arguments.steps}",
        f"training.batch_size={arguments.batch}",
        "training.log_every=2",
        f"training.checkpoint_every={arguments.steps}",
        "loss.pixel_from=0",
        *arguments.set,
    ]
    recipe = load_recipe(arguments.recipe, settings)
    job = TrainingJob(faces, recipe, str(faces.parent / "model.npz"), out, threads=1)
    train(job, workers, workers == 1, lambda row: None)
    rows = job.folder.read(job.folder.log)[WARM_UP:]
    return statistics.harmonic_mean(row["images_per_s"] for row in rows)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="ours-embedded")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
