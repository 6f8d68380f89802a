"""The five forms of a table (terminal, Markdown, CSV, LaTeX and HTML), and what HTML is built from.

HTML and SVG are built from values: whatever is not markup already is escaped, without exception.
"""

from __future__ import annotations

import csv
import io
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from itertools import islice
from types import MappingProxyType

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from ...errors import visible
from .table import Cell, Table, Value

_RICH = MappingProxyType(
    {
        "best": "bold",
        "pass": "green",
        "warn": "yellow",
        "fail": "bold red",
        "unknown": "bold magenta",
        "skipped": "dim",
    }
)
_WORDS_WIDTH = 12
"""To which a column of words may be narrowed by wrapping; numbers are never wrapped."""
_LEAST_BESIDE = 8
"""Below so much room for a head, it stands above its number."""
_NOTE_WIDTH = 78

MOST_ROWS = 1000
"""Of an HTML table: enough to find what is wrong, and a page that opens at once."""

_LATEX = {
    "\\": r"\textbackslash{}",
    **{mark: rf"\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "±": r"$\pm$",
    "−": r"$-$",
    "·": r"$\cdot$",
    "τ": r"$\tau$",
    "–": "--",
    "…": r"\ldots{}",
    "`": r"\textasciigrave{}",
}
# One pass over all marks: a second would escape the backslashes of the first.
# Of two that would be set as one other mark, the first is parted from the second.
_MINUS = r"(?<![\w-])-(?=\d)"
"""Before a number: as a hyphen it would be set too short."""
_LATEX_MARK = re.compile("|".join([*map(re.escape, _LATEX), "-(?=-)", "'(?=')", ",(?=,)"]))


class Markup(str):
    """Text that is HTML; plain strings become it only through `text`."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as HTML text; markup stays as it is."""
    return value if isinstance(value, Markup) else Markup(escape(visible(value)))


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


class TerminalTable:
    """A table on a terminal of any width; no number is ever cut.

    As it is where it fits; else with the columns aside below each other; else stacked, a block of
    lines a row.
    """

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Title, table and notes for the width that there is."""
        # The widest that fits: fewer columns cost lines, a stack the comparison by eye.
        shapes = (self.table, _with_aside(self.table)) if self.table.aside > 1 else (self.table,)
        width = options.max_width
        fitting = next((shape for shape in shapes if _least_width(shape) <= width), None)
        # Notes are as wide as the table, but no column of single words below a narrow one.
        text_width = min(width, max(_NOTE_WIDTH, _least_width(fitting or self.table)))
        if self.table.title:
            yield Constrain(Text(self.table.title, style="bold"), text_width)
        if fitting is not None:
            yield _columns(fitting)
        else:
            yield from _stacked(self.table, width)
            yield ""
        for note in self.table.notes:
            yield Constrain(Text(note, style="dim"), text_width)


def _with_aside(table: Table) -> Table:
    """The trailing columns as one, their cells below each other."""
    start = len(table.head) - table.aside

    def joined(row: tuple[Cell, ...]) -> tuple[Cell, ...]:
        first, *others = row[start:]
        below = tuple(cell.text for cell in others)
        return (*row[:start], Cell(first.text, (*first.details, *below)))

    # A head is a line of the column: its names stand in the order of the lines below it.
    head = (*table.head[:start], " ".join(table.head[start:]))
    rows = tuple(map(joined, table.rows))
    return Table("", head, rows, left=table.left, ends=table.ends)


def _widths(table: Table) -> list[int]:
    """The least width of each column."""
    found = []
    for number, head in enumerate(table.head):
        lines = [line for row in table.rows for line in row[number].lines]
        longest = max(map(cell_len, lines), default=0)
        # A word that is wrapped is still that word; a number is another number.
        if number in table.left:
            found.append(min(_WORDS_WIDTH, max(longest, cell_len(head))))
        else:
            found.append(max(longest, *map(cell_len, head.split() or [""])))
    return found


def _least_width(table: Table) -> int:
    """Width of all columns with a space at both sides of each, what parts them, and the edges."""
    widths = _widths(table)
    return sum(widths) + 2 * len(widths) + (len(widths) - 1) + 2


def _columns(table: Table) -> RichTable:
    drawn = RichTable(box=box.SIMPLE_HEAD, show_lines=False)
    for number, (head, width) in enumerate(zip(table.head, _widths(table), strict=True)):
        if number in table.left:
            drawn.add_column(Text(head), min_width=width, overflow="fold")
        else:
            # Wrapped here: a column that must not wrap its numbers would cut its head.
            lines = "\n".join(textwrap.wrap(head, width, break_long_words=False))
            drawn.add_column(Text(lines), justify="right", min_width=width, no_wrap=True)
    for number, row in enumerate(table.rows):
        drawn.add_row(*map(_rich, row), end_section=number in table.ends)
    return drawn


def _stacked(table: Table, width: int) -> Iterator[RenderableType]:
    """One block per row: its words as a heading, then its numbers beside or below their heads."""
    words = [number for number in table.left if number < len(table.head)]
    numbers = [number for number in range(len(table.head)) if number not in words]
    cells = [row[number] for row in table.rows for number in numbers]
    longest = max((cell_len(line) for cell in cells for line in cell.lines), default=0)
    word = max((cell_len(word) for n in numbers for word in table.head[n].split()), default=0)
    # Two spaces before the heads, two before the numbers; no head's word is cut where it fits.
    beside = min(max(_WORDS_WIDTH + 4, word), width - longest - 4)
    for row in table.rows:
        label = Text(" · ").join(_rich_line(row[n]) for n in words if row[n].text)
        remarks = [Text(line, style="dim") for n in words for line in row[n].details]
        yield Padding(Text("\n").join([label, *remarks]), (1, 0, 0, 0))
        shown = [n for n in numbers if row[n].text or row[n].details]
        if beside < _LEAST_BESIDE:
            for n in shown:
                yield Text(f"  {table.head[n]}")
                yield Padding(_rich(row[n]), (0, 0, 0, min(4, max(0, width - longest))))
            continue
        lines = RichTable.grid(padding=(0, 2, 0, 0))
        lines.add_column(overflow="fold", max_width=beside)
        lines.add_column(overflow="fold", min_width=longest)
        for n in shown:
            lines.add_row(Text(table.head[n]), _rich(row[n]))
        yield Padding(lines, (0, 0, 0, 2))


def _rich_line(cell: Cell) -> Text:
    return Text(cell.text, style=_RICH.get(cell.style, ""))


def _rich(cell: Cell) -> Text:
    text = _rich_line(cell)
    for line in cell.details:
        text.append(f"\n{line}", style="dim not bold")
    return text


def terminal_text(tables: Sequence[Table], sentences: Sequence[str] = ()) -> str:
    """Tables as the terminal of this process shows them, with its colours if it has any.

    Args:
        tables: one below the other.
        sentences: what they amount to, below them: where a terminal's reader looks first.
    """
    console = Console(highlight=False, markup=False)
    below = [Constrain(Text(visible(words)), _NOTE_WIDTH) for words in sentences]
    with console.capture() as capture:
        for number, table in enumerate(tables):
            # Below a table's notes the next title would read as one more of them.
            console.print(*([""] if number else []), TerminalTable(table), sep="\n")
        if below:
            console.print("", *below, sep="\n")
    # Rich fills lines with blanks, which are not seen but copied with the table.
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)


def markdown(table: Table) -> str:
    """A Markdown table with its title and notes."""
    # The colon at the end is what aligns a column to the right.
    ruler = ["---" if number in table.left else "---:" for number in range(len(table.head))]
    # An empty line between: right above a table the title would be its head.
    title = [f"**{in_cell(table.title)}**", ""] if table.title else []
    lines = [*title, _bar([in_cell(head) for head in table.head]), _bar(ruler)]
    lines += [_bar([_markdown_cell(cell) for cell in row]) for row in table.rows]
    if table.notes:
        # Two spaces end a line.
        lines += ["", *(f"{in_cell(note)}  " for note in table.notes)]
    return "\n".join(lines) + "\n"


def in_cell(text: str) -> str:
    """Text that cannot end a cell or start markup of its own."""
    escaped = re.sub(r"([\\|*_<>\[\]`~$&])", r"\\\1", visible(text))
    # A line end would end the row.
    return " ".join(escaped.split())


def _markdown_cell(cell: Cell) -> str:
    first, *others = map(in_cell, cell.lines)
    return "<br>".join([f"**{first}**" if cell.style == "best" else first, *others])


def _bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def csv_text(table: Table) -> str:
    """Head and rows as CSV, every cell's exact value; titles and notes have no place in it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_csv_value(Cell(head)) for head in table.head])
    writer.writerows([_csv_value(cell) for cell in row] for row in table.rows)
    return file.getvalue()


def _csv_value(cell: Cell) -> Value:
    value = cell.text if cell.value is None else cell.value
    if not isinstance(value, str):
        return value
    text = visible(value)
    # A spreadsheet runs what begins so; an apostrophe makes it text, and is not shown.
    return (
        f"'{text}"
        if text.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
        else text
    )


def latex_escaped(text: str) -> str:
    """Text that LaTeX sets as it stands."""
    # A letter and its mark are one character to it.
    one = unicodedata.normalize("NFC", " ".join(text.split()))
    signed = re.sub(_MINUS, "−", one)
    return _LATEX_MARK.sub(lambda match: _LATEX.get(match[0], f"{match[0]}{{}}"), signed)


def latex(table: Table) -> str:
    """A `table` environment for `booktabs` and nothing else, its notes in the caption."""
    columns = "".join("l" if n in table.left else "r" for n in range(len(table.head)))
    caption = ". ".join(filter(None, [table.title.rstrip("."), " ".join(table.notes)]))
    rows = []
    for number, row in enumerate(table.rows):
        rows += _latex_lines(row)
        if number in table.ends and number < len(table.rows) - 1:
            rows.append(r"\midrule")
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_escaped(caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_row(map(latex_escaped, table.head)),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_lines(row: Sequence[Cell]) -> list[str]:
    """The row, and in a smaller line below it what is known beside its numbers."""
    first = [latex_escaped(cell.text) for cell in row]
    shown = [
        rf"\textbf{{{t}}}" if c.style == "best" else t for t, c in zip(first, row, strict=True)
    ]
    below = [latex_escaped(" · ".join(cell.details)) for cell in row]
    small = [rf"{{\footnotesize {text}}}" if text else "" for text in below]
    return [_latex_row(shown), *([_latex_row(small)] if any(below) else [])]


def _latex_row(cells: Iterator[str] | Sequence[str] | map[str]) -> str:
    row = " & ".join(cells)
    # What begins so would be an option of the line end before it.
    return f"{'{}' if row.startswith(('[', '*')) else ''}{row} \\\\"


def html(table: Table) -> Markup:
    """A table that scrolls by itself where the page is narrower, with its notes below."""
    caption, count = table.title, len(table.rows)
    if count > MOST_ROWS:
        caption += f": the first {MOST_ROWS:,} of {count:,}; the run folder has all"
    head = tag(
        "tr",
        *(
            tag("th", name, scope="col", class_=_side(table, n))
            for n, name in enumerate(table.head)
        ),
    )
    # A browser lays out every row before it shows the first.
    rows = (_html_row(table, row) for row in islice(table.rows, MOST_ROWS))
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *rows))
    # With a focus, so that a keyboard can scroll it too.
    framed = tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return join(framed, *(tag("p", note, class_="note") for note in table.notes))


def _html_row(table: Table, row: Sequence[Cell]) -> Markup:
    """The first cell names the row."""
    first, *others = row
    cells = (tag("td", _html_cell(c), class_=_side(table, n)) for n, c in enumerate(others, 1))
    return tag("tr", tag("th", _html_cell(first), scope="row"), *cells)


def _side(table: Table, number: int) -> str | None:
    return "words" if number and number in table.left else None


def _html_cell(cell: Cell) -> Markup:
    name = "strong" if cell.style == "best" else "span"
    style = f"is-{cell.style}" if cell.style not in ("", "best") else None
    return join(tag(name, cell.text, class_=style), *(tag("small", line) for line in cell.details))


def _attributes(attributes: dict[str, object]) -> str:
    shown = ((_attribute_name(k), v) for k, v in attributes.items() if v not in (None, False))
    return "".join(
        f" {name}" if value is True else f' {name}="{escape(visible(value))}"'
        for name, value in shown
    )


def _attribute_name(name: str) -> str:
    return name.rstrip("_").replace("_", "-") if name != "viewBox" else name
