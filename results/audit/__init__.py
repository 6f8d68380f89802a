"""The page of an audit: one table, one figure, and what each choice is worth."""

from .agreement import Worth, agreement_table, worth_table, worths
from .folder import Audit, write_audit

__all__ = ["Audit", "Worth", "agreement_table", "worth_table", "worths", "write_audit"]
