"""The literature's numbers, with their source: shown beside runs, never mixed with them."""

from __future__ import annotations

import csv
import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

from ...bench.method.interface import MethodCard
from ...bench.scoring.statistics import deviation, mean
from ...errors import FacebenchError
from ...recon.files.text import MOST_JSON_BYTES, SPREADSHEET, decode_text, read_bytes, table_rows

ASKED = "columns: method, scene, and mean_mm (std_mm), or subject and error_mm"
FEWEST_DIGITS = 8
"""Of a protocol's digest in a file, as tables show it."""
_LEAST_MM = 0.01
"""No two surfaces that were measured are nearer; in metres errors of faces are 0.001."""
_MOST_MM = 100.0
"""As large as a head: micrometres, or a decimal point that was lost."""
_ROUNDED_MM = 0.0051
"""By which a mean that is printed with two digits may be off."""


@dataclass(frozen=True)
class Published:
    """One number as printed in a paper.

    Attributes:
        method: short name, as on a method's card.
        title: how a table calls it.
        scene: one of the dataset's scenes.
        mean_mm: mean over subjects, mm.
        std_mm: standard deviation over subjects, mm.
        dataset: the set it was measured on.
        source: publication and table.
        imported: whether a user's file says so, not a paper that the package cites.
        errors: of each subject where they are known, by name, mm.
        protocol: digest of the protocol that the file claims they were measured by, or empty.
        completeness: of each subject in `errors`, the share of the scan that was covered; or none.
    """

    method: str
    title: str
    scene: str
    mean_mm: float
    std_mm: float
    dataset: str
    source: str
    imported: bool = False
    errors: tuple[tuple[str, float], ...] = ()
    protocol: str = ""
    completeness: tuple[float, ...] = ()


def published_results() -> tuple[Published, ...]:
    """Every row of `published.csv`, in the file's order."""
    text = files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(_parse(row) for row in csv.DictReader(text.splitlines()))


def read_results(path: Path) -> tuple[Published, ...]:
    """Other people's numbers from a CSV file: means as papers print them, or every subject's.

    Several scans of a subject (`scan`) become its mean, as in a run.

    Raises:
        FacebenchError: the file cannot be read, or a line of it; tells the line.
    """
    try:
        rows = table_rows(decode_text(read_bytes(path, MOST_JSON_BYTES), SPREADSHEET))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FacebenchError(f"{path} cannot be read: {reason}") from error
    head = [name.lower() for name in rows[0][1]] if rows else []
    if twice := next((name for name in head if name and head.count(name) > 1), ""):
        raise FacebenchError(f"{path} has two columns {twice}", ASKED)
    if not {"method", "scene"} <= set(head) or not set(head) & {"mean_mm", "error_mm"}:
        raise FacebenchError(f"{path} is no table of results", ASKED)
    lines: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for number, cells in rows[1:]:
        if any(cells[len(head) :]):
            # Of a decimal comma between commas the half behind it would be lost in silence.
            raise FacebenchError(f"{path} line {number} has more cells than the first", ASKED)
        line = dict(zip_longest(head, cells[: len(head)], fillvalue=""))
        line[""] = f"{path} line {number}"
        if not line["method"] or not line["scene"]:
            raise FacebenchError(f"{line['']} has no method or no scene", ASKED)
        lines[line["method"], line["scene"]].append(line)
    if not lines:
        raise FacebenchError(f"{path} holds no results", ASKED)
    return tuple(_import(rows, path.name) for rows in lines.values())


def _import(lines: Sequence[dict[str, str]], file: str) -> Published:
    """One method in one scene, of the lines that speak of it."""
    first = lines[0]
    by_subject: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, list[float]] = defaultdict(list)
    _refuse_mixture(lines)
    for line in lines:
        if line.get("subject"):
            by_subject[line["subject"]].append(_length(line, "error_mm"))
            shares[line["subject"]].append(_share(line))
    alone = len(lines) == 1 and not by_subject
    if not alone and sum(map(len, by_subject.values())) != len(lines):
        raise FacebenchError(
            f"{lines[-1]['']}: {first['method']} in {first['scene']} has several lines, and not "
            "each names its subject",
            ASKED,
        )
    errors = tuple((name, mean(values)) for name, values in by_subject.items())
    values = [error for _, error in errors]
    if values and first.get("mean_mm"):
        stated = _length(first, "mean_mm")
        if abs(stated - mean(values)) > max(_ROUNDED_MM, 0.01 * stated):
            raise FacebenchError(
                f"{first['']}: mean_mm is {stated:g}, and the mean of its subjects' errors "
                f"{mean(values):.4g}",
                "leave mean_mm out, or correct it",
            )
    std = _length(first, "std_mm") if first.get("std_mm") else math.nan
    protocol = first.get("protocol", "").lower()
    if protocol and (len(protocol) < FEWEST_DIGITS or set(protocol) - set("0123456789abcdef")):
        raise FacebenchError(
            f"{first['']}: {protocol!r} is no digest of a protocol",
            f"give {FEWEST_DIGITS} or more of its digits: facebench protocols",
        )
    return Published(
        # Not the bare name: a published method may be called so, and is another row.
        method=f"{file}: {first['method']}",
        title=first.get("title") or first["method"],
        scene=first["scene"],
        mean_mm=mean(values) if values else _length(first, "mean_mm"),
        std_mm=(deviation(values) if len(values) > 1 else math.nan) if values else std,
        dataset=first.get("dataset", ""),
        source=first.get("source") or file,
        imported=True,
        errors=errors,
        protocol=protocol,
        completeness=tuple(map(mean, shares.values())),
    )


