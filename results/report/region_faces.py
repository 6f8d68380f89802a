"""The mean error of each part of the face, on a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...bench.landmarks.regions import FACE_PARTS, face_parts
from ...recon.morphable.load import EMBEDDED, load_model
from ...recon.morphable.model import MorphableModel
from ..tables.subject_errors import scene_column
from .heat_maps import draw, model_of
from .markup import Markup, join, tag, void
from .pictures_html import error_scale, zoomable
from .series import Series

MAX_RUNS = 4
"""Runs whose parts are drawn; the bars have all."""


def region_errors(run: Series, scene: str) -> dict[str, float]:
    """Part of the face to its mean error over subjects, mm; empty where no run tells them apart."""
    columns = {part: scene_column(run.subjects, scene, f"{part}_mm") for part in FACE_PARTS}
    return {part: float(np.mean([*c.values()])) for part, c in columns.items() if c}


def region_faces(series: Sequence[Series]) -> Markup:
    """A face a run and scene, each part in the colour of its error; nothing without such errors."""
    errors = {run.number: _by_scene(run) for run in series[:MAX_RUNS]}
    shown = [run for run in series[:MAX_RUNS] if errors[run.number]]
    if not shown:
        return Markup()
    model = _face_with_parts(series[0])
    faces = (_run(run, model, errors[run.number], len(series) > 1) for run in shown)
    return join(error_scale(), tag("div", *faces, class_="subjects faces"))


def part_errors(model: MorphableModel, errors: Mapping[str, float]) -> NDArray[np.float64]:
    """The error (V,) of the part that each vertex of a model is in, mm, NaN in none."""
    values = np.full(len(model.mean_shape), np.nan)
    for part, inside in face_parts(model.region, model.region_names).items():
        values[inside] = errors.get(part, np.nan)
    return values


def _by_scene(run: Series) -> dict[str, dict[str, float]]:
    found = ((scene, region_errors(run, scene)) for scene in run.summary)
    return {scene: errors for scene, errors in found if errors}


def _face_with_parts(run: Series) -> MorphableModel:
    """The run's own model where it is at hand and tells parts apart, else the embedded one."""
    model = model_of(run)
    if model is not None and face_parts(model.region, model.region_names)["nose"].any():
        return model
    return load_model(EMBEDDED)


def _run(
    run: Series, model: MorphableModel, errors: Mapping[str, Mapping[str, float]], several: bool
) -> Markup:
    faces = (_face(model, run.label, scene, values) for scene, values in errors.items())
    heading = tag("h3", run.label) if several else Markup()
    return tag("section", heading, tag("div", *faces, class_="maps"))


def _face(model: MorphableModel, label: str, scene: str, errors: Mapping[str, float]) -> Markup:
    picture = draw(model.mesh(), part_errors(model, errors))
    said = ", ".join(f"{part} {error:.2f}" for part, error in errors.items())
    worst = max(errors, key=lambda part: errors[part])
    most = tag("strong", f"{worst} {errors[worst]:.2f}")
    words = f"{label}, {scene}: mean error by part of the face in mm, {said}"
    return zoomable(picture, words, join(scene, void("br"), most))
