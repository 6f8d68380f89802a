"""Everything worth knowing about a face model, as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .measures import face_measures, mode_counts, mode_deviations, mode_strengths
from .model import MorphableModel


def model_facts(model: MorphableModel) -> dict[str, Any]:
    """Name, licence, digest, counts, ranges, lengths, regions, and what the modes move in mm."""
    low, high = model.mean_shape.min(axis=0).tolist(), model.mean_shape.max(axis=0).tolist()
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
        "together": float(np.sqrt((rms**2).sum())),
    }
