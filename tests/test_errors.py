"""The one error a user sees."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from facebench.errors import FacebenchError, did_you_mean, error_line, nearest_name, one_line


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


def test_any_error_is_one_line_with_its_kind() -> None:
    assert error_line(FacebenchError("face.npz: damaged", "export it again")) == (
        "face.npz: damaged: export it again"
    )
    assert error_line(FileNotFoundError(2, "No such file or directory", "a\nb")) == (
        r"No such file or directory: a\nb"
    )
    assert error_line(ValueError("first\nsecond")) == "ValueError: first"
    assert error_line(KeyError()) == "KeyError"
    assert len(error_line(RuntimeError("x" * 5000))) < 400


@given(st.text(min_size=1), st.lists(st.text(), unique=True))
def test_an_unknown_name_is_answered_with_a_known_one_or_with_all(
    name: str, known: list[str]
) -> None:
    near = nearest_name(name, known)
    assert near is None or near in known
    assert nearest_name(name, [*known, name]) == name
    hint = did_you_mean(name, known)
    assert (near in hint) if near is not None else all(each in hint for each in known)


def test_addresses_stand_for_copies_in_text_of_any_length() -> None:
    copy = "/home/a/.cache/facebench-stores/in/s3/lab/x"
    assert one_line(f"cannot read '{copy}': damaged") == "cannot read 's3://lab/x': damaged"
    # A word of a damaged file: hours, were each of its letters a beginning.
    assert len(one_line("[" * 3_000_000)) < 10_000
