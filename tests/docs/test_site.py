"""The site has every page, and its settings load nothing from the network."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from doc_pages import DOCS, ROOT, pages

SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))


def places(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for place in entry.values():
            yield from places(place) if isinstance(place, list) else [place]


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(places(SITE["nav"])) == pages()


def test_no_font_and_no_script_comes_from_elsewhere() -> None:
    assert SITE["theme"]["font"] is False
    assert "extra_javascript" not in SITE
    for sheet in SITE["extra_css"]:
        assert not re.search(r"@import|url\(", (DOCS / sheet).read_text("utf-8"))
    assert "offline" not in SITE["plugins"]  # it loads a script from a public server


def test_options_stay_in_one_piece() -> None:
    space: dict[str, Any] = runpy.run_path(str(DOCS / "hooks" / "commands.py"))
    code = '<code class="a --b"><span id="c-0-1"></span>a-b --set x=1 -v</code> --not'
    assert space["on_page_content"](code) == (
        '<code class="a --b"><span id="c-0-1"></span>a-b <span class="whole">--set</span> x=1 '
        '<span class="whole">-v</span></code> --not'
    )
    assert ".whole { white-space: nowrap; }" in (DOCS / SITE["extra_css"][0]).read_text("utf-8")


@pytest.mark.parametrize("page", pages())
def test_relative_links_lead_to_files_that_are_there(page: str) -> None:
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text("utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    relative = [link for link in links if not link.startswith("http")]
    assert all((DOCS / page).parent.joinpath(link).is_file() for link in relative)


def test_the_reference_names_what_is_there() -> None:
    named = [
        name
        for page in DOCS.glob("reference/*.md")
        for name in re.findall(r"^::: facebench\.(\S+)$", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(named) > 30
    for name in named:
        module, _, member = name.rpartition(".")
        file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        if file.is_file():
            assert re.search(rf"^(class|def) {member}\b", file.read_text("utf-8"), re.MULTILINE)
        else:
            place = ROOT.joinpath(*name.split("."))
            assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def test_pages_name_modules_that_are_there() -> None:
    folders = ("bench", "cli", "distributed", "docs", "recon", "results", "tests")
    paths = [
        *ROOT.glob("*.py"),
        *(path for part in folders for path in (ROOT / part).rglob("*.py")),
    ]
    there = {path.name for path in paths}
    elsewhere = {"compute_error.py"}  # NoW's own
    for page in pages():
        named = re.findall(r"`(?:[\w.-]+/)*([\w-]+\.py)`", (DOCS / page).read_text("utf-8"))
        assert not set(named) - there - elsewhere, page
