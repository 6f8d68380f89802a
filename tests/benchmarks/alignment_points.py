"""What it moves to align a share of the points instead of all of them.

Run: python tests/benchmarks/alignment_points.py --model MODEL.npz [--people 8] [--seed 7]
Scans of random people of the model, the prediction is its mean, both start at the same landmarks.
Prints, for each number of points, the root mean square of what it moves the score by against all
points aligned to 0.002 mm, and the largest, mm.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from facebench.bench.landmarks import Landmarks
from facebench.bench.protocol.record import Protocol, preset
from facebench.bench.scoring.score import score_prediction
from facebench.bench.synthetic.scan import random_placement, scan_surface
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel

POINTS = (2000, 3000, 4000, 6000)
COLUMNS = ("mean_mm", "median_mm", "rmse_mm", "scale")
MICC = preset("micc")
ALL = MICC.with_setting("alignment.points", "inf").with_setting("alignment.tolerance_mm", "0.002")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    moved = np.array(list(changes(model, arguments.people, arguments.seed)))
    print(f"{'points':>8}" + "".join(f"{column:>18}" for column in COLUMNS))
    typical, most = np.sqrt((moved**2).mean(0)), np.abs(moved).max(0)
    for points, row, largest in zip(POINTS, typical, most, strict=True):
        cells = (f"{value:.4f} ({top:.4f})" for value, top in zip(row, largest, strict=True))
        print(f"{points:8}" + "".join(f"{cell:>18}" for cell in cells))


def changes(model: MorphableModel, people: int, seed: int) -> Iterator[np.ndarray]:
    """What each number of points moves each column by (P, C), person by person."""
    for number in range(people):
        scan, landmarks = scan_someone(model, np.random.default_rng((seed, number)))
        exact = columns(model.mesh(), scan, landmarks, ALL)
        few = [MICC.with_setting("alignment.points", str(points)) for points in POINTS]
        yield np.array([columns(model.mesh(), scan, landmarks, how) - exact for how in few])


def scan_someone(model: MorphableModel, rng: np.random.Generator) -> tuple[Mesh, Landmarks]:
    """A scan of a random person in any pose, and its landmarks."""
    person = model.mesh(identity=rng.standard_normal(model.identity_basis.shape[2]))
    landmarks = person.vertices[person.landmarks]
    scanned = scan_surface(rng, person.vertices, person.triangles, landmarks)
    pitched, anywhere = random_placement(rng), Rotation.random(rng=rng).as_matrix()
    place = pitched.apply(scanned.vertices) @ anywhere.T
    return Mesh(place, scanned.triangles), Landmarks(pitched.apply(landmarks) @ anywhere.T)


def columns(face: Mesh, scan: Mesh, landmarks: Landmarks, protocol: Protocol) -> np.ndarray:
    """The score's columns (C,)."""
    score = score_prediction(face, scan, protocol, scan_landmarks=landmarks).score
    return np.array([getattr(score, column) for column in COLUMNS])


if __name__ == "__main__":
    main()
