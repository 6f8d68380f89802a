"""The page of an audit: protocols against the truth, and what each choice in one changes."""

from .agreement import Agreement, agreement
from .folder import Audit, write_audit
from .sensitivity import Sensitivity, sensitivities
from .tables import agreement_table, predictor_table, sensitivity_table

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
