"""Faces of single frames, decoded where they are measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...recon.mesh.record import Mesh
from .interface import Method, MethodOptions
from .registry import build_method


@dataclass(frozen=True)
class Decoder:
    """Makes a face of a frame's vector; small to send, every process builds its own method.

    Attributes:
        method: its name in the registry.
        options: what it is built from.
    """

    method: str
    options: MethodOptions

    def __call__(self, vector: NDArray[np.floating]) -> Mesh:
        """The face of a vector (D,), mm."""
        return _built(self.method, self.options).mesh(vector)


@lru_cache(maxsize=1)
def _built(name: str, options: MethodOptions) -> Method:
    return build_method(name, options)
