"""The one error a user sees: what is wrong, where, and what to do about it."""

import re

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a terminal's cursor, turns a line round or cannot be printed."""

_LONGEST = 1000


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

    def __reduce__(self) -> tuple[type["FacebenchError"], tuple[str, str]]:
        """Keep both parts when the error crosses a process boundary."""
        return type(self), (self.message, self.hint)


def one_line(text: str) -> str:
    """Text of a file's name or content as one line that a terminal only shows, not obeys."""
    shown = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], str(text))
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def reason_of(error: BaseException) -> str:
    """The first line of what a library says about a file, or the name of its error."""
    lines = str(error).strip().splitlines()
    return one_line(lines[0]) if lines else type(error).__name__
