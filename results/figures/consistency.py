"""Figure `consistency`: one person's faces from several photographs, and how far they spread."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from rich.table import Table

from ...bench.figures.consistency import ALL, Spread, SpreadDifference, interval, neutral_face
from ...bench.figures.photographs import Photograph, Reconstructions
from ...bench.scoring.statistics import Interval
from ...recon.render.face_in_photograph import HEADLIGHT, LikenessArtist
from ..tables.writers import empty_table, p_text
from .drawing import Cell, Row, Sheet

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
    artist: LikenessArtist,
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
        places = list(numbers)
        rows += _person(photographs, found, artist, places)
        groups = tuple(photographs[n].group for n in places)
        widest = max(widest, groups, key=len)
    starts = frozenset(k for k in range(1, len(widest)) if widest[k] != widest[k - 1])
    return Sheet((widest,), tuple(rows), tuple(notes), wide_before=starts)


def spread_notes(spreads: Sequence[Spread], differing: Sequence[SpreadDifference]) -> list[str]:
    """The numbers in words, a line a method."""
    return [NOTE, *map(_sentence, spreads), *map(_difference, differing)]


def spread_table(spreads: Sequence[Spread], differing: Sequence[SpreadDifference]) -> Table:
    """For the terminal: one row a method, one column a group."""
    groups = list(spreads[0].within_mm)
    table = empty_table("Spread of one person's faces, mm", (NOTE, *map(_difference, differing)))
    table.add_column("method", min_width=10, overflow="fold")
    for heading in (*groups, "between", "angle"):
        table.add_column(heading, justify="right", no_wrap=heading in groups)
    for spread in spreads:
        table.add_row(spread.label, *_cells(spread, groups))
    return table


def spread_csv(spreads: Sequence[Spread], people: Sequence[str]) -> str:
    """One line per method and person; what is unknown is empty."""
    file = io.StringIO()
    groups = list(spreads[0].within_mm)
    names = [f"{group}_mm" for group in groups]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["method", "subject", *names, "between_mm", "within_degrees"])
    for spread in spreads:
        columns = [spread.within_mm[group] for group in groups]
        for number, person in enumerate(people):
            angles = [spread.within_degrees[number]] if len(spread.within_degrees) else [""]
            values = [column[number] for column in columns]
            writer.writerow([spread.label, person, *values, spread.between_mm[number], *angles])
    return file.getvalue()


def spread_values(
    spreads: Sequence[Spread], differing: Sequence[SpreadDifference]
) -> dict[str, object]:
    """Everything as plain values, for JSON."""
    return {
        "methods": [_values(spread) for spread in spreads],
        "differences": [
            {
                "first": one.first,
                "second": one.second,
                "mean_mm": one.millimetres.mean_mm,
                "ci95_mm": [one.millimetres.ci95_mm.low, one.millimetres.ci95_mm.high],
                "people": one.millimetres.n_subjects,
                "p_value": one.millimetres.p_value,
                "p_holm": one.p_holm,
            }
            for one in differing
        ],
    }


def _person(
    photographs: Sequence[Photograph],
    found: Reconstructions,
    artist: LikenessArtist,
    places: Sequence[int],
) -> Iterator[Row]:
    crops = (artist.photograph(photographs[n].portrait) for n in places)
    yield Row("photograph", tuple(map(Cell, crops)), opens=True)
    for label, likenesses in found.items():
        faces = (neutral_face(likenesses[n]) for n in places)
        drawn = (Cell(artist.turned(face, 0.0, light=_LIGHT)) for face in faces)
        yield Row(label, tuple(drawn))


def _sentence(spread: Spread) -> str:
    within = spread.within_mm[ALL]
    text = (
        f"{spread.label}: {within.mean():.2f} mm {_span(interval(within))} within, "
        f"{spread.between_mm.mean():.2f} mm between {len(within)} people"
    )
    text += "" if math.isnan(spread.ratio) else f", ratio {spread.ratio:.2f}"
    if len(spread.within_degrees):
        degrees = spread.within_degrees
        text += (
            f"; {degrees.mean():.1f}° {_span(interval(degrees), 1)} within, "
            f"{spread.between_degrees:.1f}° between"
        )
    return f"{text}."


def _difference(one: SpreadDifference) -> str:
    paired = one.millimetres
    return (
        f"{one.first} − {one.second}: {_signed(paired.mean_mm)} mm {_span(paired.ci95_mm, 3)}, "
        f"{paired.n_subjects} people, p {p_text(one.p_holm)}."
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _cells(spread: Spread, groups: Iterable[str]) -> Iterator[str]:
    for group in groups:
        values = spread.within_mm[group]
        yield f"{values.mean():.2f}" + (f"\n{_span(interval(values))}" if group == ALL else "")
    ratio = "" if math.isnan(spread.ratio) else f"\nratio {spread.ratio:.2f}"
    yield f"{spread.between_mm.mean():.2f}{ratio}"
    degrees = spread.within_degrees
    if not len(degrees):
        yield "–"
        return
    between = spread.between_degrees
    of = "" if math.isnan(between) else f"\nbetween {between:.1f}°"
    yield f"{degrees.mean():.1f}°\n{_span(interval(degrees), 1)}{of}"


def _values(spread: Spread) -> dict[str, object]:
    within: Mapping[str, object] = {
        group: {"mean": float(values.mean()), "ci95": list(vars(interval(values)).values())}
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
        "within_degrees_ci95": list(vars(interval(degrees)).values()) if len(degrees) else None,
        "between_degrees": spread.between_degrees,
    }


def _span(found: Interval, digits: int = 2) -> str:
    # With fewer than two people there is no interval; an empty text is better than "nan".
    if not math.isfinite(found.low):
        return ""
    return f"[{found.low:.{digits}f}, {found.high:.{digits}f}]".replace("-", "−")
