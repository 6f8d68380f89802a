"""How methods are named for a table or a figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.bench.method.registry import MethodChoice, method_choices
from facebench.errors import FacebenchError


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("ours", MethodChoice("ours", None, "ours")),
        ("ours=a/w.pt", MethodChoice("ours", Path("a/w.pt"), "ours")),
        ("ours = a b/w.pt as mine, long", MethodChoice("ours", Path("a b/w.pt"), "mine, long")),
        ("meshes:theirs as theirs", MethodChoice("meshes:theirs", None, "theirs")),
    ],
)
def test_a_text_is_a_choice(text: str, choice: MethodChoice) -> None:
    assert MethodChoice.parse(text) == choice


@pytest.mark.parametrize("text", ["", "=a.pt", "ours=", "ours as ", " as mine"])
def test_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(FacebenchError, match="not understood"):
        MethodChoice.parse(text)


def test_weights_of_one_method_are_told_apart_by_their_folders() -> None:
    labels = [one.label for one in method_choices(["ours=a/w.pt", "ours=b/w.pt", "ours"])]
    assert labels == ["ours (a)", "ours (b)", "ours"]


def test_one_label_twice_is_refused() -> None:
    with pytest.raises(FacebenchError, match="two methods are called 'ours'"):
        method_choices(["ours", "ours"])
