"""What fitting costs, together and one by one: `python tests/benchmarks/fitting.py`.

Faces of 224 x 224 of a procedural model of about 35,000 vertices whose bases have the paper's
sizes, drawn by the outline renderer over grey, with landmarks 2 px off. Processor time of this
process on one thread, which is the figure to trust on a busy machine; one by one is measured on a
few of the same faces. The two ways take turns, so that they meet the same machine.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from drawn_faces import Drawn, draw, some_faces

from facebench.recon.fitting.fitter import Fit, Fitter
from facebench.recon.fitting.solver import FittingSettings
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model

SIZE = 224
MODES = (100, 80, 100)


def many_modes(model: MorphableModel, seed: int) -> MorphableModel:
    """The model with bases of the paper's sizes: its own modes mixed, further ones ever weaker."""
    generator = np.random.default_rng(seed)
    names = ("identity_basis", "expression_basis", "albedo_basis")
    bases = {}
    for name, wanted in zip(names, MODES, strict=True):
        own = getattr(model, name)
        waves = _waves(model.mean_shape, generator, wanted - own.shape[2])
        strength = 0.3 * own.std() / (1.0 + np.arange(waves.shape[2]) / 20)
        bases[name] = np.concatenate([own, waves * strength], axis=2).astype(np.float32)
    return replace(model, **bases, expression_names=())


def _waves(shape: np.ndarray, generator: np.random.Generator, count: int) -> np.ndarray:
    """Smooth random fields (V, 3, count) of deviation one over a surface (V, 3) in mm."""
    direction = generator.normal(size=(3, count)) / 25.0
    phase = generator.uniform(0, 2 * np.pi, (3, count))
    return np.sqrt(2.0) * np.sin((shape @ direction)[:, None] + phase)


def main() -> None:
    """Print time and error of the batch, and of its first faces one by one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=50)
    parser.add_argument("--alone", type=int, default=5, help="fitted one by one")
    parser.add_argument("--vertices", type=int, default=35_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = many_modes(procedural_model(0, options.vertices), seed=0)
    start = time.process_time()
    fitter = Fitter(model, SIZE)
    made = time.process_time() - start
    drawn = draw(fitter.face, some_faces(model, options.faces))
    noise = torch.randn(drawn.landmarks.shape, generator=torch.Generator().manual_seed(1))
    drawn = replace(drawn, landmarks=drawn.landmarks + 2.0 * noise)
    n_vertices, n_points = len(model.mean_shape), len(fitter.points)
    print(f"{n_vertices:,} vertices, {sum(MODES)} modes, {n_points} points; made in {made:.1f} s")
    one_by_one = sum(timed(fitter, drawn, slice(n, n + 1))[0] for n in range(options.alone))
    together, fit = timed(fitter, drawn, slice(None))
    each, alone = together / options.faces, one_by_one / options.alone
    landmarks = replace(FittingSettings(), pixel_blurs=())
    seconds, before = timed(Fitter(model, SIZE, landmarks), drawn, slice(None))
    print(f"landmarks only, {options.faces} faces: {seconds:.1f} s; {errors(before, drawn)}")
    print(f"pixels as well, {options.faces} faces: {together:.1f} s; {errors(fit, drawn)}")
    print(f"{1e3 * each:.0f} ms a face together, {1e3 * alone:.0f} ms alone: {alone / each:.1f} x")


def timed(fitter: Fitter, drawn: Drawn, faces: slice) -> tuple[float, Fit]:
    """Processor seconds of a fit."""
    start = time.process_time()
    fit = fitter.fit(drawn.images[faces], drawn.landmarks[..., faces])
    return time.process_time() - start, fit


def errors(fit: Fit, drawn: Drawn) -> str:
    """How well faces fit, and how many had come to rest."""
    return (
        f"landmarks {fit.landmark_residual.mean():.2f} px, pixels {fit.pixel_residual.mean():.4f}, "
        f"converged {int(fit.converged.sum())} of {len(drawn.images)}"
    )


if __name__ == "__main__":
    main()
