"""The forms in which a comparison is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import MappingProxyType

from rich.console import Console

from ..files import finite
from ..tables.writers import csv_text
from .comparison import Comparison
from .latex import comparison_latex
from .markdown import comparison_markdown
from .terminal import comparison_tables
from .values import COLUMNS, comparison_lines, comparison_values


def written(comparison: Comparison, form: str) -> str:
    """A comparison as text, ending in a new line.

    Args:
        comparison: what is written.
        form: one of `FORMS`.
    """
    return FORMS[form](comparison)


def _drawn(comparison: Comparison) -> str:
    console = Console(highlight=False, markup=False)
    with console.capture() as capture:
        console.print(*comparison_tables(comparison), sep="\n")
    return capture.get()


def _csv(comparison: Comparison) -> str:
    return csv_text(comparison_lines(comparison), COLUMNS)


def _json(comparison: Comparison) -> str:
    values = finite(comparison_values(comparison))
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMS: MappingProxyType[str, Callable[[Comparison], str]] = MappingProxyType(
    {
        "table": _drawn,
        "markdown": comparison_markdown,
        "latex": comparison_latex,
        "csv": _csv,
        "json": _json,
    }
)
"""Each form's writer."""
