"""Figures of measured runs for a paper: cumulative errors by scene, and faces coloured by error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ...bench.scoring.distance import CURVE_MM
from ...errors import FacebenchError
from ..report.heat_maps import SCALE_MM, error_colours, frontal, frontal_face, heat_picture
from ..report.pictures import frame_pictures
from ..report.series import Series
from ..run.items import item_names, of_scene
from ..run.point_errors import read_errors
from ..tables.subject_errors import ERROR, cumulative_curves
from .drawing import FONT_POINTS, Cell, Picture, Row, Sheet, write_figure

INKS = ("#14607a", "#d3671c", "#7a4fa3", "#2f8a4c", "#b8336a", "#6f6a5f")
STROKES = ("-", "--", ":", "-.", (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
"""Of the runs: told apart by the stroke where a journal prints no colour."""
PANEL_HEIGHT, MOST_PANELS = 1.6, 3
"""Inches of a panel of curves, and how many stand beside each other."""
SQUARE = 400
"""Pixels of a cell's side."""


def write_curves(
    series: Sequence[Series], stem: Path, width: float = 7.0, dots: int = 300
) -> tuple[Path, Path]:
    """Write `STEM.png` and `STEM.pdf`: the share of points within each error, a panel a scene.

    Raises:
        FacebenchError: no run keeps the shares.
    """
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    curves = [cumulative_curves(run.subjects) for run in series]
    scenes = [s for s in series[0].record.scenes if any(s in found for found in curves)]
    if not scenes:
        raise FacebenchError("no run keeps cumulative errors", "measure one again")
    columns = min(len(scenes), MOST_PANELS)
    rows = -(-len(scenes) // columns)
    figure = Figure((width, PANEL_HEIGHT * rows + 0.35), dpi=dots, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel, scene in zip(panels.flat, scenes, strict=False):
        for run, found in zip(series, curves, strict=True):
            if scene in found:
                place = run.number % len(INKS)
                style = {"color": INKS[place], "linestyle": STROKES[place], "linewidth": 1.2}
                panel.plot(CURVE_MM, 100 * found[scene], label=run.label, **style)
        panel.set(xlim=(0, CURVE_MM[-1]), ylim=(0, 100), title=scene, xlabel="error, mm")
        panel.grid(color="0.9", linewidth=0.5)
        panel.tick_params(length=2)
    for panel in panels.flat[len(scenes) :]:
        panel.set_axis_off()
    for first in panels[:, 0]:
        first.set_ylabel("points within it, %")
    # Of the panel with most runs: one may have measured fewer scenes than another.
    handles, labels = max(
        (p.get_legend_handles_labels() for p in panels.flat), key=lambda h: len(h[1])
    )
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False, handlelength=3
    )
    for item in [text for panel in panels.flat for text in panel.findobj(Text)]:
        item.set_fontsize(FONT_POINTS)
    for item in figure.legends[0].get_texts():
        item.set_fontsize(FONT_POINTS)
    return write_figure(figure, stem)


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
    errors = dict(zip(run.subjects["item"], run.subjects[ERROR], strict=True))
    for item in items:
        path = run.run.mesh_path(item)
        if not path.is_file():
            yield Cell(text="not scored")
            continue
        mesh, distances = read_errors(path)
        face = heat_picture(frontal(mesh, reference), distances, SQUARE)
        yield Cell(_square(face), f"{errors[item]:.2f} mm")


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
