"""Runs compared: built as plain records by `compare`, written in five forms by `written`."""

from __future__ import annotations

from .comparison import TIE_MM, Comparison, RunFacts, RunGroup, RunPair, compare, refuse_groups
from .tables import FORMS, comparison_tables, comparison_text

__all__ = [
    "FORMS",
    "TIE_MM",
    "Comparison",
    "RunFacts",
    "RunGroup",
    "RunPair",
    "compare",
    "comparison_tables",
    "refuse_groups",
    "comparison_text",
]
