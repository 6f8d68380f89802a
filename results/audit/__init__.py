"""The page of an audit: one table, one figure, and what each choice is worth."""

from .folder import Audit, write_audit
from .tables import agreement_table, worth_table

__all__ = ["Audit", "agreement_table", "worth_table", "write_audit"]
