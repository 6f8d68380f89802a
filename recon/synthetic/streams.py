"""Random streams by name, so that no sample depends on another or on the order of the work."""

from __future__ import annotations

import hashlib

import numpy as np


def random_stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator of one named thing, independent of every other name under the same seed."""
    text = "/".join(str(name) for name in (seed, *names))
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))
