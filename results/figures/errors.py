"""Errors as figures: folders of a measured pair and of a fitted model, and sheets of whole runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...bench.registration.model_fit import ModelFit
from ...bench.scoring.diagnosis import COMPLETE
from ...bench.scoring.distance import CURVE_MM
from ...bench.scoring.evaluate import Evaluation
from ...errors import FacebenchError, visible
from ...recon.export.mesh_files import write_ply
from ...recon.files.text import write_json
from ...recon.files.writing import atomic_write
from ...recon.mesh import Mesh
from ...recon.morphable.model import MorphableModel
from ..report.heat_maps import SCALE_MM, error_colours, frontal, frontal_face, heat_picture
from ..report.pictures import frame_pictures
from ..run.items import item_names, of_scene, read_errors
from ..tables.scenes import legend_labels
from ..tables.series import ERROR, Series
from .drawing import AS_WRITTEN, FONT_POINTS, Cell, Picture, Row, Sheet, write_figure

FILES = ("score.json", "aligned.ply", "heat.png", "curve.png")

VIEWS = (("from the subject's left", -55.0), ("front", 0.0), ("from the subject's right", 55.0))
"""What each view shows and how far the face is turned about the vertical, degrees."""
PIXELS, DPI = 480, 150


FIT_FILES = ("fit.json", "fitted.ply", "residual.png")

INKS = ("#14607a", "#d3671c", "#7a4fa3", "#2f8a4c", "#b8336a", "#6f6a5f")
STROKES = ("-", "--", ":", "-.", (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
"""Of the runs: told apart by the stroke where a journal prints no colour."""
PANEL_HEIGHT, MOST_PANELS = 1.6, 3
"""Inches of a panel of curves, and how many stand beside each other."""
SQUARE = 400
"""Pixels of a cell's side."""


def write_pair(folder: Path, result: Evaluation) -> tuple[Path, ...]:
    """Write everything of a pair, each file replaced in one step; the paths in `FILES`' order.

    `score.json` holds what `--json` prints and the cumulative curve. `aligned.ply` is the
    prediction in the scan's space, mm, with the float property `error` (mm, NaN where nothing was
    measured) and the colours of the heat map.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / name for name in FILES)
    pair, label = result.pair, result.protocol.label
    curve = {"threshold_mm": CURVE_MM.round(2).tolist(), "share": pair.curve.tolist()}
    write_json(paths[0], {**result.to_dict(), "curve": curve})
    errors = pair.vertex_errors
    write_ply(coloured(pair.aligned, errors), paths[1], {"error": errors.astype(np.float32)})
    title = f"{Path(result.prediction).name} on {Path(result.scan).name}"
    score = pair.score
    part = f"complete {score.completeness:.0%}, " if math.isfinite(score.completeness) else ""
    number = f"{title}: mean {score.mean_mm:.3f} mm, {part}{label}"
    write_heat_map(paths[2], pair.aligned, errors, result.frontal_rotation(), number)
    write_curve(paths[3], pair.curve, f"{title}, {part}{label}")
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
    figure.suptitle(visible(title), fontsize=11, **AS_WRITTEN)
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
    panel.set_title(visible(title), fontsize=10, **AS_WRITTEN)
    _save(figure, path)


def coloured(mesh: Mesh, errors: NDArray[np.float64]) -> Mesh:
    """The mesh with the colour of each vertex's error, for files."""
    return replace(mesh, colours=error_colours(errors))


