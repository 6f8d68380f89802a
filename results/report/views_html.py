"""The part of the page in which faces are turned; `viewer.js` draws them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from .markup import Markup, join, tag, void
from .pictures_html import error_scale
from .views import PackedMesh, View, colour_table

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
NO_SCANS = (
    "The run keeps no scans: it was measured before they were kept, or its files were removed. "
    "The prediction is shown alone."
)
NO_WEBGL = "This browser draws no 3D (WebGL): the pictures below show the same errors."


def viewer(views: Sequence[View]) -> Markup:
    """The canvas with its controls, the faces' bytes, and what must be known of them."""
    if not views:
        return Markup()
    some, every = (test(view.scan is not None for view in views) for test in (any, all))
    notes = [KEYS, *([BOTH, PEOPLE] if some else []), *([] if every else [NO_SCANS])]
    drawing = tag(
        "canvas",
        id="face",
        tabindex="0",
        role="img",
        aria_label="3D view",
        aria_describedby="face-keys",
        data_colours=colour_table(),
    )
    stage = tag("div", drawing, tag("p", NO_WEBGL, class_="note", hidden=True), class_="stage")
    said = (
        tag("p", note, class_="note", id="face-keys" if note is KEYS else None) for note in notes
    )
    figure = tag("figure", stage, tag("figcaption", aria_live="polite"), class_="viewer")
    script_needed = tag("noscript", tag("p", "The 3D view needs JavaScript.", class_="note"))
    return join(
        tag("div", _choice(views), _sides(some), class_="tools"),
        tag("div", figure, tag("div", error_scale(), *said), class_="viewing"),
        script_needed,
        *(_bytes(view, number) for number, view in enumerate(views)),
    )


def _choice(views: Sequence[View]) -> Markup:
    """Which face is shown: each scene's, the worst first."""
    numbered = groupby(enumerate(views), key=lambda item: item[1].scene)
    groups = (
        tag("optgroup", *(_option(*item) for item in items), label=scene.capitalize())
        for scene, items in numbered
    )
    return tag("label", "Face ", tag("select", *groups, id="face-choice"))


def _option(number: int, view: View) -> Markup:
    words = f"{view.subject}, {view.scene}: {view.error_mm:.2f} mm ({view.rank})"
    return tag("option", words, value=str(number))


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
    meshes = (_mesh(side, mesh) for side, mesh in sides.items() if mesh is not None)
    words = f"{view.subject}, {view.scene}, {view.rank}: mean error {view.error_mm:.2f} mm"
    return tag("div", *meshes, id=f"face-{number}", hidden=True, data_words=words)


def _mesh(side: str, mesh: PackedMesh) -> Markup:
    sizes = {"data_vertices": mesh.n_vertices, "data_triangles": mesh.n_triangles}
    return tag("data", class_=side, value=mesh.data, **sizes)
