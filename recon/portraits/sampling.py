"""Evenly spaced items of a stream whose length is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class EvenSample(Generic[Item]):
    """Keeps every n-th item of a stream, n doubling when too many are held.

    Iterating gives at most `size` of the items held, the first among them, evenly spaced.

    Args:
        size: most items that iterating gives; fewer than twice as many are held.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._step = 1
        self._seen = 0
        self._held: list[Item] = []

    def wants_next(self) -> bool:
        """Whether the stream's next item would be held: only then it need be made."""
        return self._seen % self._step == 0

    def add(self, item: Item) -> None:
        """Hold the stream's next item."""
        self._held.append(item)
        self.skip()
        if len(self._held) >= 2 * self.size:
            self._held = self._held[::2]
            self._step *= 2

    def skip(self) -> None:
        """Pass over the stream's next item."""
        self._seen += 1

    def __iter__(self) -> Iterator[Item]:
        count = min(self.size, len(self._held))
        yield from (self._held[i * len(self._held) // count] for i in range(count))
