"""The tables of a check on photographs: faces found, errors by part, what follows the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...bench.photographs.check import (
    LARGE_ERROR,
    PhotographCheck,
    identity_auc,
    landmark_errors,
    slope_and_correlation,
    slopes,
)
from ...recon.files.text import finite
from .table import Cell, Table, number_text, share_text, text_rows
from .writers import csv_text, html, latex, markdown, terminal_text

FORMS: Mapping[str, Callable[[list[Table]], str]] = {
    "table": terminal_text,
    "markdown": lambda tables: "\n".join(map(markdown, tables)),
    "csv": lambda tables: "\n".join(map(csv_text, tables)),
    "latex": lambda tables: "\n".join(map(latex, tables)),
    "html": lambda tables: "\n".join(map(html, tables)),
}
"""How the tables are written."""


def check_numbers(check: PhotographCheck) -> dict[str, Any]:
    """All numbers of a check as plain values; what is not known is None."""
    checked = check.checked
    references = [face.reference.landmarks for face in checked]
    people = [face.reference.person for face in checked]
    sides = {
        "landmarks": [face.landmarks for face in checked],
        "reconstruction": [face.projected for face in checked],
    }
    skin = np.array([face.skin for face in checked], np.float64).reshape(-1, 2)
    slope, correlation = slope_and_correlation(skin[:, 1], skin[:, 0])
    features, pairs = identity_auc([face.feature for face in checked], people)
    shapes, _ = identity_auc([face.identity for face in checked], people)
    # Both are in standard deviations of the people that the model knows: of one unit.
    looks = [np.concatenate([face.identity, face.albedo]) for face in checked]
    numbers = {
        "photographs": check.photographs,
        "faces": dict(check.faces),
        "found": dict(check.found),
        "kept_aside": check.kept_aside,
        "false": [{"photograph": name, "box_px": vars(box)} for name, box in check.false],
        "errors": {
            side: {
                part: {"median": median, "share_above_10_percent": share}
                for part, (median, share) in landmark_errors(points, references).items()
            }
            for side, points in sides.items()
        },
        "following": {
            side: {
                name: {"slope": one, "r": r}
                for name, (one, r) in slopes(points, references).items()
            }
            for side, points in sides.items()
        },
        "skin": {
            "spread": _deviation(skin[:, 0]),
            "spread_in_photographs": _deviation(skin[:, 1]),
            "slope": slope,
            "r": correlation,
        },
        "identity": {
            "pairs": pairs,
            "auc_recogniser": features,
            "auc_reconstruction": shapes,
            "auc_shape_and_skin": identity_auc(looks, people)[0],
        },
        "problems": list(check.problems),
    }
    plain: dict[str, Any] = finite(numbers)
    return plain


def _deviation(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else float("nan")


def check_tables(numbers: Mapping[str, Any], networks: Mapping[str, str]) -> list[Table]:
    """The tables of `check_numbers`.

    Args:
        numbers: of a check.
        networks: what was checked, by what it does.
    """
    return [
        _found_table(numbers, networks),
        *(_error_table(numbers), _following_table(numbers), _people_table(numbers)),
    ]


def _found_table(numbers: Mapping[str, Any], networks: Mapping[str, str]) -> Table:
    faces, found = numbers["faces"], numbers["found"]
    counts = [(pose, found[pose], faces[pose]) for pose in faces]
    counts.append(("all", sum(found.values()), sum(faces.values())))
    rows = [
        (pose, str(n), str(of), share_text(n / of if of else math.nan, 1)) for pose, n, of in counts
    ]
    used = "; ".join(f"{kind}: {name}" for kind, name in networks.items())
    places = [
        f"{one['photograph']} at {one['box_px']['left']:.0f}, {one['box_px']['top']:.0f}"
        for one in numbers["false"]
    ]
    listed = ", ".join(places[:5]) + (" …" if len(places) > 5 else "")
    aside = numbers["kept_aside"]
    notes = (
        f"{numbers['photographs']} photographs; {aside} faces aside, on which references differ.",
        f"{len(places)} false: {listed}." if places else "Nothing found where no face is.",
        f"{used}.",
    )
    head = ("faces", "found", "of", "share")
    return Table("Faces found", head, text_rows(rows), notes, ends=frozenset({len(faces) - 1}))


def _error_table(numbers: Mapping[str, Any]) -> Table:
    sides = numbers["errors"]
    rows = tuple(
        (
            Cell(part),
            *(
                cell
                for side in sides.values()
                for cell in (
                    _percent(side[part]["median"], 2),
                    _percent(side[part]["share_above_10_percent"], 1),
                )
            ),
        )
        for part in next(iter(sides.values()))
    )
    head = ("part", *(f"{side} {what}" for side in sides for what in ("median", "failed")))
    note = (
        "% of the distance of the outer eye corners, mean over the points, median over the faces "
        f"that were found; failed: share of faces above {LARGE_ERROR:.0%}."
    )
    return Table("Landmark errors", head, rows, (note,))


def _percent(value: float | None, digits: int) -> Cell:
    return Cell(number_text(_known(value) * 100, digits), value=value)


def _following_table(numbers: Mapping[str, Any]) -> Table:
    sides = numbers["following"]
    rows = tuple(
        (
            Cell(name),
            *(
                Cell(number_text(_known(side[name][what]), 2, sign=True), value=side[name][what])
                for side in sides.values()
                for what in ("slope", "r")
            ),
        )
        for name in next(iter(sides.values()))
    )
    head = ("what", *(f"{side} {what}" for side in sides for what in ("slope", "r")))
    note = "Slope 1 follows the reference, 0 says the same of everybody; r is their correlation."
    return Table("Expression and pose against the reference", head, rows, (note,))


def _people_table(numbers: Mapping[str, Any]) -> Table:
    skin, identity = numbers["skin"], numbers["identity"]
    rows = (
        ("skin, spread of luminance", number_text(_known(skin["spread"]), 3)),
        ("… of the photographs' cheeks", number_text(_known(skin["spread_in_photographs"]), 3)),
        ("skin against the photograph, r", number_text(_known(skin["r"]), 2, sign=True)),
        ("identity, AUC of the recogniser", number_text(_known(identity["auc_recogniser"]), 3)),
        ("identity, AUC of the shape", number_text(_known(identity["auc_reconstruction"]), 3)),
        ("… of shape and skin", number_text(_known(identity["auc_shape_and_skin"]), 3)),
    )
    note = (
        f"AUC over {identity['pairs']} pairs of one person against all pairs of two; people by "
        "the reference's 'person', by folder, or by NAME_0001."
    )
    return Table("People", ("what", "value"), text_rows(rows), (note,))


def _known(value: float | None) -> float:
    return math.nan if value is None else value
