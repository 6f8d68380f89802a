"""The report's charts as inline SVG that follows the page's colours and needs no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..run.summary import SceneSummary
from ..tables.markup import Markup, join, tag
from ..tables.subject_errors import CumulativeCurve, cumulative_curves, scene_column
from .pictures import region_errors
from .series import Series


def legend(series: Sequence[Series]) -> Markup:
    """Which colour is which run."""
    items = (
        tag("li", tag("span", class_="swatch", style=f"background:{run.colour}"), run.label)
        for run in series
    )
    return tag("ul", *items, class_="runs")


def cumulative_charts(series: Sequence[Series]) -> Markup:
    """Share of points within each distance; nothing when the runs keep no curves."""
    curves = {run.number: cumulative_curves(run.subjects) for run in series}

    def draw(scene: str) -> Markup:
        lines = [
            Line(run.label, run.colour, curves[run.number][scene])
            for run in series
            if scene in curves[run.number]
        ]
        return cumulative_chart(scene, lines) if lines else Markup()

    return _by_scene(series, draw)


def subjects_charts(series: Sequence[Series]) -> Markup:
    """A dot a subject; every scene on the same axis."""
    errors = [
        error
        for run in series
        for scene in run.summary
        for error in scene_column(run.subjects, scene).values()
    ]
    if not errors:
        return Markup()
    limits = range_around(errors)

    def draw(scene: str) -> Markup:
        strips = [
            Strip(run.label, run.colour, scene_column(run.subjects, scene), run.summary[scene])
            for run in series
            if scene in run.summary
        ]
        return subjects_chart(scene, strips, limits)

    return _by_scene(series, draw)


def regions_charts(series: Sequence[Series]) -> Markup:
    """Mean error by part of the face; nothing when the runs do not tell parts apart."""
    bars = {scene: _region_bars(series, scene) for scene in _scenes(series)}
    errors = [error for runs in bars.values() for run in runs for error in run.errors.values()]
    if not errors:
        return Markup()
    limit = range_around([0.0, *errors])[1]

    def draw(scene: str) -> Markup:
        return regions_chart(scene, bars[scene], limit) if bars[scene] else Markup()

    return _by_scene(series, draw)


def _region_bars(series: Sequence[Series], scene: str) -> list[Bars]:
    found = (Bars(run.label, run.colour, region_errors(run, scene)) for run in series)
    return [run for run in found if run.errors]


def _scenes(series: Sequence[Series]) -> list[str]:
    return list(dict.fromkeys(scene for run in series for scene in run.summary))


def _by_scene(series: Sequence[Series], draw: Callable[[str], Markup]) -> Markup:
    drawn = [(scene, draw(scene)) for scene in _scenes(series)]
    charts = [tag("figure", tag("h3", s.capitalize()), chart) for s, chart in drawn if chart]
    return tag("div", join(*charts), class_="charts") if charts else Markup()


WIDTH = 380
LEFT, RIGHT = 34.0, 368.0
CURVE_TOP, CURVE_BOTTOM = 12.0, 208.0
STRIP_HEIGHT = 64.0
BAR_HEIGHT, GROUP_GAP, BAR_LEFT = 11.0, 12.0, 70.0
LONGEST_LABEL = 44


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
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True, eq=False)
class Line:
    """One run in the cumulative chart."""

    label: str
    colour: str
    curve: CumulativeCurve


@dataclass(frozen=True)
class Strip:
    """One run in the subjects' chart: subject to error, and the summary of the scene."""

    label: str
    colour: str
    errors: Mapping[str, float]
    summary: SceneSummary


@dataclass(frozen=True)
class Bars:
    """One run in the chart of regions: region to error."""

    label: str
    colour: str
    errors: Mapping[str, float]


