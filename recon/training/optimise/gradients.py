"""How hard each level of the loss pulls at the coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...face.coefficients import Coefficients


def gradient_norms(levels: Mapping[str, Tensor], coefficients: Coefficients) -> dict[str, float]:
    """Euclidean norm of each level's gradient with respect to all coefficients of the batch.

    Cheap beside a step: the network is not gone through. The graph is kept for the step itself.

    Args:
        levels: weighted levels (), by name.
        coefficients: what they were computed from.
    """
    parts = [part for part in vars(coefficients).values() if part.requires_grad]
    return {name: _norm(level, parts) for name, level in levels.items()}


def _norm(level: Tensor, parts: Sequence[Tensor]) -> float:
    if not level.requires_grad:
        return 0.0
    found = torch.autograd.grad(level, parts, retain_graph=True, allow_unused=True)
    squares = [part.square().sum() for part in found if part is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
