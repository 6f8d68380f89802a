"""The five forms of a table: nothing is cut, nothing is obeyed, every form says the same."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from facebench.results.tables.table import Cell, Table, text_rows, value_cell
from facebench.results.tables.writers import (
    TerminalTable,
    csv_text,
    html,
    in_cell,
    latex,
    latex_escaped,
    markdown,
    terminal_text,
)

NUMBERS = ("1.360", "−0.348", "12345.678", "0.046")
HOSTILE = "\x1b[31m\x9b2J\u202eevil\u2066\u200b\x7f\r\n\ttail\u2028"
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)


def example(label: str = "ours", note: str = "A note.") -> Table:
    interval = ("[1.480, 1.850]", "12/12 · 100%")
    cells = (Cell(label, ("a remark",)), *(Cell(number, interval) for number in NUMBERS))
    head = ("method", "cooperative", "indoor", "outdoor", "frames/s")
    return Table("Error in mm", head, (cells, cells), (note,), aside=2, ends=frozenset({0}))


def drawn(table: Table, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(TerminalTable(table))
    return console.export_text()


def forms(table: Table) -> dict[str, str]:
    writers = (markdown, csv_text, latex, html)
    return {"terminal": drawn(table, 100), **{form.__name__: form(table) for form in writers}}


@given(st.integers(22, 200))
def test_no_number_is_cut_and_no_line_is_longer_than_the_terminal(width: int) -> None:
    text = drawn(example(), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    for piece in (*NUMBERS, "[1.480, 1.850]", "12/12 · 100%"):
        assert sum(line.count(piece) for line in lines) >= 2, (piece, text)


def test_a_stack_cuts_no_head_in_two_where_there_is_room() -> None:
    """NoW's challenges have long names of one word."""
    heads = ("method", "multiview_expressions", "multiview_occlusions", "multiview_neutral")
    cells = tuple(Cell("+3.839", ("[3.311, 4.403]",)) for _ in heads[1:])
    text = drawn(Table("", heads, ((Cell("ours"), *cells),)), 60)
    assert all(re.search(rf"^ +{head} +\+3.839", text, re.M) for head in heads[1:])


def test_a_narrow_terminal_stacks_and_a_wide_one_does_not() -> None:
    wide, aside, narrow = (drawn(example(), width) for width in (120, 76, 60))
    assert re.search(r"ours +1\.360 +−0\.348 +12345\.678 +0\.046", wide)
    assert re.search(r"ours +1\.360 +−0\.348 +12345\.678\s*\n", aside) and "outdoor" in aside
    assert re.search(r"\n +cooperative +1\.360 *\n", narrow)
    assert re.search(r"\n *\nA note\.", narrow)


@pytest.mark.parametrize("name", ["title", "head", "cell", "details", "note"])
def test_nothing_of_a_name_is_obeyed_in_any_form(name: str) -> None:
    said = {key: HOSTILE if key == name else "plain" for key in ("title", "head", "note")}
    cell = Cell(*((HOSTILE,) if name == "cell" else ("x", (HOSTILE,))))
    table = Table(said["title"], (said["head"], "b"), ((cell, Cell("1")),), (said["note"],))
    for form, text in forms(table).items():
        left = text.replace("\n", "")
        assert not [c for c in left if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")], form
        if not (form == "csv_text" and name in ("title", "details", "note")):
            assert "evil" in text and "tail" in text and "u202e" in text, form


@given(NAMES)
def test_a_markdown_row_has_its_cells_whatever_they_hold(name: str) -> None:
    text = markdown(Table(name, ("a", "b"), text_rows([(name, name)]), (name,)))
    row = next(line for line in text.splitlines() if line.startswith("|") and "---" not in line)
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 3


@given(NAMES)
def test_markdown_text_starts_no_markup(name: str) -> None:
    left = re.sub(r"\\[\\|*_<>\[\]`~$&]", "", in_cell(name))
    assert not set(left) & set("\\|*_<>[]`~$&")


@given(st.text(st.sampled_from(list("ab \\&%$#_{}~^<>±−·–…≤≥τ")), max_size=30))
def test_latex_text_has_no_live_marks(words: str) -> None:
    """Taking every escape out leaves nothing that LaTeX would act upon."""
    escapes = r"-\{\}|\\text(backslash|ascii(tilde|circum))\{\}|\\ldots\{\}|\\[&%$#_{}]"
    maths = r"\$(\\pm|-|\\cdot|<|>|\\leq|\\geq|\\tau)\$"
    left = re.sub(maths, "", re.sub(escapes, "", latex_escaped(words)))
    assert not set(left) & set("\\&%$#_{}~^")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("[0.5ex]", r"{}[0.5ex] & 1 \\"),
        ("*", r"{}* & 1 \\"),
        ("a---b", r"a-{}-{}-b & 1 \\"),
        ("``q''", r"\textasciigrave{}\textasciigrave{}q'{}' & 1 \\"),
        ("e\u0301", "é & 1 \\\\"),
    ],
)
def test_latex_sets_a_name_as_it_stands(name: str, row: str) -> None:
    """Not as an option of the line end above it, nor two marks as one."""
    table = Table("", ("a", "b"), ((Cell("x"), Cell("0")), (Cell(name), Cell("1"))), left=(0,))
    assert row in latex(table).splitlines()


def test_latex_sets_a_minus_before_numbers_and_hyphens_in_words() -> None:
    assert latex_escaped("-0.39 [-0.59, -0.20]") == r"$-$0.39 [$-$0.59, $-$0.20]"
    assert latex_escaped("mean-face of 2026-11-30, run-2") == "mean-face of 2026-11-30, run-2"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t=", "＝"])
def test_no_csv_cell_is_a_formula(start: str) -> None:
    name = f"{start}1+cmd|'x'!A1"
    table = Table("", (name,), ((Cell(name),), (value_cell(-0.5),)))
    rows = list(csv.reader(io.StringIO(csv_text(table))))
    # A spreadsheet leaves out spaces before it looks for the sign.
    for cell in (rows[0][0], rows[1][0]):
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝"))
    assert rows[2] == ["-0.5"]


def test_csv_keeps_every_digit() -> None:
    value = 0.1 + 0.2
    (_, row) = csv.reader(io.StringIO(csv_text(Table("", ("a",), ((value_cell(value),),)))))
    assert float(row[0]) == value
    assert csv_text(Table("", ("a", "b"), ((value_cell(float("nan")), value_cell(None)),))) == (
        "a,b\n,\n"
    )


@given(NAMES)
def test_html_shows_a_text_and_runs_none(name: str) -> None:
    words: list[str] = []
    tags: list[str] = []
    reader = HTMLParser()
    reader.handle_data = words.append  # type: ignore[method-assign]
    reader.handle_starttag = lambda tag, _: tags.append(tag)  # type: ignore[method-assign]
    reader.feed(html(Table("t", ("a",), ((Cell(f"<script>{name}"),),))))
    assert "script" not in tags and Cell(f"<script>{name}").text in "".join(words)


def test_the_lowest_stands_out_in_every_form() -> None:
    table = Table("", ("a", "b"), ((Cell("ours"), Cell("1.2", style="best")),))
    assert "**1.2**" in markdown(table) and r"\textbf{1.2}" in latex(table)
    assert "<strong>1.2</strong>" in html(table)


def test_a_row_of_another_length_is_no_table() -> None:
    with pytest.raises(ValueError, match="2 cells, the head 1"):
        Table("", ("a",), text_rows([("1", "2")]))


def test_tables_are_printed_one_below_the_other() -> None:
    text = terminal_text([example("first"), example("second")])
    assert text.index("first") < text.index("second")
