"""The literature's numbers, with their source: shown beside runs, never mixed with them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from ...bench.method.interface import MethodCard


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
    """

    method: str
    title: str
    scene: str
    mean_mm: float
    std_mm: float
    dataset: str
    source: str


def published_results() -> tuple[Published, ...]:
    """Every row of `published.csv`, in the file's order."""
    text = files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(_parse(row) for row in csv.DictReader(text.splitlines()))


def by_method(results: Iterable[Published]) -> dict[str, tuple[Published, ...]]:
    """The rows of each method, methods in the order of their first row."""
    grouped: dict[str, list[Published]] = {}
    for result in results:
        grouped.setdefault(result.method, []).append(result)
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
