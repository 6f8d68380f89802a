"""Files outside `docs/` that a page links to go into the site, so that the links work there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"\]\((\.\./[^)#\s]+)\)")
FOLDER = "repository"
"""Of the site, with the repository's own paths in it."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside of `docs/` that a page links to."""
    for page in files.documentation_pages():
        for link in LINK.findall(page.content_string):
            place = _outside(page, link, config)
            if place is not None and files.get_file_from_path(_in_site(place)) is None:
                source = _root(config) / place
                files.append(File.generated(config, _in_site(place), abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead such links to the copies."""

    def replaced(match: re.Match[str]) -> str:
        target = _target(page.file, match[1], config)
        if not target.is_file():
            return match[0]
        docs = Path(config.docs_dir)
        inside = target.is_relative_to(docs)
        place = str(target.relative_to(docs)) if inside else _in_site(_in_root(target, config))
        return f"]({os.path.relpath(place, Path(page.file.src_uri).parent)})"

    return LINK.sub(replaced, markdown)


def _root(config: MkDocsConfig) -> Path:
    return Path(config.docs_dir).parent


def _in_site(place: str) -> str:
    return f"{FOLDER}/{place}"


def _in_root(target: Path, config: MkDocsConfig) -> str:
    return target.relative_to(_root(config)).as_posix()


def _target(page: File, link: str, config: MkDocsConfig) -> Path:
    """What a page's link names; a page from outside `docs/` links from its own place."""
    docs, own = Path(config.docs_dir), Path(page.src_uri).parent
    outside = own.is_relative_to(FOLDER)
    base = _root(config) / own.relative_to(FOLDER) if outside else docs / own
    return Path(os.path.normpath(base / link))


def _outside(page: File, link: str, config: MkDocsConfig) -> str | None:
    """The linked file's path in the repository; None for one in `docs/`, which the site has."""
    target = _target(page, link, config)
    if target.is_relative_to(config.docs_dir) or not target.is_file():
        return None
    return _in_root(target, config)
