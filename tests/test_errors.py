"""The one error a user sees."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from facebench.errors import FacebenchError


@given(st.text(), st.text())
def test_both_parts_cross_a_process_boundary(message: str, hint: str) -> None:
    error = pickle.loads(pickle.dumps(FacebenchError(message, hint)))
    assert (error.message, error.hint) == (message, hint)
    assert str(error) == str(FacebenchError(message, hint))


def test_the_line_ends_with_the_hint() -> None:
    assert str(FacebenchError("face.npz: no such file", "give a path")) == (
        "face.npz: no such file: give a path"
    )
    assert str(FacebenchError("stopped")) == "stopped"
