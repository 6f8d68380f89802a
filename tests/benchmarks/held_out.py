"""What weights find in faces that nothing was chosen by: `python tests/benchmarks/held_out.py`.

The measures are those of `validation.csv`; shards of `facebench synth faces` with the true
coefficients are needed. The mean face stands in the first line.

    python tests/benchmarks/held_out.py fresh --model ict.npz a/weights.pt b/weights.pt
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch

from facebench.recon.morphable.load import load_model
from facebench.recon.regressors.checkpoint import face_renderer, load_regressor
from facebench.recon.training.methods.trainer import validate_regressor
from facebench.recon.training.shards import FaceShards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--model", default="embedded")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(given.model)
    shards = FaceShards(given.shards)
    for number, path in enumerate(given.weights):
        loaded = load_regressor(path, model)
        trained = SimpleNamespace(
            regressor=loaded.regressor,
            face=face_renderer(loaded.recipe, model),
            device=torch.device("cpu"),
            step=loaded.steps,
        )
        row = validate_regressor(shards, model, cast(Any, trained), faces=100_000)
        mean = row["mean_face_mm"]
        if number == 0:
            print(f"mean face {mean:.3f} mm; several photographs averaged, then one:")
        modes = " ".join(f"{row[f'mode_{mode:03d}']:.2f}" for mode in range(1, 9))
        print(
            f"{path}: {row['shape_mm']:.3f} mm ({row['shape_mm'] / mean - 1:+.1%}), "
            f"{row['shape_one_mm']:.3f} mm, landmarks {row['landmark_px']:.2f} px, correlation "
            f"{row['subject_correlation']:.3f}, first modes {modes}",
            flush=True,
        )


if __name__ == "__main__":
    main()
