"""An option of a command stays in one piece: browsers break lines behind any hyphen."""

from __future__ import annotations

import re
from typing import Any

CODE = re.compile(r"<code\b[^>]*>.*?</code>", re.DOTALL)
# No tag, which may hold hyphens too, and no hyphen between two words.
OPTION = re.compile(r"<[^>]*>|(?<![\w-])--?[a-z][\w-]*")


def on_page_content(html: str, **_: Any) -> str:
    """Mark the options in a page's code; `site.css` keeps what is marked on one line."""
    return CODE.sub(lambda code: OPTION.sub(_marked, code[0]), html)


def _marked(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.startswith("<") else f'<span class="whole">{text}</span>'
