"""Lengths of a face between its landmarks, the quickest check of a model's unit and shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .model import MorphableModel

MEASURES = {
    "face width": (0, 16),
    "brows to chin": (27, 8),
    "outer eye corners": (36, 45),
    "inner eye corners": (39, 42),
    "nose length": (27, 33),
    "nose width": (31, 35),
    "mouth width": (48, 54),
}
"""Name and the two iBUG landmarks, counted from 0."""


def face_measures(model: MorphableModel) -> dict[str, float]:
    """Distances in mm on the mean face; those of missing landmarks are left out."""
    ends = {name: model.landmarks[list(pair)] for name, pair in MEASURES.items()}
    return {
        name: float(np.linalg.norm(np.subtract(*model.mean_shape[pair].astype(np.float64))))
        for name, pair in ends.items()
        if (pair >= 0).all()
    }


def mode_strengths(basis: NDArray[Any]) -> NDArray[np.float64]:
    """Largest displacement (K,) of any vertex by one standard deviation of each mode."""
    lengths = np.linalg.norm(basis.astype(np.float64), axis=1)
    strongest: NDArray[np.float64] = lengths.max(axis=0, initial=0.0)
    return strongest


def mode_deviations(basis: NDArray[Any]) -> NDArray[np.float64]:
    """Root mean square displacement (K,) over the vertices by one standard deviation."""
    squares = np.einsum("vck,vck->k", basis, basis, dtype=np.float64)
    deviations: NDArray[np.float64] = np.sqrt(squares / max(len(basis), 1))
    return deviations


def mode_counts(model: MorphableModel) -> dict[str, int]:
    """Number of modes of each kind."""
    return {
        "identity": model.identity_basis.shape[2],
        "expression": model.expression_basis.shape[2],
        "albedo": model.albedo_basis.shape[2],
    }
