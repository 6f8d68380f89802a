"""The folders of a measured pair and of a model fitted to a scan: numbers, meshes, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...bench.registration.model_fit import ModelFit
from ...bench.scoring.distance import CURVE_MM
from ...bench.scoring.evaluate import Evaluation
from ...recon.export.mesh_files import write_ply
from ...recon.mesh import Mesh
from ...recon.morphable.model import MorphableModel
from ..files import atomic_write, write_json
from ..report.heat_maps import SCALE_MM, error_colours, heat_picture

FILES = ("score.json", "aligned.ply", "heat.png", "curve.png")

VIEWS = (("from the subject's left", -55.0), ("front", 0.0), ("from the subject's right", 55.0))
"""What each view shows and how far the face is turned about the vertical, degrees."""
PIXELS, DPI = 480, 150


FIT_FILES = ("fit.json", "fitted.ply", "residual.png")


def write_pair(folder: Path, result: Evaluation) -> tuple[Path, ...]:
    """Write everything of a pair, each file replaced in one step; the paths in `FILES`' order.

    `score.json` holds what `--json` prints and the cumulative curve. `aligned.ply` is the
    prediction in the scan's space, mm, with the float property `error` (mm, NaN where nothing was
    measured) and the colours of the heat map.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / name for name in FILES)
    pair, label = result.pair, protocol_label(result)
    curve = {"threshold_mm": CURVE_MM.round(2).tolist(), "share": pair.curve.tolist()}
    write_json(paths[0], {**result.to_dict(), "curve": curve})
    errors = pair.vertex_errors
    write_ply(coloured(pair.aligned, errors), paths[1], {"error": errors.astype(np.float32)})
    title = f"{Path(result.prediction).name} on {Path(result.scan).name}"
    number = f"{title}: mean {pair.score.mean_mm:.3f} mm, {label}"
    write_heat_map(paths[2], pair.aligned, errors, result.frontal_rotation(), number)
    write_curve(paths[3], pair.curve, f"{title}, {label}")
    return paths


def write_fit(folder: Path, fit: ModelFit, model: MorphableModel, scan: str) -> tuple[Path, ...]:
    """Write everything of a fit, each file replaced in one step; the paths in `FIT_FILES`' order.

    `fitted.ply` has the model's topology, in the scan's space and mm, with the float property
    `error` (mm, NaN where the scan has no counterpart) and the colours of the picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / name for name in FIT_FILES)
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


def protocol_label(result: Evaluation) -> str:
    """`protocol micc (0123456789ab)`."""
    return f"protocol {result.protocol.name} ({result.protocol.digest[:12]})"


def residuals(errors: NDArray[np.float64]) -> dict[str, float]:
    """Mean, median, root mean square and 95th percentile of distances, mm."""
    return {
        "mean": float(errors.mean()),
        "median": float(np.median(errors)),
        "rms": float(np.sqrt((errors**2).mean())),
        "p95": float(np.percentile(errors, 95)),
    }


def write_heat_map(
    path: Path,
    aligned: Mesh,
    errors: NDArray[np.float64],
    rotation: NDArray[np.float64],
    title: str,
) -> None:
    """Write a PNG: the front and two sides of a face coloured by its error, with a colour bar.

    Args:
        path: the file; replaced in one step.
        aligned: mm, anywhere.
        errors: (V,) mm, NaN where nothing was measured, which is drawn grey.
        rotation: (3, 3) from the mesh's pose to the frontal one.
        title: stands above the faces.
    """
    from matplotlib.figure import Figure

    frontal = replace(aligned, vertices=(aligned.vertices - aligned.vertices.mean(0)) @ rotation.T)
    figure = Figure(figsize=(10.8, 4.6), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(VIEWS))
    for panel, (name, degrees) in zip(panels, VIEWS, strict=True):
        panel.imshow(_view(frontal, errors, degrees))
        panel.set_title(name, fontsize=9)
        panel.set_axis_off()
    _colour_bar(figure, panels)
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


def write_curve(path: Path, shares: NDArray[np.float64], title: str) -> None:
    """Write a PNG: the share of the points within each error.

    Args:
        path: the file; replaced in one step.
        shares: (101,) at the thresholds `distance.CURVE_MM`.
        title: stands above the curve.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), dpi=DPI, layout="constrained")
    panel = figure.subplots()
    panel.plot(CURVE_MM, 100 * shares, color="#b30000", linewidth=2)
    panel.set(xlim=(0, CURVE_MM[-1]), ylim=(0, 100))
    panel.set(xlabel="error, mm", ylabel="points within it, %")
    panel.grid(color="0.9")
    panel.set_title(title, fontsize=10)
    _save(figure, path)


def coloured(mesh: Mesh, errors: NDArray[np.float64]) -> Mesh:
    """The mesh with the colour of each vertex's error, for files."""
    return replace(mesh, colours=error_colours(errors))


def _view(frontal: Mesh, errors: NDArray[np.float64], degrees: float) -> Image.Image:
    angle = np.radians(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    return heat_picture(replace(frontal, vertices=frontal.vertices @ turn.T), errors, PIXELS)


def _colour_bar(figure: Any, panels: Sequence[Any]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    colours = ListedColormap(error_colours(np.linspace(0, SCALE_MM, 256)))
    scale = ScalarMappable(Normalize(0, SCALE_MM), colours)
    bar = figure.colorbar(scale, ax=panels, shrink=0.8, pad=0.01, extend="max")
    bar.set_label("error, mm (grey: not measured)", fontsize=9)


def _save(figure: Any, path: Path) -> None:
    with atomic_write(path) as draft:
        figure.savefig(draft, format="png", facecolor="white")


def _by_name(coefficients: NDArray[np.float64], names: tuple[str, ...]) -> Any:
    """Coefficients by name where the modes have names, else in their order."""
    values = coefficients.tolist()
    return dict(zip(names, values, strict=True)) if names else values
