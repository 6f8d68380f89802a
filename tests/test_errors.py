"""The one error a user sees."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from facebench.errors import FacebenchError, one_line


@given(st.text(), st.text())
def test_both_parts_cross_a_process_boundary(message: str, hint: str) -> None:
    error = pickle.loads(pickle.dumps(FacebenchError(message, hint)))
    assert (error.message, error.hint) == (one_line(message), one_line(hint))
    assert str(error) == str(FacebenchError(message, hint))


@given(st.text())
def test_any_text_is_one_line_that_moves_no_cursor(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1 and len(line) <= 1000
    assert line.isprintable() or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line)
    assert one_line(line) == line
    assert text != line or str(FacebenchError(text)) == text


def test_what_obeys_a_terminal_is_shown() -> None:
    assert one_line("a\nb\x1b[2J") == r"a\nb\x1b[2J"


def test_the_line_ends_with_the_hint() -> None:
    assert str(FacebenchError("face.npz: no such file", "give a path")) == (
        "face.npz: no such file: give a path"
    )
    assert str(FacebenchError("stopped")) == "stopped"
