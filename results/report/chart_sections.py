"""Which charts a report draws from its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..tables.subject_errors import cumulative_curves, scene_column
from .charts import Bars, Line, Strip, cumulative_chart, range_around, regions_chart, subjects_chart
from .markup import Markup, join, tag
from .region_faces import region_errors
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
