"""Figure `consistency`: one person's faces from several photographs, and how far they spread."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from ...bench.figures.consistency import ALL, Spread, differences, neutral_face
from ...bench.figures.photographs import Photograph, Reconstructions
from ...bench.scoring.statistics import Interval, bootstrap_interval
from ...recon.render.face_in_photograph import HEADLIGHT, FaceArtist
from ..tables import table as tables
from ..tables.table import Table, interval_text, p_text
from ..tables.writers import csv_text
from .drawing import Cell, Row, Sheet, minus

NOTE = (
    "Spread: mean distance in mm of a vertex of the neutral face from where it is in the mean of "
    "the person's faces, moved and turned but not scaled; 95 % interval over people. Between "
    "people: the same of each person's mean face from that of all. A method that gives everybody "
    "one face spreads by nothing, so the ratio of the two is what tells a consistent method."
)

_LIGHT = 1.4 * HEADLIGHT
"""Shows shape and colours both."""


def consistency_sheet(
    photographs: Sequence[Photograph],
    found: Reconstructions,
    artist: FaceArtist,
    notes: Sequence[str] = (),
) -> Sheet:
    """For each person a row of photographs, and for each method a row of its faces from the front.

    The faces are those that are measured: without expression, in the method's own albedo.

    Args:
        photographs: of one person after the other.
        found: the methods' faces in those photographs.
        artist: of the pictures' size.
        notes: shown below.
    """
    rows: list[Row] = []
    widest: tuple[str, ...] = ()
    for _, numbers in groupby(range(len(photographs)), lambda n: photographs[n].subject):
        # Grouped by neighbours: photographs of one person come one after the other.
        places = list(numbers)
        rows += _person(photographs, found, artist, places)
        groups = tuple(photographs[n].group for n in places)
        # Somebody may have fewer usable photographs; heads are those of the fullest row.
        widest = max(widest, groups, key=len)
    starts = frozenset(k for k in range(1, len(widest)) if widest[k] != widest[k - 1])
    return Sheet((widest,), tuple(rows), tuple(notes), wide_before=starts)


def spread_notes(spreads: Sequence[Spread]) -> list[str]:
    """The numbers in words, one line per method."""
    return [NOTE, *map(_sentence, spreads), *_differences(spreads)]


def spread_table(spreads: Sequence[Spread]) -> Table:
    """One row a method, one column a group of photographs."""
    groups = list(spreads[0].within_mm)
    return Table(
        title="Spread of one person's faces, mm",
        head=("method", *groups, "between", "angle"),
        rows=tuple(
            (tables.Cell(spread.label), *(tables.Cell(*cell) for cell in _cells(spread, groups)))
            for spread in spreads
        ),
        notes=(NOTE, *_differences(spreads)),
    )


def spread_csv(spreads: Sequence[Spread], people: Sequence[str]) -> str:
    """One line per method and person; what is unknown is empty."""
    groups = list(spreads[0].within_mm)
    head = ("method", "subject", *(f"{group}_mm" for group in groups))
    rows = []
    for spread in spreads:
        # Without a recogniser the column stays, empty: files of all runs have one shape.
        degrees = spread.within_degrees if len(spread.within_degrees) else [None] * len(people)
        columns = (*(spread.within_mm[group] for group in groups), spread.between_mm, degrees)
        for person, *values in zip(people, *columns, strict=True):
            numbers = (None if value is None else float(value) for value in values)
            rows.append(tuple(map(tables.value_cell, (spread.label, person, *numbers))))
    return csv_text(Table("", (*head, "between_mm", "within_degrees"), tuple(rows)))


def spread_values(spreads: Sequence[Spread]) -> dict[str, object]:
    """Everything as plain values, for JSON."""
    return {
        "methods": [_values(spread) for spread in spreads],
        "differences": [
            {
                "first": spreads[0].label,
                "second": other.label,
                "mean_mm": paired.mean_mm,
                "ci95_mm": [paired.ci95_mm.low, paired.ci95_mm.high],
                "people": paired.n_subjects,
                "p_value": paired.p_value,
                "p_holm": p_holm,
            }
            for other, paired, p_holm in differences(spreads)
        ],
    }


def _person(
    photographs: Sequence[Photograph],
    found: Reconstructions,
    artist: FaceArtist,
    places: Sequence[int],
) -> Iterator[Row]:
    crops = (artist.photograph(photographs[n].portrait) for n in places)
    yield Row("photograph", tuple(map(Cell, crops)), opens=True)
    for label, reconstructions in found.items():
        faces = (neutral_face(reconstructions[n]) for n in places)
        drawn = (Cell(artist.turn(face, 0.0, light=_LIGHT)) for face in faces)
        yield Row(label, tuple(drawn))


def _sentence(spread: Spread) -> str:
    within = spread.within_mm[ALL]
    text = (
        f"{spread.label}: {within.mean():.2f} mm {_span(bootstrap_interval(within))} within, "
        f"{spread.between_mm.mean():.2f} mm between {len(within)} people"
    )
    # One face for everybody has a spread of 0 over 0.
    text += "" if math.isnan(spread.ratio) else f", ratio {spread.ratio:.2f}"
    if len(spread.within_degrees):
        degrees = spread.within_degrees
        text += (
            f"; {degrees.mean():.1f}° {_span(bootstrap_interval(degrees), 1)} within, "
            f"{spread.between_degrees:.1f}° between"
        )
    return f"{text}."


def _differences(spreads: Sequence[Spread]) -> list[str]:
    return [
        f"{spreads[0].label} − {other.label}: {minus(f'{paired.mean_mm:+.3f}')} mm "
        f"{_span(paired.ci95_mm, 3)}, {paired.n_subjects} people, p {p_text(p_holm)}."
        for other, paired, p_holm in differences(spreads)
    ]


def _cells(spread: Spread, groups: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A text and its details for every column."""
    for group in groups:
        values = spread.within_mm[group]
        yield f"{values.mean():.2f}", (_span(bootstrap_interval(values)),) if group == ALL else ()
    ratio = "" if math.isnan(spread.ratio) else f"ratio {spread.ratio:.2f}"
    yield f"{spread.between_mm.mean():.2f}", (ratio,)
    degrees = spread.within_degrees
    if not len(degrees):
        yield tables.DASH, ()
        return
    between = spread.between_degrees
    of = "" if math.isnan(between) else f"between {between:.1f}°"
    yield f"{degrees.mean():.1f}°", (_span(bootstrap_interval(degrees), 1), of)


def _values(spread: Spread) -> dict[str, object]:
    within: Mapping[str, object] = {
        group: {
            "mean": float(values.mean()),
            "ci95": list(vars(bootstrap_interval(values)).values()),
        }
        for group, values in spread.within_mm.items()
    }
    degrees = spread.within_degrees
    return {
        "label": spread.label,
        "people": len(spread.between_mm),
        "within_mm": within,
        "between_mm": float(spread.between_mm.mean()),
        "ratio": spread.ratio,
        "within_degrees": float(degrees.mean()) if len(degrees) else math.nan,
        "within_degrees_ci95": list(vars(bootstrap_interval(degrees)).values())
        if len(degrees)
        else None,
        "between_degrees": spread.between_degrees,
    }


def _span(found: Interval, digits: int = 2) -> str:
    return minus(interval_text(found.low, found.high, digits))
