"""The page of an audit: protocols against the truth, and what each choice in one changes."""

from .agreement import Agreement, Sensitivity, agreement, sensitivities
from .folder import Audit, agreement_table, predictor_table, sensitivity_table, write_audit

__all__ = [
    "Agreement",
    "Audit",
    "Sensitivity",
    "agreement",
    "agreement_table",
    "predictor_table",
    "sensitivities",
    "sensitivity_table",
    "write_audit",
]
