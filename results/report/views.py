"""The 3D viewer of the report: which faces it shows, their bytes, and its controls."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...bench.meshes.clean import DecimatedMesh, decimate
from ...recon.mesh import Mesh
from ..run.items import item_names, of_scene, read_errors
from ..tables.series import ERROR, Series, scene_column
from ..tables.writers import Markup, join, tag, void
from .heat_maps import SCALE_MM, error_colours, frontal_face, frontal_rotation
from .pictures import error_scale

MAX_SCENES, MAX_BESIDE = 3, 2
"""Scenes that get a view of their own, and other runs beside it; a mesh is about 0.1 MB."""
STEPS, UNKNOWN = 254, 255
"""The error byte at the end of the colour scale, and the one of what was not measured."""

Array = NDArray[np.float64]


PackedMesh = dict[str, str | int]
"""Attributes of the page's element of a mesh: `data_vertices` V, `data_triangles` F, and in `value`
`int16` positions (V, 3), `uint16` triangles (F, 3) and `uint8` errors (V,), one after another,
little-endian, in base64."""


@dataclass(frozen=True)
class View:
    """One subject in one scene.

    Attributes:
        subject, scene: whose.
        rank: `worst`, `median`, `best` or `only` of the scene.
        error_mm: the subject's error.
        complete: the share of its scan that the prediction covers, NaN where that is not stated.
        step_mm: length of one unit of the positions.
        prediction: facing +z, y up, the measured part around the origin.
        scan: in the same space, or None where the run keeps none.
        beside: other runs' predictions of it in the same space, by label with their numbers.
    """

    subject: str
    scene: str
    rank: str
    error_mm: float
    complete: float
    step_mm: float
    prediction: PackedMesh
    scan: PackedMesh | None
    beside: tuple[tuple[str, str, PackedMesh], ...] = ()


def views(series: Series, others: Sequence[Series] = ()) -> Iterator[View]:
    """The worst, the median and the best subject of each scene; without those that keep no mesh."""
    reference = frontal_face(series)
    for scene in series.record.scenes[:MAX_SCENES]:
        rows = of_scene(series.subjects, scene)
        items = dict(zip(item_names(rows, scene), rows["item"], strict=True))
        shares = scene_column(series.subjects, scene, "completeness")
        for rank, subject, error_mm in rank_subjects(series.subjects, scene):
            path = series.run.mesh_path(items[subject])
            if path.is_file():
                item = items[subject]
                beside = list(_others_views(others[:MAX_BESIDE], item))
                paths = (series.run.scan_path(item), *(path for *_, path in beside))
                step, packed = pack(_frontal(path, paths, reference))
                prediction, scan, *rest = packed
                assert prediction is not None  # its file is there
                theirs = zip(beside, rest, strict=True)
                shown = tuple((label, words, mesh) for (label, words, _), mesh in theirs if mesh)
                complete = shares.get(subject, math.nan)
                numbers = (error_mm, complete, step)
                yield View(subject, scene, rank, *numbers, prediction, scan, shown)


def _others_views(others: Sequence[Series], item: str) -> Iterator[tuple[str, str, Path]]:
    """Label, numbers and mesh of the runs that have scored an item too."""
    for other in others:
        if ERROR in other.subjects:
            rows = other.subjects[(other.subjects["item"] == item) & other.subjects[ERROR].notna()]
            for row in rows.itertuples():
                share = float(getattr(row, "completeness", math.nan))
                words = _numbers(float(getattr(row, ERROR)), share)
                yield other.label, words, other.run.mesh_path(item)


def _numbers(error_mm: float, complete: float) -> str:
    """What stands below a face; less of it has the lower error, so both."""
    error = f"error {error_mm:.2f}\N{NO-BREAK SPACE}mm"
    return f"{error}, complete {complete:.0%}" if math.isfinite(complete) else error


def rank_subjects(subjects: pd.DataFrame, scene: str) -> list[tuple[str, str, float]]:
    """Rank, subject and error of the worst, median and best of a scene; fewer of a small one."""
    if ERROR not in subjects:
        return []
    rows = of_scene(subjects, scene)
    named = rows.assign(name=item_names(rows, scene))[rows[ERROR].notna()]
    # By name too: equal errors keep one order on every machine.
    order = named.sort_values([ERROR, "name"], ascending=[False, True])
    ranks = _ranks(len(order))
    found = order.iloc[list(ranks)].itertuples()
    errors = ((str(row.name), float(getattr(row, ERROR))) for row in found)
    return [(rank, *item) for rank, item in zip(ranks.values(), errors, strict=True)]


def _ranks(count: int) -> dict[int, str]:
    """Which places of so many, the worst first, are shown as what."""
    if count < 2:
        return dict.fromkeys(range(count), "only")
    # The later keys win: of two subjects the second is the best, and no median.
    ranks = {count // 2: "median", 0: "worst", count - 1: "best"}
    return dict(sorted(ranks.items()))


def pack(
    meshes: Sequence[DecimatedMesh | None],
) -> tuple[float, list[PackedMesh | None]]:
    """The length of a step in mm that all meshes share, and the meshes."""
    # One step for all: they lie on each other as measured.
    largest = max(float(np.abs(one[0].vertices).max()) for one in meshes if one is not None)
    step = largest / np.iinfo(np.int16).max
    return step, [None if one is None else _pack(*one, step) for one in meshes]


def error_bytes(errors: Array) -> NDArray[np.uint8]:
    """Errors (V,) in mm as bytes (V,): `STEPS` for the end of the scale and all above."""
    # NaN is set last, since no number of this scale may stand for it.
    steps = np.rint(np.clip(np.nan_to_num(errors) / SCALE_MM, 0, 1) * STEPS)
    return np.where(np.isnan(errors), UNKNOWN, steps).astype(np.uint8)


def colour_table() -> str:
    """RGB of each error byte, (256, 3) uint8 in base64: the colours of the heat maps."""
    errors = np.append(np.linspace(0, SCALE_MM, STEPS + 1), np.nan)
    return _base64(np.rint(255 * error_colours(errors)).astype(np.uint8).tobytes())


def _frontal(
    prediction: Path, others: Sequence[Path], reference: Array | None
) -> list[DecimatedMesh | None]:
    """A prediction turned to the front, and what lies in its space moved with it, None if gone."""
    mesh, errors = read_errors(prediction)
    turn = frontal_rotation(mesh, reference)
    measured = ~np.isnan(errors)
    seen = mesh.vertices[measured] if measured.any() else mesh.vertices
    # The others are moved by the prediction's centre too, or they would drift apart.
    centre = (seen.min(axis=0) + seen.max(axis=0)) / 2

    def placed(mesh: Mesh, errors: Array) -> DecimatedMesh:
        part, left = decimate(mesh, errors)
        return replace(part, vertices=(part.vertices - centre) @ turn.T), left

    first = placed(mesh, errors)
    rest = (placed(*read_errors(p)) if p.is_file() else None for p in others)
    return [first, *rest]


def _pack(mesh: Mesh, errors: Array, step: float) -> PackedMesh:
    # 16 bits over a head of 300 mm are steps of 0.005 mm.
    positions = np.rint(mesh.vertices / step).astype("<i2")
    triangles = mesh.triangles.astype("<u2")
    parts = (positions, triangles, error_bytes(errors))
    data = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    sizes = {"data_vertices": len(positions), "data_triangles": len(triangles)}
    return {"value": _base64(data), **sizes}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


SIDES = (("prediction", "Prediction"), ("scan", "Scan"), ("both", "Both"))
KEYS = (
    "Drag or use the arrow keys to turn, pinch, Ctrl with the wheel, or + and − to come nearer, "
    "0 to start again."
)
BOTH = (
    "Scan shows how far its points are from the prediction. Both lays the prediction, coloured, "
    "into the plain scan: what is in front covers the other."
)
PEOPLE = "This page holds scans of people: who may see it is up to the dataset's licence."
LINKED = "The two faces turn together, each registered to the same scan."
NO_SCANS = (
    "The run keeps no scans: it was measured before they were kept, or its files were removed. "
    "The prediction is shown alone."
)
NO_WEBGL = "This browser draws no 3D (WebGL): the pictures below show the same errors."


def viewer(views: Sequence[View], label: str = "") -> Markup:
    """The canvases with their controls, the faces' bytes, and what must be known of them.

    Args:
        views: what can be chosen.
        label: of the run that they are of.
    """
    if not views:
        return Markup()
    some, every = (test(view.scan is not None for view in views) for test in (any, all))
    labels = list(dict.fromkeys(label for view in views for label, *_ in view.beside))
    linked = [LINKED] if labels else []
    notes = [KEYS, *linked, *([BOTH, PEOPLE] if some else []), *([] if every else [NO_SCANS])]
    said = (
        tag("p", note, class_="note", id="face-keys" if note is KEYS else None) for note in notes
    )
    second = _canvas("face-beside", label="", hidden=True) if labels else Markup()
    drawings = tag("div", _canvas("face", label, hidden=False), second, class_="linked")
    return join(
        tag("div", _choice(views), _beside_choice(labels), _sides(some), class_="tools"),
        tag("div", drawings, tag("div", error_scale(), *said), class_="viewing"),
        tag("noscript", tag("p", "The 3D view needs JavaScript.", class_="note")),
        *(_bytes(view, number) for number, view in enumerate(views)),
    )


def _canvas(name: str, label: str, hidden: bool) -> Markup:
    drawing = tag(
        "canvas",
        id=name,
        tabindex="0",
        role="img",
        aria_label="3D view",
        aria_describedby="face-keys",
        data_colours=colour_table(),
        data_run=label,
    )
    stage = tag("div", drawing, tag("p", NO_WEBGL, class_="note", hidden=True), class_="stage")
    return tag(
        "figure", stage, tag("figcaption", aria_live="polite"), class_="viewer", hidden=hidden
    )


def _beside_choice(labels: Sequence[str]) -> Markup:
    """Which other run's face turns beside it."""
    if not labels:
        return Markup()
    options = (tag("option", label, value=label) for label in labels)
    nothing = tag("option", "nothing", value="")
    return tag("label", "Beside it ", tag("select", *options, nothing, id="beside-choice"))


