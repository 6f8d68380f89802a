"""Lengths, mode strengths and counts of a face model, and everything about it as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .model import Float32Array, MorphableModel

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

ModeCounts = Mapping[str, int]
"""Modes wanted of `identity`, `expression`, `albedo`; an absent kind keeps what the model has.

The paper's are 100, 80 and 100.
"""


def face_measures(model: MorphableModel) -> dict[str, float]:
    """Distances in mm on the mean face; those of missing landmarks are left out."""
    # A missing landmark is -1, which would silently measure to the last vertex.
    ends = {name: model.landmarks[list(pair)] for name, pair in MEASURES.items()}
    return {
        name: float(np.linalg.norm(np.subtract(*model.mean_shape[pair].astype(np.float64))))
        for name, pair in ends.items()
        if (pair >= 0).all()
    }


def mode_strengths(basis: NDArray[Any]) -> NDArray[np.float64]:
    """Largest displacement (K,) of any vertex by one standard deviation of each mode."""
    # The largest vertex tells a mode in the wrong unit even when most of the head is still.
    lengths = np.linalg.norm(basis.astype(np.float64), axis=1)
    strongest: NDArray[np.float64] = lengths.max(axis=0, initial=0.0)
    return strongest


def mode_deviations(basis: NDArray[Any]) -> NDArray[np.float64]:
    """Root mean square displacement (K,) over the vertices by one standard deviation."""
    # Summed in double precision without a double copy of a basis of hundreds of MB.
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


def with_mode_counts(model: MorphableModel, counts: ModeCounts) -> MorphableModel:
    """The model with the first modes of each kind; where it has fewer, columns of zeros follow."""
    changes: dict[str, Any] = {}
    for kind, count in counts.items():
        changes[f"{kind}_basis"] = _resize(getattr(model, f"{kind}_basis"), count)
        changes[f"{kind}_names"] = _rename(getattr(model, f"{kind}_names"), count)
    return replace(model, **changes)


def padding(model: MorphableModel, counts: ModeCounts) -> dict[str, int]:
    """Columns of zeros that the counts add, by kind; kinds without any are left out."""
    there = mode_counts(model)
    return {kind: count - there[kind] for kind, count in counts.items() if count > there[kind]}


def _resize(basis: Float32Array, count: int) -> Float32Array:
    # Zeros rather than fewer columns: recipes and checkpoints have a fixed vector length.
    added = max(0, count - basis.shape[2])
    padded: Float32Array = np.pad(basis[:, :, :count], ((0, 0), (0, 0), (0, added)))
    return padded


def _rename(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    if not names:
        return ()
    return names[:count] + tuple(f"zero_{i}" for i in range(len(names), count))


def model_facts(model: MorphableModel) -> dict[str, Any]:
    """Name, licence, digest, counts, ranges, lengths, regions, and what the modes move in mm."""
    low, high = model.mean_shape.min(axis=0).tolist(), model.mean_shape.max(axis=0).tolist()
    # By name and not by number, so that two models can be compared line by line.
    regions = {name: len(model.vertices_of(name)) for name in model.region_names}
    modes = {f"{kind}_modes": count for kind, count in mode_counts(model).items()}
    return {
        "name": model.name,
        "licence": model.licence,
        "digest": model.digest,
        "unit": "mm",
        "counts": {"vertices": model.n_vertices, "triangles": len(model.triangles), **modes},
        "landmarks": int((model.landmarks >= 0).sum()),
        "extent_mm": {axis: [low[i], high[i]] for i, axis in enumerate("xyz")},
        "lengths_mm": face_measures(model),
        "modes_mm": {
            "identity": _mode_facts(model.identity_basis),
            "expression": _mode_facts(model.expression_basis),
        },
        "mean_albedo": [float(model.mean_albedo.min()), float(model.mean_albedo.max())],
        "region_vertices": {name: count for name, count in regions.items() if count},
    }


def _mode_facts(basis: NDArray[Any]) -> dict[str, Any]:
    """Displacement by one standard deviation: of each mode, and of all modes drawn together."""
    rms = mode_deviations(basis)
    return {
        "rms": rms.round(4).tolist(),
        "largest": mode_strengths(basis).round(4).tolist(),
        # Independent modes add up in squares.
        "together": float(np.sqrt((rms**2).sum())),
    }
