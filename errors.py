"""What a user is told: the one error, any error in a line, the nearest name, a finding."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

_CONTROLS = re.compile(
    # Controls, line ends and lone surrogates; then every format character of Unicode: marks that
    # turn a line round, join or part letters without being seen, or carry hidden text.
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""What moves a terminal's cursor, turns a line round or cannot be printed."""

STORE_MIRROR = "facebench-stores"
"""Folder of the cache whose paths stand for addresses of object stores; `recon.files.stores`."""
# From the beginning of a word only: begun anywhere, a long one would be gone through as often.
_MIRRORED = re.compile(rf"(?<![^\s'\"])[^\s'\"]*/{STORE_MIRROR}/(?:in|out)/([a-z0-9]+)/")

DEBUG = "FACEBENCH_DEBUG"
"""Environment variable that asks for tracebacks; `--debug` sets it."""
_LONGEST = 1000
_LONGEST_FOREIGN = 300


class FacebenchError(Exception):
    """A mistake in the input or its surroundings, told in one line.

    Args:
        message: what is wrong and where (the file, the subject, the option).
        hint: what to do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = one_line(message), one_line(hint)
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type[FacebenchError], tuple[str, str]]:
        """Keep both parts when the error crosses a process boundary."""
        return type(self), (self.message, self.hint)


def visible(text: object) -> str:
    """Text in which every character shows: what a terminal would obey is written as `\\x1b`."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], str(text))


def one_line(text: str) -> str:
    """Text of a file's name or content as one line that a terminal only shows, not obeys."""
    shown = with_addresses(visible(text))
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def with_addresses(text: str) -> str:
    """Text in which an object store's addresses stand in the place of the paths of their copies."""
    # Who gave an address knows nothing of the path that stands for it on this machine.
    return _MIRRORED.sub(r"\1://", text)


def debugging() -> bool:
    """Whether tracebacks are asked for, in this process or in the one that started it."""
    return os.environ.get(DEBUG, "").lower() not in ("", "0", "false", "no", "off")


def error_line(error: BaseException) -> str:
    """Any error in one line: ours in its own words, the system's in its, others with their type."""
    if isinstance(error, FacebenchError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename is not None else ""
        return one_line(f"{error.strerror}{place}")
    # Libraries explain at length; a row or a message has room for the first line.
    first = (str(error).strip().splitlines() or [""])[0][:_LONGEST_FOREIGN]
    return one_line(f"{type(error).__name__}: {first}" if first else type(error).__name__)


def some(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, and how many more there are."""
    hidden = len(names) - most
    return ", ".join(names[:most]) + (f" and {hidden} more" if hidden > 0 else "")


def count_of(count: int, one: str, many: str = "") -> str:
    """`1 vertex`, `2,000 vertices`; the plural has an s unless it is given."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def nearest_name(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name most like an unknown one; None where none is alike.

    Args:
        name: as somebody wrote it.
        known: the names there are.
        cutoff: similarity from 0 (anything) to 1 (equal).
    """
    import difflib

    # Whatever their capitals.
    names = {one.casefold(): one for one in reversed(list(known))}
    near = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=cutoff)
    return names[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that answers an unknown name with the nearest known one, or with all of them."""
    names = list(known)
    near = nearest_name(name, names)
    return f"did you mean '{near}'?" if near else f"known: {', '.join(names)}"


class Verdict(StrEnum):
    """How a check ended; only `FAILED` keeps something from working or makes its numbers wrong."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Attributes:
        check: what was looked at.
        verdict: how it ended.
        detail: what was found, in a few words.
        advice: what to do about it; empty when there is nothing to do.
    """

    check: str
    verdict: Verdict
    detail: str
    advice: str = ""


def success(check: str, detail: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Verdict.PASSED, detail)


def warning(check: str, detail: str, advice: str) -> Finding:
    """Allowed, and worth a thought."""
    return Finding(check, Verdict.WARNING, detail, advice)


def failure(check: str, detail: str, advice: str) -> Finding:
    """To be repaired."""
    return Finding(check, Verdict.FAILED, detail, advice)


def crash(check: str, error: Exception) -> Finding:
    """A check that an error ended."""
    if isinstance(error, FacebenchError):
        return failure(check, error.message, error.hint)
    return failure(check, error_line(error), "it raises: repair it")


def attempt(check: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """The findings of a check up to its end, or up to the error that ended it."""
    found: list[Finding] = []
    try:
        found.extend(look())
    except Exception as error:  # a method raises whatever it likes
        found.append(crash(check, error))
    return found
