"""How often and how fast a face is registered to a scan that lies anywhere.

Run: python tests/benchmarks/alignment.py [--faces N] [--model MODEL.npz]
Prints the share of poses found, the seconds of each stage, and how far the score of one scan
spreads over its poses.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.spatial.transform import Rotation

from facebench.bench.protocol.record import preset
from facebench.bench.registration.dense import align, align_coarsely
from facebench.bench.registration.global_search import register
from facebench.bench.registration.nose_tip import own_nose_tip
from facebench.bench.scoring.score import score_prediction
from facebench.bench.surface.region import Sphere
from facebench.bench.surface.similarity import Similarity
from facebench.bench.surface.surface import Surface
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model

Result = TypeVar("Result")
MICC = preset("micc")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=10)
    parser.add_argument("--model", type=Path, help="default: the embedded model, 17,000 vertices")
    arguments = parser.parse_args()
    model = load_model(arguments.model) if arguments.model else procedural_model(0, 17_000)
    rng = np.random.default_rng(0)
    runs = [measure(model, rng) for _ in range(arguments.faces)]
    report(model, np.array(runs))


def measure(model: MorphableModel, rng: np.random.Generator) -> tuple[float, ...]:
    """Angle off, seconds of each stage, and relative change of the score in a second pose."""
    shape = model.mesh(identity=rng.standard_normal(model.identity_basis.shape[2]))
    noisy = shape.vertices + 0.15 * rng.standard_normal(shape.vertices.shape)
    pose, other = random_pose(rng), random_pose(rng)
    face, scan = model.mesh(), Mesh(pose.apply(noisy), shape.triangles)
    prepare, (source, target) = timed(lambda: (Surface(face), Surface(scan)))
    globally, start = timed(lambda: register(source, target, own_nose_tip(face)))
    tip = pose.apply(shape.vertices[shape.landmarks[30]][None])[0]
    crop = Sphere(tip, MICC.crop.radius_mm)
    rules, settings = MICC.intersection, MICC.alignment
    coarsely, rough = timed(lambda: align_coarsely(source, target, start, rules, settings))
    densely, found = timed(lambda: align(source, target, rough, rules, crop, settings))
    off = found.transform.rotation @ pose.rotation.T
    angle = np.degrees(np.arccos(np.clip((np.trace(off) - 1) / 2, -1, 1)))
    whole, pair = timed(lambda: score_prediction(face, scan, MICC))
    again = score_prediction(face, replace(scan, vertices=other.apply(noisy)), MICC)
    spread = abs(again.score.mean_mm / pair.score.mean_mm - 1)
    times = (prepare, globally, coarsely, densely, whole)
    return (float(angle), *times, spread, float(pair.score.converged), pair.score.mean_mm)


def random_pose(rng: np.random.Generator) -> Similarity:
    """Any rotation, up to a metre away."""
    return Similarity(1.0, Rotation.random(rng=rng).as_matrix(), rng.uniform(-1000, 1000, 3))


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of processor time and the result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def report(model: MorphableModel, runs: np.ndarray) -> None:
    """Print medians and worst cases."""
    print(f"{model.name}: {model.n_vertices} vertices, {len(runs)} faces in random poses")
    print(f"found (within 10 degrees)      {(runs[:, 0] < 10).mean():.1%}")
    print(f"converged                      {runs[:, 7].mean():.1%}")
    stages = ("surfaces", "global", "coarse", "dense", "whole score")
    for stage, seconds in zip(stages, runs[:, 1:6].T, strict=True):
        print(f"{stage:12} processor seconds {np.median(seconds):6.2f}  most {seconds.max():6.2f}")
    print(
        f"score in another pose, change  {np.median(runs[:, 6]):.1e}  most {runs[:, 6].max():.1e}"
    )
    print(f"mean face to person            {runs[:, 8].mean():.3f} mm")


if __name__ == "__main__":
    main()
