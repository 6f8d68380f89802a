"""Whether a run is good enough: rules from a file, held against its numbers and a baseline's."""

from __future__ import annotations

from .baseline import Baseline, update_baseline
from .evaluate import evaluate, not_measured
from .rules import KINDS, Completeness, Coverage, Limit, Paper, Regression, Rule, Speed, read_rules
from .verdict import Check, Status, Verdict

__all__ = [
    "KINDS",
    "Baseline",
    "Check",
    "Completeness",
    "Coverage",
    "Limit",
    "Paper",
    "Regression",
    "Rule",
    "Speed",
    "Status",
    "Verdict",
    "evaluate",
    "not_measured",
    "read_rules",
    "update_baseline",
]
