"""What every page of this program is framed by: one file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from ..tables.markup import Markup, join, tag, text

Section = tuple[str, str, Markup]
"""Anchor, title and content."""

NOTHING = Markup()


@dataclass(frozen=True)
class Frame:
    """The head of a page.

    Attributes:
        eyebrow: what kind of page it is.
        heading: what it is about.
        subtitle: one line under the heading.
        title: of the browser's window; the heading when empty.
        cards: the numbers a reader comes for, or nothing.
        scripts: files beside this one that the page runs.
    """

    eyebrow: str
    heading: str
    subtitle: str
    title: str = ""
    cards: Markup = NOTHING
    scripts: tuple[str, ...] = ("script.js",)


def html_page(frame: Frame, sections: Sequence[Section]) -> str:
    """The page as HTML, with its style and script inside."""
    return Template(_resource("page.html")).substitute(
        title=text(frame.title or frame.heading),
        style=_resource("style.css"),
        script="\n".join(map(_resource, frame.scripts)),
        eyebrow=text(frame.eyebrow),
        heading=text(frame.heading),
        subtitle=text(frame.subtitle),
        cards=frame.cards,
        first=sections[0][0] if sections else "",
        contents=join(*(tag("a", title, href=f"#{name}") for name, title, _ in sections)),
        sections=join(*(_section(*section) for section in sections)),
    )


def _section(name: str, title: str, content: Markup) -> Markup:
    return tag("section", tag("h2", title), content, id=name)


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
