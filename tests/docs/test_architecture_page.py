"""The pages for a successor name what is there: layers, files, records, equations, words."""

from __future__ import annotations

import importlib
import re
import runpy

import pytest
from doc_pages import DOCS, ROOT

PAGES = ("architecture.md", "method.md", "decisions.md", "extending.md")


def text(page: str) -> str:
    return (DOCS / page).read_text("utf-8")


def test_the_layers_are_those_that_the_test_asserts() -> None:
    folders = runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))["FOLDERS"]
    rows = dict(re.findall(r"^\| `(\w+)/` \| (.+) \|$", text("architecture.md"), re.MULTILINE))
    assert {layer: tuple(row.split(" · ")) for layer, row in rows.items()} == folders


@pytest.mark.parametrize("page", PAGES)
def test_every_path_is_there(page: str) -> None:
    paths = re.findall(
        r"`((?:bench|recon|results|distributed|cli|tests|docs)/[\w/.-]*)`", text(page)
    )
    assert paths
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def test_every_record_is_there() -> None:
    named = re.findall(r"\| `((?:bench|results)\.[\w.]+)\.(\w+)` \|", text("architecture.md"))
    assert len(named) == 7
    for module, record in named:
        assert hasattr(importlib.import_module(f"facebench.{module}"), record), record


def test_every_equation_that_the_code_cites_is_on_the_page() -> None:
    stated = {int(n) for n in re.findall(r"\((\d+)\)", re.sub(r"\(\d{4}\)", "", text("method.md")))}
    cited = {
        int(number)
        for layer in ("recon", "bench")
        for path in (ROOT / layer).rglob("*.py")
        for first, last in re.findall(
            r"METHOD eq\. (\d+)(?: (?:and|to) (\d+))?", path.read_text("utf-8")
        )
        for number in (first, last)
        if number
    }
    assert cited and cited <= stated == set(range(1, 14))


def test_the_words_are_in_order_and_once() -> None:
    words = re.findall(r"^\| ([\w -]+) \| ", text("glossary.md"), re.MULTILINE)[1:]
    assert len(words) >= 39
    assert words == sorted(set(words), key=str.lower)


def test_the_examples_of_extending_are_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", text("extending.md"), re.DOTALL)
    assert len(blocks) == 2
    scope: dict[str, object] = {}
    exec(blocks[0], scope)
    assert callable(scope["read"])
    module, names = re.findall(r"from (facebench\.\S+) import (.+)", blocks[1])[0]
    assert all(hasattr(importlib.import_module(module), name) for name in names.split(", "))
