"""What a step of each method's training costs, and what pooling does for labels.

    OMP_NUM_THREADS=1 python tests/benchmarks/rivals.py steps FACES MODEL
    OMP_NUM_THREADS=1 python tests/benchmarks/rivals.py labels FACES MODEL --limit 300

FACES are shards of 'facebench synth faces', MODEL the face model they were drawn from.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from facebench.recon.face.coefficients import CoefficientSizes
from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.files import load_any_recipe
from facebench.recon.training.methods.labels import (
    PIECE,
    Labelling,
    fit_piece,
    label_minutes,
    pool_by_subject,
    read_fits,
)
from facebench.recon.training.methods.trainer import shape_error
from facebench.recon.training.run import TrainingJob, make_loop
from facebench.recon.training.shards import FaceShards
from facebench.recon.training.workers import Worker

RECIPES = ("mofa-ict", "tran-ict", "genova-ict", "richardson-ict")


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("steps", "labels"))
    parser.add_argument("faces", type=Path)
    parser.add_argument("model")
    parser.add_argument("--limit", type=int, default=PIECE)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        if given.what == "steps":
            for name in RECIPES:
                seconds = step_seconds(name, given.faces, given.model, out / name)
                print(f"{name:16s} {seconds:.2f} processor seconds a step")
        else:
            label_table(Labelling.claim(given.faces, given.model, out / "labels", given.limit))


def step_seconds(name: str, faces: Path, model: str, out: Path, steps: int = 5) -> float:
    """Median processor seconds of a step in which every level counts, its batch made before."""
    settings = ["loss.pixel_from=0"] if name.startswith("mofa") else []
    job = TrainingJob(faces, load_any_recipe(name, settings), model, out, limit=PIECE)
    if name.startswith("tran"):
        fit_piece(Labelling.claim(faces, model, job.folder.labels, PIECE), 0)
    loop = make_loop(job, Worker(), lambda row: None)
    taken = []
    for step in range(steps):
        batch = loop.source.batch(step)
        start = time.process_time()
        loop.trainer.training_step(batch)
        taken.append(time.process_time() - start)
    return median(taken)


def label_table(labelling: Labelling) -> None:
    """Distance of fitted and pooled faces from the true ones, after alignment, mm."""
    start = time.process_time()
    for first in labelling.missing():
        fit_piece(labelling, first)
    spent = time.process_time() - start
    model = load_model(labelling.model)
    shards = FaceShards(labelling.data, labelling.rows)
    true = shards.all_coefficients()
    assert true is not None, "the faces have no coefficients"
    identity = slice(0, CoefficientSizes.of(model).identity)
    fits, weights = read_fits(labelling)
    fits, true = fits[:, identity], true[:, identity]
    even = (weights > 0).astype(float)
    for name, found in (
        ("mean face", np.zeros_like(true)),
        ("single fits", fits),
        ("pooled, alike", pool_by_subject(fits, even, shards.subjects)),
        ("pooled, weighted", pool_by_subject(fits, weights, shards.subjects)),
    ):
        print(f"{name:18s} {shape_error(model, found, true):.2f} mm")
    print(
        f"{labelling.rows} photographs, {int(even.sum())} fitted, {spent / labelling.rows:.3f} "
        f"processor seconds each ({label_minutes(labelling.folder):.1f} minutes in all)"
    )


if __name__ == "__main__":
    main()
