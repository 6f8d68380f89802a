"""HTML and SVG built from values: whatever is not markup already is escaped, without exception."""

from __future__ import annotations

import html

from ...errors import visible


class Markup(str):
    """Text that is HTML; plain strings become it only through `text`."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as HTML text; markup stays as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(visible(value)))


def join(*children: object) -> Markup:
    """Values one after another, each escaped unless it is markup."""
    return Markup("".join(map(text, children)))


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element with its end tag.

    Attributes take `class_` for `class` and `-` for `_`; None and False leave one out, True gives
    it without a value.
    """
    return Markup(f"<{name}{_attributes(attributes)}>{join(*children)}</{name}>")


def void(name: str, **attributes: object) -> Markup:
    """An element that has no end tag, such as `img`."""
    return Markup(f"<{name}{_attributes(attributes)}>")


def _attributes(attributes: dict[str, object]) -> str:
    shown = ((_attribute_name(k), v) for k, v in attributes.items() if v not in (None, False))
    return "".join(
        f" {name}" if value is True else f' {name}="{html.escape(visible(value))}"'
        for name, value in shown
    )


def _attribute_name(name: str) -> str:
    return name.rstrip("_").replace("_", "-") if name != "viewBox" else name
