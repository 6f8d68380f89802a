"""Plain little-endian archives as eos writes them: numbers, matrices, lists, no header."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import FacebenchError

Number = TypeVar("Number", bound=np.generic)

_LONGEST_NAME = 200


class EosArchive:
    """Reads one value after the other.

    Args:
        path: the file.
        fetch: where the right file comes from, for errors.

    Raises:
        FacebenchError: the file cannot be read; so does every method at a truncated file.
    """

    def __init__(self, path: Path, fetch: str) -> None:
        self._path, self._fetch, self._offset = path, fetch, 0
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise FacebenchError(f"{path}: unreadable ({error.strerror})", fetch) from error

    def u32(self) -> int:
        """An unsigned 32-bit number."""
        return int(self._take(np.uint32, 1)[0])

    def u64(self) -> int:
        """An unsigned 64-bit number, a list's length."""
        return int(self._take(np.uint64, 1)[0])

    def matrix(self) -> NDArray[np.float32]:
        """A float32 matrix: rows, columns, entries column by column."""
        rows, columns = (int(n) for n in self._take(np.int32, 2))
        if rows < 0 or columns < 0:
            raise self._broken(f"a matrix of {rows} × {columns}")
        return self._take(np.float32, rows * columns).reshape(columns, rows).T

    def triples(self) -> NDArray[np.int32]:
        """A list of three int32 each, (N, 3)."""
        return self._take(np.int32, 3 * self.u64()).reshape(-1, 3)

    def pairs(self) -> NDArray[np.float64]:
        """A list of two float64 each, (N, 2)."""
        return self._take(np.float64, 2 * self.u64()).reshape(-1, 2)

    def name(self) -> str:
        """A text with its length."""
        length = self.u64()
        if length > _LONGEST_NAME:
            raise self._broken(f"a name of {length} letters")
        return self._take(np.uint8, length).tobytes().decode(errors="replace")

    def end(self) -> None:
        """Refuse an archive that goes on."""
        rest = len(self._content) - self._offset
        if rest:
            raise self._broken(f"{rest} bytes after its end")

    def _take(self, kind: type[Number], count: int) -> NDArray[Number]:
        stored = np.dtype(kind).newbyteorder("<")
        if stored.itemsize * count > len(self._content) - self._offset:
            raise self._broken(f"{count} numbers do not fit after byte {self._offset}")
        values = np.frombuffer(self._content, stored, count, self._offset)
        self._offset += values.nbytes
        return values.astype(kind)

    def _broken(self, what: str) -> FacebenchError:
        return FacebenchError(
            f"{self._path}: truncated or no eos archive ({what})", f"copy it again; {self._fetch}"
        )