def nice_step(step: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def range_around(values: Sequence[float]) -> tuple[float, float]:
    """Round ends that hold all values with a little air; never below 0."""
    low, high = min(values), max(values)
    air = 0.08 * (high - low) or 0.1
    step = nice_step((high - low + 2 * air) / 5)
    return max(0.0, math.floor((low - air) / step) * step), math.ceil((high + air) / step) * step


def cumulative_chart(scene: str, lines: Sequence[Line]) -> Markup:
    """Share of points within each distance, one curve a run."""
    limit = max(float(line.curve.thresholds_mm[-1]) for line in lines)
    x, y = Axis(0, limit, LEFT, RIGHT), Axis(0, 1, CURVE_BOTTOM, CURVE_TOP)
    shares = [_horizontal(y.at(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)]
    drawn = (_polyline(line, x, y) for line in reversed(lines))
    axis = _bottom_axis(x, CURVE_TOP, CURVE_BOTTOM, "distance, mm")
    spoken = "; ".join(f"{line.label} {_share_at_1_mm(line.curve):.0%}" for line in lines)
    name = f"Cumulative error, {scene}. Share of points within 1 mm: {spoken}"
    return _svg(name, CURVE_BOTTOM + 34, *shares, axis, *drawn)


def subjects_chart(scene: str, strips: Sequence[Strip], limits: tuple[float, float]) -> Markup:
    """A dot a subject, a strip a run; lines join a subject's dots, the tick and band its mean.

    A crowd of subjects is drawn as one shape.
    """
    x = Axis(*limits, 12.0, RIGHT)
    bottom = STRIP_HEIGHT * len(strips)
    middles = [STRIP_HEIGHT * (row + 0.62) for row in range(len(strips))]
    axis = _bottom_axis(x, 4.0, bottom, "error, mm")
    joins = (
        _join_subjects(upper, lower, x, top, below)
        for upper, lower, top, below in zip(strips, strips[1:], middles, middles[1:], strict=False)
    )
    rows = (_strip(strip, x, y) for strip, y in zip(strips, middles, strict=True))
    spoken = "; ".join(f"{s.label} {s.summary.mean_mm:.2f} mm" for s in strips)
    name = f"Error of every subject, {scene}. Means: {spoken}"
    return _svg(name, bottom + 34, axis, *joins, *rows)


def regions_chart(scene: str, bars: Sequence[Bars], limit: float) -> Markup:
    """Mean error by part of the face, one bar a run."""
    regions = list(dict.fromkeys(region for run in bars for region in run.errors))
    group = BAR_HEIGHT * len(bars) + GROUP_GAP
    x, bottom = Axis(0, limit, BAR_LEFT, RIGHT - 22), group * len(regions)
    axis = _bottom_axis(x, 0.0, bottom, "error, mm")
    groups = (_bar_group(name, bars, x, group * row) for row, name in enumerate(regions))
    spoken = "; ".join(f"{r} {bars[0].errors[r]:.2f} mm" for r in regions if r in bars[0].errors)
    name = f"Error by part of the face, {scene}, {bars[0].label}: {spoken}"
    return _svg(name, bottom + 34, axis, *groups)


def _svg(name: str, height: float, *children: object) -> Markup:
    title = tag("title", name)
    return tag("svg", title, *children, viewBox=f"0 0 {WIDTH} {height:.0f}", role="img")


def _number(value: float) -> str:
    return f"{value:.1f}"


def _label(x: float, y: float, words: object, anchor: str = "start", **more: object) -> Markup:
    return tag("text", words, x=_number(x), y=_number(y), text_anchor=anchor, **more)


def _line(x1: float, y1: float, x2: float, y2: float, **more: object) -> Markup:
    places = {"x1": _number(x1), "y1": _number(y1), "x2": _number(x2), "y2": _number(y2)}
    return tag("line", **places, **more)


def _horizontal(y: float, words: str) -> Markup:
    return join(_line(LEFT, y, RIGHT, y, class_="grid"), _label(LEFT - 5, y + 4, words, "end"))


def _bottom_axis(x: Axis, top: float, bottom: float, words: str) -> Markup:
    ticks = x.ticks()
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    marks = (
        join(
            _line(x.at(tick), top, x.at(tick), bottom, class_="grid"),
            _label(x.at(tick), bottom + 15, f"{tick:.{digits}f}", "middle"),
        )
        for tick in ticks
    )
    return join(*marks, _label((x.start + x.end) / 2, bottom + 30, words, "middle"))


def _polyline(line: Line, x: Axis, y: Axis) -> Markup:
    points = zip(line.curve.thresholds_mm.tolist(), line.curve.shares.tolist(), strict=True)
    path = " ".join(f"{x.at(t):.1f},{y.at(share):.1f}" for t, share in points)
    style = f"stroke:{line.colour}"
    return tag("polyline", tag("title", line.label), points=path, class_="curve", style=style)


def _share_at_1_mm(curve: CumulativeCurve) -> float:
    return float(curve.shares[abs(curve.thresholds_mm - 1.0).argmin()])


def _strip(strip: Strip, x: Axis, y: float) -> Markup:
    mean, (low, high) = strip.summary.mean_mm, strip.summary.ci95_mm
    label = _label(0, y - 18, shortened(strip.label), class_="name")
    if not strip.errors:
        return join(label, _label(0, y + 4, "no score"))
    dots = _crowd(strip, x, y) if is_crowd(strip.errors) else _dots(strip, x, y)
    band = _line(x.at(low), y, x.at(high), y, class_="band") if math.isfinite(low + high) else ""
    tick = _line(x.at(mean), y - 11, x.at(mean), y + 11, class_="mean")
    return join(label, tag("g", band, dots, tick, style=f"color:{strip.colour}"))


def _dots(strip: Strip, x: Axis, y: float) -> Markup:
    found = strip.errors.items()
    return join(*(_dot(f"{name}: {error:.2f} mm", x.at(error), y) for name, error in found))


def _crowd(strip: Strip, x: Axis, y: float) -> Markup:
    return density([x.at(error) for error in strip.errors.values()], y)


def _dot(words: str, x: float, y: float) -> Markup:
    return tag("circle", tag("title", words), cx=_number(x), cy=_number(y), r=4, class_="dot")


def _join_subjects(upper: Strip, lower: Strip, x: Axis, top: float, bottom: float) -> Markup:
    both = [name for name in upper.errors if name in lower.errors]
    if is_crowd(both):
        return Markup()
    return join(
        *(
            _line(x.at(upper.errors[name]), top, x.at(lower.errors[name]), bottom, class_="pair")
            for name in both
        )
    )


def _bar_group(region: str, bars: Sequence[Bars], x: Axis, top: float) -> Markup:
    middle = top + GROUP_GAP / 2 + BAR_HEIGHT * len(bars) / 2
    name = _label(BAR_LEFT - 8, middle + 4, region, "end", class_="name")
    rows = (
        _bar(run, run.errors.get(region, math.nan), x, top + GROUP_GAP / 2 + BAR_HEIGHT * row)
        for row, run in enumerate(bars)
    )
    return join(name, *rows)


def _bar(run: Bars, error: float, x: Axis, top: float) -> Markup:
    if not math.isfinite(error):
        return Markup()
    width, height = x.at(error) - x.start, BAR_HEIGHT - 2
    title = tag("title", f"{run.label}: {error:.2f} mm")
    places = {"x": _number(x.start), "y": _number(top), "width": _number(width), "height": height}
    bar = tag("rect", title, **places, rx=2, style=f"fill:{run.colour}")
    return join(
        bar, _label(x.at(error) + 4, top + BAR_HEIGHT - 2.5, f"{error:.2f}", class_="value")
    )


def shortened(label: str) -> str:
    """A label no longer than a strip is wide."""
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


MOST_DOTS = 400
"""Subjects of a strip up to which each has a dot; above, the strip is as wide as they are many."""

BINS = 60
HALF_WIDTH = 15.0
"""Of the shape where most subjects are, in the picture's units."""


def is_crowd(subjects: Collection[object]) -> bool:
    """Whether so many are drawn as one shape."""
    return len(subjects) > MOST_DOTS


def density(places: Collection[float], y: float) -> Markup:
    """How many subjects are at each place of a strip, around its middle.

    Args:
        places: of the subjects along the strip.
        y: the middle.
    """
    counts, edges = np.histogram(list(places), bins=BINS)
    widths = HALF_WIDTH * counts / counts.max()
    middles = (edges[:-1] + edges[1:]) / 2
    upper = list(zip(middles.tolist(), (y - widths).tolist(), strict=True))
    lower = list(zip(middles.tolist(), (y + widths).tolist(), strict=True))
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*upper, *reversed(lower)])
    return tag("polygon", tag("title", f"{len(places):,} subjects"), points=path, class_="density")