def _choice(views: Sequence[View]) -> Markup:
    """Which face is shown: each scene's, the worst first."""
    groups = []
    for scene, numbered in groupby(enumerate(views), key=lambda item: item[1].scene):
        options = (
            tag(
                "option", f"{v.subject}, {scene}: {v.error_mm:.2f} mm ({v.rank})", value=str(number)
            )
            for number, v in numbered
        )
        groups.append(tag("optgroup", *options, label=scene))
    return tag("label", "Face ", tag("select", *groups, id="face-choice"))


def _sides(with_scan: bool) -> Markup:
    shown = SIDES if with_scan else SIDES[:1]
    radios = (
        tag(
            "label",
            void("input", type="radio", name_="side", value=value, checked=value == "prediction"),
            f" {words}",
        )
        for value, words in shown
    )
    return tag("fieldset", tag("legend", "Show"), *radios)


def _bytes(view: View, number: int) -> Markup:
    """What the script reads of one face; nothing that is shown."""
    sides = {"prediction": view.prediction, "scan": view.scan}
    meshes = [tag("data", class_=side, **mesh) for side, mesh in sides.items() if mesh is not None]
    for label, numbers, mesh in view.beside:
        caption = f"{label}: {numbers}"
        meshes.append(tag("data", class_="beside", **mesh, data_run=label, data_words=caption))
    numbers = _numbers(view.error_mm, view.complete)
    words = f"{view.subject}, {view.scene}, {view.rank}: {numbers}"
    return tag("div", *meshes, id=f"face-{number}", hidden=True, data_words=words)
