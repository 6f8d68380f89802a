"""The frame of every HTML page: one self-contained file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from ..tables.writers import Markup, join, tag, text

Section = tuple[str, str, Markup]
"""Anchor, title and content."""

NOTHING = Markup()


def html_page(
    eyebrow: str,
    heading: str,
    subtitle: str,
    sections: Sequence[Section],
    *,
    verdict: Sequence[str] = (),
    title: str = "",
    cards: Markup = NOTHING,
    scripts: Sequence[str] = ("script.js",),
) -> str:
    """The page as HTML, with its style and script inside.

    Args:
        eyebrow: what kind of page it is.
        heading: what it is about.
        subtitle: one line under the heading.
        sections: what it shows, in their order.
        verdict: the answer in a few sentences, before everything else; or none.
        title: of the browser's window; the heading when empty.
        cards: the numbers a reader comes for, or nothing.
        scripts: files beside this one that the page runs.
    """
    script = "\n" + "\n".join(map(_resource, scripts)) + "\n"
    return Template(_resource("page.html")).substitute(
        policy=content_policy(script),
        title=text(title or heading),
        style=_resource("style.css"),
        script=script,
        eyebrow=text(eyebrow),
        heading=text(heading),
        subtitle=text(subtitle),
        verdict=join(*(tag("p", _unbroken(sentence)) for sentence in verdict)),
        cards=cards,
        first=sections[0][0] if sections else "",
        contents=join(*(tag("a", name, href=f"#{anchor}") for anchor, name, _ in sections)),
        sections=join(
            *(
                tag("section", tag("h2", name), content, id=anchor)
                for anchor, name, content in sections
            )
        ),
    )


def _unbroken(sentence: str) -> str:
    """With spaces that keep a number with its unit or its sign in one line."""
    space = "\N{NO-BREAK SPACE}"
    return sentence.replace(" mm", f"{space}mm").replace(" = ", f"{space}={space}")


def content_policy(script: str) -> str:
    """What the browser lets the page do: run this script, show what is inside the page, no more.

    Nothing is loaded, sent or framed, whatever text from outside may have got into the page.
    """
    # Over exactly these characters, line ends too, or the browser refuses the script.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        # Charts carry their colours in style attributes, which have no digest.
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {source}" for name, source in allowed.items())


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
