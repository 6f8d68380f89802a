"""The embedded face is the same everywhere: its digest says so."""

from __future__ import annotations

import os
import subprocess
import sys

from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import embedded_model, procedural_model

_PRINT = (
    "from facebench.recon.morphable.procedural import procedural_model as build;"
    "print(build().digest)"
)


def test_is_the_same_on_other_arithmetic(model: MorphableModel) -> None:
    """Without vector instructions, exp and cos differ in their last bits; the model may not."""
    slow = {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "Nehalem",
        "OMP_NUM_THREADS": "1",
    }
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PRINT],
        env=os.environ | slow,
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == model.digest == procedural_model().digest


def test_follows_the_seed() -> None:
    digests = {procedural_model(seed, 2000).digest for seed in (0, 1, 2)}
    assert len(digests) == 3


def test_embedded_model_is_named_and_kept(model: MorphableModel) -> None:
    assert (model.name, model.licence) == ("embedded", "MIT")
    assert embedded_model() is model
