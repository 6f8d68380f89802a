"""As many modes as a method wants: the first of a model's, or padded with zeros."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .model import Float32Array, MorphableModel


@dataclass(frozen=True)
class ModeCounts:
    """Modes wanted of each kind; None keeps what the model has.

    The paper's are 100, 80 and 100.
    """

    identity: int | None = None
    expression: int | None = None
    albedo: int | None = None


def with_mode_counts(model: MorphableModel, counts: ModeCounts) -> MorphableModel:
    """The model with the first modes of each kind; where it has fewer, columns of zeros follow."""
    changes: dict[str, object] = {}
    for kind in ("identity", "expression", "albedo"):
        count = getattr(counts, kind)
        if count is not None:
            changes[f"{kind}_basis"] = _sized(getattr(model, f"{kind}_basis"), count)
            changes[f"{kind}_names"] = _named(getattr(model, f"{kind}_names"), count)
    return replace(model, **changes)  # type: ignore[arg-type]


def padding(model: MorphableModel, counts: ModeCounts) -> dict[str, int]:
    """Columns of zeros that the counts add, by kind; kinds without any are left out."""
    wanted = {kind: getattr(counts, kind) for kind in ("identity", "expression", "albedo")}
    missing = {
        kind: count - getattr(model, f"{kind}_basis").shape[2]
        for kind, count in wanted.items()
        if count is not None
    }
    return {kind: count for kind, count in missing.items() if count > 0}


def _sized(basis: Float32Array, count: int) -> Float32Array:
    added = max(0, count - basis.shape[2])
    padded: Float32Array = np.pad(basis[:, :, :count], ((0, 0), (0, 0), (0, added)))
    return padded


def _named(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    if not names:
        return ()
    return names[:count] + tuple(f"zero_{i}" for i in range(len(names), count))
