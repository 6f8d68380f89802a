"""Runs compared: built by `compare` as plain records, written in five forms by `tables`."""

from __future__ import annotations

from .comparison import TIE_MM, Comparison, RunGroup, RunPair, compare, refuse_groups
from .tables import FORMS, comparison_tables, comparison_text

__all__ = [
    "FORMS",
    "TIE_MM",
    "Comparison",
    "RunGroup",
    "RunPair",
    "compare",
    "comparison_tables",
    "refuse_groups",
    "comparison_text",
]
