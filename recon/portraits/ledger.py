"""What a reconstruction has already done: one line a photograph or video, as it was finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files.field_types import checked
from ..files.text import parsed_json
from .photographs import Source

NAME = "portraits.jsonl"


@dataclass(frozen=True)
class Portrait:
    """What became of one photograph or video.

    Attributes:
        name: of the source.
        source: its path.
        frames: read; 1 for a photograph.
        faces: reconstructed in them.
        files: written, relative to the output folder; or empty.
        reason: why nothing was written, or what was missing; else empty.
        kept: whether it was there already.
    """

    name: str
    source: str
    frames: int
    faces: int
    files: tuple[str, ...] = ()
    reason: str = ""
    kept: bool = False


class PortraitLedger:
    """The finished sources of an output folder, in `portraits.jsonl`.

    A source counts as done when it was reconstructed with the same settings, has not changed since,
    and all its files are there. Those that failed are tried again.

    Args:
        out: the output folder.
        settings: everything that decides what is written, as plain values.
        forget: whether earlier lines are passed over, so that everything is done again.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], forget: bool = False) -> None:
        self.out = out
        text = json.dumps(settings, sort_keys=True, default=str)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self._rows = {} if forget else dict(_rows(out / NAME))

    def kept(self, source: Source) -> Portrait | None:
        """The source's portrait when it is done, else None."""
        row = self._rows.get(self._key(source))
        if row is None or not row.files:
            return None
        return row if all((self.out / name).is_file() for name in row.files) else None

    def add(self, source: Source, portrait: Portrait) -> None:
        """Write down what became of a source."""
        self.out.mkdir(parents=True, exist_ok=True)
        row = {"key": self._key(source), "portrait": asdict(portrait)}
        with (self.out / NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _key(self, source: Source) -> str:
        facts = [self.digest, source.name, *(_state(path) for path in (source.path, source.boxes))]
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _rows(path: Path) -> Iterator[tuple[str, Portrait]]:
    """Key and portrait of the ledger's lines; one cut off by an interruption is passed over."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = parsed_json(line)
                yield str(row["key"]), _portrait(row["portrait"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


def _portrait(values: dict[str, Any]) -> Portrait:
    """A portrait that is there already.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the values are not one's.
    """
    portrait = checked(Portrait(**{**values, "files": tuple(values["files"]), "kept": True}))
    if any("\0" in name for name in portrait.files):
        raise ValueError("no names of files")
    return portrait


def _state(path: Path | None) -> str:
    """Path, size and time of last change, or that there is no such file."""
    try:
        state = path.stat() if path is not None else None
    except OSError:
        state = None
    return f"{path} {state.st_size} {state.st_mtime_ns}" if state else f"{path} none"
