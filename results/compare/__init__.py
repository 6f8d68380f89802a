"""Runs compared: built as plain records by `compare`, drawn in five forms."""

from __future__ import annotations

from .comparison import (
    TIE_MM,
    Comparison,
    RunFacts,
    RunGroup,
    RunPair,
    Tally,
    compare,
    refuse_groups,
)
from .forms import FORMS, written

__all__ = [
    "FORMS",
    "TIE_MM",
    "Comparison",
    "RunFacts",
    "RunGroup",
    "RunPair",
    "Tally",
    "compare",
    "refuse_groups",
    "written",
]
