"""Photographs in batches for measuring, in their stored order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from ....errors import FacebenchError
from ...losses.supervision import Supervision
from ..data.batches import collate, resized
from ..data.shards import Sample
from ..data.trainee import Photographs

MEASURED = 512
"""Photographs that are measured on at most."""

_CHUNK = 32


def in_batches(
    photographs: Photographs, rows: Sequence[int], size: int, device: torch.device
) -> Iterator[tuple[list[int], Supervision]]:
    """Rows that could be read and their photographs at a side of `size` px, a few at a time."""
    for first in range(0, len(rows), _CHUNK):
        read = [(row, _read(photographs, row)) for row in rows[first : first + _CHUNK]]
        kept = [(row, sample) for row, sample in read if sample is not None]
        if kept:
            batch = collate([resized(sample, size) for _, sample in kept])
            yield [row for row, _ in kept], batch.to(device)


def spread_rows(photographs: Photographs, number: int) -> list[int]:
    """At most `number` rows, evenly over all."""
    number = min(number, len(photographs))
    return [len(photographs) * i // number for i in range(number)]


def _read(photographs: Photographs, row: int) -> Sample | None:
    try:
        return photographs.sample(row)
    except FacebenchError:
        return None