def _refuse_mixture(lines: Sequence[dict[str, str]]) -> None:
    """One row's lines speak of one measurement, and of each scan of each person once."""
    seen: dict[str, str] = {}
    for line in lines:
        for column in ("dataset", "protocol", "source", "title"):
            if line.get(column, "") != lines[0].get(column, ""):
                raise FacebenchError(
                    f"{line['']}: {column} is {line.get(column, '')!r}, in the first line of "
                    f"{line['method']} in {line['scene']} {lines[0].get(column, '')!r}",
                    "give one for all, or another method",
                )
        if name := line.get("subject", ""):
            scan = f"{name}/{line.get('scan', '')}"
            # As people type a name, and as systems write it.
            first = seen.setdefault(unicodedata.normalize("NFC", scan).casefold(), line[""])
            if first != line[""]:
                raise FacebenchError(
                    f"{line['']}: {name} in {line['scene']} is there already ({first})",
                    "tell several scans of a subject apart by a column scan",
                )


def _length(line: dict[str, str], column: str) -> float:
    try:
        # Python takes 1_000 for a number; files never mean it.
        value = float((line.get(column) or "nothing").replace("_", "no number"))
    except ValueError:
        value = math.nan
    if column != "std_mm" and 0 < value < _LEAST_MM:
        raise FacebenchError(
            f"{line['']}: {column} is {line[column]}: these look like metres", "give millimetres"
        )
    if _MOST_MM < value < math.inf:
        raise FacebenchError(
            f"{line['']}: {column} is {line[column]}: no face is as wrong", "give millimetres"
        )
    if not (math.isfinite(value) and value >= 0):
        shown = line.get(column) or "empty"
        raise FacebenchError(f"{line['']}: {column} is {shown}, not a length in mm", ASKED)
    return value


def _share(line: dict[str, str]) -> float:
    """The completeness of a line, NaN where it states none."""
    if not (said := line.get("completeness", "")):
        return math.nan
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise FacebenchError(f"{line['']}: completeness is {said}, not a share", "give 0 to 1")
    return value


def by_method(results: Iterable[Published]) -> dict[str, tuple[Published, ...]]:
    """The rows of each method, methods in the order of their first row.

    Raises:
        FacebenchError: two imported methods have one title, one has two, or a scene twice.
    """
    grouped: dict[str, list[Published]] = {}
    owner: dict[str, str] = {}
    for result in results:
        rows = grouped.setdefault(result.method, [])
        # Of two rows a table would show one, and a test mix their people's errors.
        twice = any(row.scene == result.scene or row.title != result.title for row in rows)
        if result.imported and (twice or owner.get(result.title, result.method) != result.method):
            raise FacebenchError(
                f"{result.method} in {result.scene}: there is another '{result.title}', or this "
                "scene of it twice",
                "give each method one title, and each file a name of its own",
            )
        rows.append(result)
        owner[result.title] = result.method
    return {method: tuple(rows) for method, rows in grouped.items()}


def with_published(card: MethodCard) -> MethodCard:
    """A method's card with its rows of `published.csv`.

    What outside methods state on their own cards stays.
    """
    rows = by_method(published_results()).get(card.name, ())
    known = tuple((row.scene, row.mean_mm, row.std_mm) for row in rows)
    return replace(card, published=card.published or known)


def sources(results: Sequence[Published]) -> tuple[str, ...]:
    """Each source once, in order."""
    return tuple(dict.fromkeys(result.source for result in results))


def _parse(row: dict[str, str]) -> Published:
    numbers = {"mean_mm": float(row["mean_mm"]), "std_mm": float(row["std_mm"])}
    return Published(**{**row, **numbers})  # type: ignore[arg-type]
