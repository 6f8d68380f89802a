"""The report's charts as inline SVG that follows the page's colours and needs no script.

A run is told by its letter and its dashes as well as by its colour, so that the charts can be read
in print and by everybody.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...bench.scoring.distance import CURVE_MM
from ..tables.scenes import legend_labels
from ..tables.series import PartErrors, Series, scene_column
from ..tables.table import interval_text
from ..tables.writers import Markup, join, tag
from .pictures import RegionErrors

NARROW, WIDE = 380.0, 800.0
"""Of the drawing's units: of a chart beside others, and of one that has the page to itself."""

LEFT, MARGIN = 34.0, 12.0
CURVE_TOP, CURVE_BOTTOM = 12.0, 208.0
STRIP_HEIGHT = 64.0
BAR_HEIGHT, GROUP_GAP, BAR_LEFT = 12.0, 12.0, 70.0
LONGEST_LABEL = 44

MOST_DOTS = 400
"""Subjects of a strip up to which each has a dot; a smear and slow above, so a shape is drawn."""

BINS, HALF_WIDTH = 60, 15.0
"""Of that shape: its steps along the strip, and its half width where most subjects are."""


@dataclass(frozen=True)
class Axis:
    """A linear map from values to the picture.

    Attributes:
        low, high: values at the ends.
        start, end: where they lie.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """At most nine round values between the ends."""
        step = nice_step((self.high - self.low) / 8)
        # Rounding must not take out a tick that lies on an end.
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def legend(series: Sequence[Series]) -> Markup:
    """Which letter, dash and colour is which run."""
    items = (
        tag("li", _sample(run), tag("b", run.letter), " ", label)
        for run, label in zip(series, legend_labels(series), strict=True)
    )
    return tag("ul", *items, class_="runs")


def _sample(run: Series) -> Markup:
    line = _line(1, 5, 33, 5, class_="curve", style=_stroke(run))
    return tag("svg", line, class_="sample", viewBox="0 0 34 10", aria_hidden="true")


def cumulative_charts(series: Sequence[Series]) -> Markup:
    """Share of points within each distance; nothing when the runs keep no curves."""
    curves = {run.number: run.curves for run in series}

    def draw(scene: str, width: float) -> Markup:
        shown = [(run, curves[run.number][scene]) for run in series if scene in curves[run.number]]
        return cumulative_chart(scene, shown, width) if shown else Markup()

    return _by_scene(series, draw)


def subjects_charts(series: Sequence[Series]) -> Markup:
    """One dot per subject; every scene on the same axis."""
    columns = [scene_column(run.subjects, scene) for run in series for scene in run.summary]
    errors = [error for column in columns for error in column.values()]
    if not errors:
        return Markup()
    # One axis for all scenes: else equal distances would look unlike.
    limits = range_around(errors)

    def draw(scene: str, width: float) -> Markup:
        return subjects_chart(scene, [run for run in series if scene in run.summary], limits, width)

    return _by_scene(series, draw)


def regions_charts(series: Sequence[Series], errors: RegionErrors) -> Markup:
    """Mean error by part of the face; nothing when the runs have no parts."""
    found = [part for parts in errors.values() for part in parts.values()]
    if not found:
        return Markup()
    # From 0: the length of a bar is read as the error.
    limit = range_around([0.0, *(max(filter(math.isfinite, part)) for part in found)])[1]

    def draw(scene: str, width: float) -> Markup:
        shown = [(run, errors.get((run.number, scene), {})) for run in series]
        shown = [item for item in shown if item[1]]
        return regions_chart(scene, shown, limit, width) if shown else Markup()

    return _by_scene(series, draw)


def _by_scene(series: Sequence[Series], draw: Callable[[str, float], Markup]) -> Markup:
    scenes = list(dict.fromkeys(scene for run in series for scene in run.summary))
    one = len(scenes) == 1
    drawn = [(scene, draw(scene, WIDE if one else NARROW)) for scene in scenes]
    charts = [tag("figure", tag("h3", s), chart) for s, chart in drawn if chart]
    return (
        tag("div", join(*charts), class_="charts one" if one else "charts") if charts else Markup()
    )


def nice_step(step: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def range_around(values: Sequence[float]) -> tuple[float, float]:
    """Round ends that hold all values with a little air; never below 0."""
    low, high = min(values), max(values)
    # Of a single value too, or the axis would have no length.
    air = 0.08 * (high - low) or 0.1
    step = nice_step((high - low + 2 * air) / 5)
    return max(0.0, math.floor((low - air) / step) * step), math.ceil((high + air) / step) * step


def cumulative_chart(
    scene: str, curves: Sequence[tuple[Series, NDArray[np.float64]]], width: float = NARROW
) -> Markup:
    """Share of points within each distance of `CURVE_MM`, one curve (N,) a run."""
    x = Axis(0, float(CURVE_MM[-1]), LEFT, width - MARGIN)
    y = Axis(0, 1, CURVE_BOTTOM, CURVE_TOP)
    shares = [_horizontal(x, y.at(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)]
    # The first run is drawn last, above the others.
    drawn = (_curve(*item, x, y, len(curves) > 1) for item in reversed(curves))
    axis = _bottom_axis(x, CURVE_TOP, CURVE_BOTTOM, "distance, mm")
    one_mm = abs(CURVE_MM - 1.0).argmin()
    spoken = "; ".join(f"{run.label} {curve[one_mm]:.0%}" for run, curve in curves)
    name = f"Cumulative error, {scene}. Share of points within 1 mm: {spoken}"
    return _svg(name, width, CURVE_BOTTOM + 34, *shares, axis, *drawn)


def _curve(run: Series, curve: NDArray[np.float64], x: Axis, y: Axis, lettered: bool) -> Markup:
    points = zip(CURVE_MM.tolist(), curve.tolist(), strict=True)
    path = " ".join(f"{x.at(t):.1f},{y.at(share):.1f}" for t, share in points)
    line = tag("polyline", tag("title", run.label), points=path, class_="curve", style=_stroke(run))
    if not lettered:
        return line
    # Letters stand at unlike heights of curves that may lie on each other.
    height = 0.35 + 0.12 * (run.number % 5)
    at = min(int((curve < height).sum()), len(curve) - 1)
    place = (x.at(float(CURVE_MM[at])), y.at(float(curve[at])) + 4)
    return join(line, _label(*place, run.letter, "middle", class_="letter"))


def subjects_chart(
    scene: str, series: Sequence[Series], limits: tuple[float, float], width: float = NARROW
) -> Markup:
    """One dot per subject, one strip per run; lines join a subject's dots; tick and band: the mean.

    A crowd of subjects is drawn as one shape.
    """
    x = Axis(*limits, 12.0, width - MARGIN)
    bottom = STRIP_HEIGHT * len(series)
    middles = [STRIP_HEIGHT * (row + 0.62) for row in range(len(series))]
    errors = [scene_column(run.subjects, scene) for run in series]
    axis = _bottom_axis(x, 4.0, bottom, "error, mm")
    # Behind the dots: subjects that all methods find hard show as parallel lines.
    joins = (
        _join_subjects(upper, lower, x, top, below)
        for upper, lower, top, below in zip(errors, errors[1:], middles, middles[1:], strict=False)
    )
    rows = (_strip(*item, scene, x) for item in zip(series, errors, middles, strict=True))
    spoken = "; ".join(f"{run.label} {run.summary[scene].mean_mm:.2f} mm" for run in series)
    name = f"Error of every subject, {scene}. Means: {spoken}"
    return _svg(name, width, bottom + 34, axis, *joins, *rows)


def _strip(run: Series, errors: Mapping[str, float], y: float, scene: str, x: Axis) -> Markup:
    cell = run.summary[scene]
    label = _label(0, y - 18, shorten(f"{run.letter} {run.label}"), class_="name")
    if not errors:
        return join(label, _label(0, y + 4, "no score"))
    crowd = is_crowd(errors)
    # Of the dots, and no band where the protocol pools points: its mean and interval are others.
    mean = sum(errors.values()) / len(errors)
    low, high = (
        cell.ci95_mm if math.isclose(mean, cell.mean_mm, rel_tol=1e-6) else (math.nan, math.nan)
    )
    dots = density([*map(x.at, errors.values())], y) if crowd else _dots(errors, x, y)
    band = _line(x.at(low), y, x.at(high), y, class_="band") if math.isfinite(low + high) else ""
    tick = _line(x.at(mean), y - 11, x.at(mean), y + 11, class_="mean")
    return join(label, tag("g", band, dots, tick, style=f"color:{run.colour}"))


def is_crowd(subjects: Collection[object]) -> bool:
    """Whether so many are drawn as one shape."""
    return len(subjects) > MOST_DOTS


def _dots(errors: Mapping[str, float], x: Axis, y: float) -> Markup:
    words = {name: tag("title", f"{name}: {error:.2f} mm") for name, error in errors.items()}
    return join(
        *(
            tag("circle", words[name], cx=_number(x.at(error)), cy=_number(y), r=4, class_="dot")
            for name, error in errors.items()
        )
    )


def density(places: Collection[float], y: float) -> Markup:
    """How many subjects are at each place along a strip, around its middle `y`."""
    counts, edges = np.histogram(list(places), bins=BINS)
    widths = HALF_WIDTH * counts / counts.max()
    middles = (edges[:-1] + edges[1:]) / 2
    upper = list(zip(middles.tolist(), (y - widths).tolist(), strict=True))
    lower = list(zip(middles.tolist(), (y + widths).tolist(), strict=True))
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*upper, *reversed(lower)])
    return tag("polygon", tag("title", f"{len(places):,} subjects"), points=path, class_="density")


def _join_subjects(
    upper: Mapping[str, float], lower: Mapping[str, float], x: Axis, top: float, bottom: float
) -> Markup:
    both = [name for name in upper if name in lower]
    if is_crowd(both):
        return Markup()
    return join(*(_line(x.at(upper[n]), top, x.at(lower[n]), bottom, class_="pair") for n in both))


def regions_chart(
    scene: str, runs: Sequence[tuple[Series, PartErrors]], limit: float, width: float = NARROW
) -> Markup:
    """Mean error by part of the face with its 95 % interval over subjects, one bar a run."""
    regions = list(dict.fromkeys(region for _, parts in runs for region in parts))
    group = BAR_HEIGHT * len(runs) + GROUP_GAP
    x, bottom = Axis(0, limit, BAR_LEFT, width - 34), group * len(regions)
    axis = _bottom_axis(x, 0.0, bottom, "error, mm")
    groups = (_bar_group(region, runs, x, group * row) for row, region in enumerate(regions))
    first, parts = runs[0]
    spoken = "; ".join(f"{part} {error:.2f} mm" for part, (error, *_) in parts.items())
    name = f"Error by part of the face, {scene}, {first.label}: {spoken}"
    return _svg(name, width, bottom + 34, axis, *groups)


def _bar_group(
    region: str, runs: Sequence[tuple[Series, PartErrors]], x: Axis, top: float
) -> Markup:
    lettered = len(runs) > 1
    middle = top + GROUP_GAP / 2 + BAR_HEIGHT * len(runs) / 2
    name = _label(BAR_LEFT - 8 - 12 * lettered, middle + 4, region, "end", class_="name")
    bars = (
        _bar(run, parts[region], x, top + GROUP_GAP / 2 + BAR_HEIGHT * row, lettered)
        for row, (run, parts) in enumerate(runs)
        if region in parts
    )
    return join(name, *bars)


def _bar(
    run: Series, part: tuple[float, float, float], x: Axis, top: float, lettered: bool
) -> Markup:
    error, low, high = part
    words, whisker, end = f"{run.label}: {error:.2f} mm", Markup(), x.at(error)
    if math.isfinite(low + high):
        words += f" {interval_text(low, high)}"
        y, end = top + BAR_HEIGHT / 2 - 1, x.at(high)
        whisker = _line(x.at(low), y, x.at(high), y, class_="whisker")
    places = {"x": _number(x.start), "y": _number(top), "width": _number(x.at(error) - x.start)}
    style = f"fill:{run.colour}"
    title = tag("title", words)
    bar = tag("rect", title, **places, height=_number(BAR_HEIGHT - 2), rx=2, style=style)
    value = _label(end + 4, top + BAR_HEIGHT - 2.5, f"{error:.2f}", class_="value")
    letter = _label(x.start - 5, top + BAR_HEIGHT - 2.5, run.letter, "end", class_="value")
    return join(bar, whisker, value, letter if lettered else "")


def shorten(label: str) -> str:
    """A label no longer than a strip is wide."""
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _stroke(run: Series) -> str:
    return f"stroke:{run.colour};stroke-dasharray:{run.dashes}"


def _svg(name: str, width: float, height: float, *children: object) -> Markup:
    title = tag("title", name)
    return tag("svg", title, *children, viewBox=f"0 0 {width:.0f} {height:.0f}", role="img")


def _number(value: float) -> str:
    return f"{value:.1f}"


def _label(x: float, y: float, words: object, anchor: str = "start", **more: object) -> Markup:
    return tag("text", words, x=_number(x), y=_number(y), text_anchor=anchor, **more)


def _line(x1: float, y1: float, x2: float, y2: float, **more: object) -> Markup:
    places = {"x1": _number(x1), "y1": _number(y1), "x2": _number(x2), "y2": _number(y2)}
    return tag("line", **places, **more)


def _horizontal(x: Axis, y: float, words: str) -> Markup:
    return join(
        _line(x.start, y, x.end, y, class_="grid"), _label(x.start - 5, y + 4, words, "end")
    )


def _bottom_axis(x: Axis, top: float, bottom: float, words: str) -> Markup:
    ticks = x.ticks()
    # As many decimals as two neighbouring ticks need to differ.
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    marks = (
        join(
            _line(x.at(tick), top, x.at(tick), bottom, class_="grid"),
            _label(x.at(tick), bottom + 15, f"{tick:.{digits}f}", "middle"),
        )
        for tick in ticks
    )
    return join(*marks, _label((x.start + x.end) / 2, bottom + 30, words, "middle"))
