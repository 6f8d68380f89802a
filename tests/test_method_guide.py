"""The guides to one's own method and dataset quote the example as it is, and name every check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "your-own-method.md").read_text(encoding="utf-8")
DATASET_GUIDE = (ROOT / "docs" / "your-own-dataset.md").read_text(encoding="utf-8")
IN_WORDS = {"loads", "expression", "speed", "file", "files", "names", "scenes", "subjects"}
"""Checks of a method that the guide tells of in sentences, not in the table."""
EXAMPLE = ROOT / "docs" / "examples" / "shrunk"


@pytest.mark.parametrize(
    ("language", "name"), [("python", "facebench_shrunk.py"), ("toml", "pyproject.toml")]
)
def test_quotes_are_verbatim(language: str, name: str) -> None:
    source = (EXAMPLE / name).read_text(encoding="utf-8")
    quotes = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert quotes and all(quote in source for quote in quotes)


@pytest.mark.parametrize(
    ("pattern", "guide", "least", "told_in_words"),
    [
        ("[!d]*.py", GUIDE, 20, IN_WORDS),
        ("dataset.py", DATASET_GUIDE, 12, set()),
    ],
    ids=["method", "dataset"],
)
def test_every_check_is_explained(
    pattern: str, guide: str, least: int, told_in_words: set[str]
) -> None:
    checks = {
        name
        for path in (ROOT / "bench" / "conformance").glob(pattern)
        for name in re.findall(
            r'(?:success|warning|failure|compare)\(\s*"([a-z ]+)"', path.read_text()
        )
    }
    explained = set(re.split(r", |\n", "\n".join(re.findall(r"^\| ([a-z ,]+) \|", guide, re.M))))
    assert len(checks) > least and checks <= explained | told_in_words
