"""What is measured: datasets, methods, the protocol and its scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scoring.evaluate import Evaluation, EvaluationError, evaluate

__all__ = ["Evaluation", "EvaluationError", "evaluate"]


def __getattr__(name: str) -> Any:
    """Import what measures a pair when it is first asked for (PEP 562): Open3D takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .scoring import evaluate as evaluate_pair

    return getattr(evaluate_pair, name)
