"""What one step of a training found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StepReport:
    """What one step found.

    Attributes:
        total: the weighted sum, before the step.
        levels: each level of the loss, unweighted.
        images: photographs in the batch.
        applied: False where the loss or its gradient was not finite and the step was left out.
        gradients: norm of each weighted level's gradient; empty where it was not measured.
    """

    total: float
    levels: Mapping[str, float]
    images: int
    applied: bool
    gradients: Mapping[str, float] = field(default_factory=dict)
