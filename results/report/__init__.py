"""The page of a run: tables, charts, heat maps and provenance in one self-contained file."""

from .page import write_report

__all__ = ["write_report"]
