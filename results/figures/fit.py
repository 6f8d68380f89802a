"""The folder of a model fitted to a scan: coefficients, numbers, mesh and residual picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...bench.registration.model_fit import ModelFit
from ...recon.export.mesh_files import write_ply
from ...recon.morphable.model import MorphableModel
from ..files import write_json
from .pair import coloured, write_heat_map

FILES = ("fit.json", "fitted.ply", "residual.png")


def write_fit(folder: Path, fit: ModelFit, model: MorphableModel, scan: str) -> tuple[Path, ...]:
    """Write everything of a fit, each file replaced in one step; the paths in `FILES`' order.

    `fitted.ply` has the model's topology, in the scan's space and mm, with the float property
    `error` (mm, NaN where the scan has no counterpart) and the colours of the picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / name for name in FILES)
    write_json(paths[0], fit_values(fit, model, scan))
    mesh = coloured(fit.mesh, fit.errors)
    write_ply(mesh, paths[1], {"error": fit.errors.astype(np.float32)})
    title = f"{model.name} on {Path(scan).name}: scan to face {fit.scan_errors.mean():.3f} mm"
    # The model faces +z: undoing its turn shows the face from the front.
    write_heat_map(paths[2], fit.mesh, fit.errors, fit.similarity.rotation.T, title)
    return paths


def fit_values(fit: ModelFit, model: MorphableModel, scan: str) -> dict[str, Any]:
    """Everything about a fit as plain values; numbers that are not known are NaN."""
    return {
        "model": {"name": model.name, "digest": model.digest},
        "scan": scan,
        "residual_mm": residuals(fit.scan_errors),
        "overlap": fit.overlap,
        "landmark_rms_mm": fit.landmark_mm,
        "converged": fit.converged,
        "steps": fit.steps,
        "started_from": fit.started_from,
        "similarity": {
            "scale": fit.similarity.scale,
            "rotation": fit.similarity.rotation.tolist(),
            "translation_mm": fit.similarity.translation.tolist(),
        },
        "identity": _by_name(fit.identity, model.identity_names),
        "expression": _by_name(fit.expression, model.expression_names),
    }


def residuals(errors: NDArray[np.float64]) -> dict[str, float]:
    """Mean, median, root mean square and 95th percentile of distances, mm."""
    return {
        "mean": float(errors.mean()),
        "median": float(np.median(errors)),
        "rms": float(np.sqrt((errors**2).mean())),
        "p95": float(np.percentile(errors, 95)),
    }


def _by_name(coefficients: NDArray[np.float64], names: tuple[str, ...]) -> Any:
    """Coefficients by name where the modes have names, else in their order."""
    values = coefficients.tolist()
    return dict(zip(names, values, strict=True)) if names else values