def write_curves(
    series: Sequence[Series], stem: Path, width: float = 7.0, dots: int = 300
) -> tuple[Path, Path]:
    """Write `STEM.png` and `STEM.pdf`: the share of points within each error, a panel per scene.

    Raises:
        FacebenchError: no run keeps the shares.
    """
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    curves = [run.curves for run in series]
    scenes = [s for s in series[0].record.scenes if any(s in found for found in curves)]
    if not scenes:
        raise FacebenchError("no run keeps cumulative errors", "measure one again")
    columns = min(len(scenes), MOST_PANELS)
    rows = -(-len(scenes) // columns)
    figure = Figure((width, PANEL_HEIGHT * rows), dpi=dots, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel, scene in zip(panels.flat, scenes, strict=False):
        for run, found, label in zip(series, curves, legend_labels(series), strict=True):
            if scene in found:
                place = run.number % len(INKS)
                style = {"color": INKS[place], "linestyle": STROKES[place], "linewidth": 1.2}
                panel.plot(CURVE_MM, 100 * found[scene], label=visible(label), **style)
        panel.set(xlim=(0, CURVE_MM[-1]), ylim=(0, 100), xlabel="error, mm")
        panel.set_title(visible(scene), **AS_WRITTEN)
        panel.grid(color="0.9", linewidth=0.5)
        panel.tick_params(length=2)
    for panel in panels.flat[len(scenes) :]:
        panel.set_axis_off()
    for first in panels[:, 0]:
        first.set_ylabel("points within it, %")
    # Of the panel with most runs: one may have measured fewer scenes than another.
    most = max((panel.get_lines() for panel in panels.flat), key=len)
    lines = _legend_lines(figure, most, [str(line.get_label()) for line in most])
    figure.set_figheight(PANEL_HEIGHT * rows + 0.2 + 0.15 * lines)
    for item in [text for panel in panels.flat for text in panel.findobj(Text)]:
        item.set_fontsize(FONT_POINTS)
    return write_figure(figure, stem)


def _legend_lines(figure: Any, handles: Sequence[Any], labels: Sequence[str]) -> int:
    """Put the legend below the panels, as many labels to a line as the print has room for."""
    style = {"loc": "outside lower center", "frameon": False, "handlelength": 3}
    for columns in range(min(4, len(labels)), 0, -1):
        legend = figure.legend(handles, labels, ncols=columns, prop={"size": FONT_POINTS}, **style)
        for text in legend.get_texts():
            text.set(**AS_WRITTEN)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    return -(-len(labels) // columns)


def error_sheet(series: Sequence[Series], scene: str, limit: int) -> Sheet:
    """Faces of some subjects in a scene, a column each, a row per run, coloured by their error.

    The subjects are spread over the first run's errors, the worst first. Above them stands a frame
    of each, where the dataset is at hand.

    Raises:
        FacebenchError: the first run has no such scene, or keeps no meshes of it.
    """
    first = series[0]
    if scene not in first.summary:
        known = ", ".join(first.summary)
        raise FacebenchError(f"{first.label} has no scene {scene!r}", f"it has: {known}")
    items = _spread(first, scene, limit)
    if not items:
        raise FacebenchError(f"{first.label} keeps no meshes of {scene}", "measure it again")
    frames = frame_pictures(first.record, first.run.ledger, list(items))
    rows = (
        [Row("frame", tuple(Cell(_square(frames.get(item))) for item in items))] if frames else []
    )
    rows += [
        Row(run.label, tuple(_cells(run, list(items))), opens=not i) for i, run in enumerate(series)
    ]
    colours = np.rint(255 * error_colours(np.arange(SCALE_MM + 1.0))).astype(int).tolist()
    names = [f"{mm:g} mm" for mm in np.arange(SCALE_MM)] + [f"≥ {SCALE_MM:g} mm"]
    legend = tuple(((r, g, b), name) for (r, g, b), name in zip(colours, names, strict=True))
    return Sheet((tuple(items.values()),), tuple(rows), legend=legend)


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


def _spread(run: Series, scene: str, limit: int) -> dict[str, str]:
    """Items with a mesh and their subjects' names, spread over the errors, the worst first."""
    rows = of_scene(run.subjects, scene)
    named = rows.assign(name=item_names(rows, scene))[rows[ERROR].notna()]
    ordered = named.sort_values([ERROR, "name"], ascending=[False, True])
    kept = [
        (str(item), str(name))
        for item, name in zip(ordered["item"], ordered["name"], strict=True)
        if run.run.mesh_path(str(item)).is_file()
    ]
    places = np.linspace(0, len(kept) - 1, min(limit, len(kept))).round().astype(int)
    return dict(kept[place] for place in places.tolist())


def _cells(run: Series, items: Sequence[str]) -> Iterator[Cell]:
    reference = frontal_face(run)
    rows = run.subjects
    errors = dict(zip(rows["item"], rows[ERROR].astype(float), strict=True))
    shares = {}
    if "completeness" in rows:
        shares = dict(zip(rows["item"], rows["completeness"].astype(float), strict=True))
    for item in items:
        path = run.run.mesh_path(item)
        if not path.is_file():
            yield Cell(text="not scored")
            continue
        mesh, distances = read_errors(path)
        face = heat_picture(frontal(mesh, reference), distances, SQUARE)
        share = shares.get(item, math.nan)
        # Of nearly all faces it says nothing, and a column of a print is narrow.
        part = f", complete {share:.0%}" if share < COMPLETE else ""
        yield Cell(_square(face), f"{errors[item]:.2f} mm{part}")


def _square(picture: Image.Image | None) -> Picture | None:
    """A picture as (S, S, 3) on white, as large as fits."""
    if picture is None:
        return None
    paper = Image.new("RGB", (SQUARE, SQUARE), "white")
    scale = SQUARE / max(picture.size)
    fitted = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    place = ((SQUARE - fitted.width) // 2, (SQUARE - fitted.height) // 2)
    paper.paste(fitted, place, fitted if fitted.mode == "RGBA" else None)
    return np.asarray(paper)
