"""Sets of predictions and scans that belong together by their names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..meshes.files import FORMATS


@dataclass(frozen=True)
class Pair:
    """A prediction and the scan of the same person.

    Attributes:
        name: unique in its set, for example `FaMoS_1/selfie/IMG_1`.
        group: what tables put together, for example NoW's challenge; may be empty.
        prediction, scan: files, or None where one is missing.
        prediction_landmarks, scan_landmarks: files, or None.
        reason: why it cannot be measured; else empty.
    """

    name: str
    group: str = ""
    prediction: Path | None = None
    scan: Path | None = None
    prediction_landmarks: Path | None = None
    scan_landmarks: Path | None = None
    reason: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read of it."""
        given = (self.prediction, self.scan, self.prediction_landmarks, self.scan_landmarks)
        return tuple(path for path in given if path is not None)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sizes and times of its files: a changed pair is measured again."""
        states = [(path, path.stat()) for path in self.files if path.is_file()]
        told = [f"{path} {state.st_size} {state.st_mtime_ns}" for path, state in states]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


@dataclass(frozen=True)
class PairSet:
    """Pairs to be measured together.

    Attributes:
        name: `pairs` or `now`.
        pairs: sorted by name; also those that lack a file.
    """

    name: str
    pairs: tuple[Pair, ...]


def meshes_below(folder: Path) -> dict[str, list[Path]]:
    """Every mesh file below a folder by its relative path without the ending, sorted."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in FORMATS and path.is_file() and not hidden:
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found
