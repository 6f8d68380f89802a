"""Pairs of meshes with what two other projects' evaluators measured on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facebench.bench.landmarks import Landmarks
from facebench.recon.mesh import Mesh

PAIRS = ("pair_0", "pair_1", "pair_2", "pair_6", "pair_7", "pair_8")


@dataclass(frozen=True)
class Oracle:
    """One pair; the prediction is in a unit and pose of its own.

    Attributes:
        prediction, scan: the meshes.
        prediction_landmarks, scan_landmarks: 68 of each.
        expected: by evaluator (`fg2018`, `now`): `n`, `mean`, `median`, `rmse`, `std` in mm.
    """

    prediction: Mesh
    scan: Mesh
    prediction_landmarks: Landmarks
    scan_landmarks: Landmarks
    expected: dict[str, dict[str, float]]


def read_oracle(folder: Path, name: str) -> Oracle:
    """A pair of `folder`, the `evaluation` folder of the oracles."""
    with np.load(folder / f"{name}.npz") as arrays:
        data = {key: arrays[key] for key in arrays.files}
    results = json.loads((folder / "results.json").read_text("utf-8"))
    return Oracle(
        Mesh(data["prediction_vertices"].astype(np.float64), data["prediction_triangles"]),
        Mesh(data["scan_vertices"].astype(np.float64), data["scan_triangles"]),
        Landmarks(data["prediction_landmarks"]),
        Landmarks(data["scan_landmarks"]),
        results[name],
    )
