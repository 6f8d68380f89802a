"""The page of an audit: one table, one figure, and what each choice is worth."""

from .folder import Audit, write_audit
from .tables import agreement_table, worth_table
from .worth import Worth, worths

__all__ = ["Audit", "Worth", "agreement_table", "worth_table", "worths", "write_audit"]
