"""The guide to one's own method quotes the example as it is, and names every check there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "your-own-method.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "shrunk"


@pytest.mark.parametrize(
    ("language", "name"), [("python", "facebench_shrunk.py"), ("toml", "pyproject.toml")]
)
def test_quotes_are_verbatim(language: str, name: str) -> None:
    source = (EXAMPLE / name).read_text(encoding="utf-8")
    quotes = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert quotes and all(quote in source for quote in quotes)


def test_every_check_is_explained() -> None:
    checks = {
        name
        for path in (ROOT / "bench" / "conformance").glob("*.py")
        for name in re.findall(
            r'(?:success|warning|failure|compare)\(\s*"([a-z ]+)"', path.read_text()
        )
    }
    explained = set(re.split(r", |\n", "\n".join(re.findall(r"^\| ([a-z ,]+) \|", GUIDE, re.M))))
    told_in_words = {"loads", "expression", "speed", "file", "files", "names", "scenes", "subjects"}
    assert len(checks) > 20 and checks <= explained | told_in_words
