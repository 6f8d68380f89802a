"""A sheet on paper: everything in its place, nothing outside, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.results.figures.drawing import Cell, Row, Sheet, write_sheet

RED, BLUE = (np.full((20, 20, 3), c, np.uint8) for c in ((250, 0, 0), (0, 0, 250)))


def sheet(columns: int = 2, **extra: object) -> Sheet:
    rows = (
        Row("first", (Cell(RED, "a caption"), *[Cell(BLUE)] * (columns - 1))),
        Row("second", (Cell(BLUE), *[Cell()] * (columns - 1)), opens=True),
    )
    heads = (("both",) * columns, tuple(f"column {k}" for k in range(columns)))
    return Sheet(heads, rows, **extra)  # type: ignore[arg-type]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def coloured(picture: np.ndarray, colour: int) -> np.ndarray:
    other = [c for c in range(3) if c != colour]
    return (picture[..., colour] > 200) & (picture[..., other] < 60).all(axis=2)


def test_png_and_pdf_have_the_size_of_the_print(tmp_path: Path) -> None:
    png, pdf = write_sheet(sheet(5), tmp_path / "deep" / "figure", 7.0, 100)
    assert (png.name, pdf.name) == ("figure.png", "figure.pdf")
    assert Image.open(png).width == pytest.approx(700, abs=2)
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF")
    # One by one and opaque: joined over clear gaps, they print with hairlines along their sides.
    assert data.count(b"/Subtype /Image") >= 2 and b"/SMask" not in data


def test_the_same_sheet_is_the_same_file(tmp_path: Path) -> None:
    first, second = (write_sheet(sheet(), tmp_path / name, 3, 60) for name in "ab")
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))


def test_pictures_are_square_apart_and_in_their_places(tmp_path: Path) -> None:
    png, _ = write_sheet(sheet(), tmp_path / "f", 3.0, 100)
    picture = pixels(png)
    red, blue = coloured(picture, 0), coloured(picture, 2)
    rows, columns = np.where(red)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert abs(height - width) <= 2 and red.sum() == pytest.approx(height * width, rel=0.02)
    assert blue.sum() == pytest.approx(2 * red.sum(), rel=0.05)
    beside = blue[rows.min() + 2 : rows.max() - 2, columns.max() + 2 :]
    assert beside.any() and not blue[: rows.max() - 2, : columns.max()].any()


def test_names_are_no_formulas_and_may_be_no_utf8(tmp_path: Path) -> None:
    named = Sheet(
        (("two $$",),), (Row(r"$\row$", (Cell(text=r"$\no$"),)),), notes=("$^$", "caf\udce9")
    )
    assert all(path.is_file() for path in write_sheet(named, tmp_path / "named", dots=50))


def test_long_words_stay_on_the_paper(tmp_path: Path) -> None:
    """The rim of the paper is white whatever is written."""
    rows = (Row("row", (Cell(RED, "a_file_whose_name_is_longer_than_its_picture"), Cell(BLUE))),)
    long = Sheet(
        (("a method with a long name " * 2, "b"),),
        rows,
        notes=("a note that goes on and on " * 6,),
        legend=tuple(((9, 9, 9), f"class {k}") for k in range(19)),
    )
    png, _ = write_sheet(long, tmp_path / "f", 2.5, 100)
    picture = pixels(png)
    rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (rim > 250).all()


def test_notes_of_wide_letters_end_before_the_paper_does(tmp_path: Path) -> None:
    note = "among women whom we measured mm mean much more " * 8
    png, _ = write_sheet(sheet(notes=(note,)), tmp_path / "figure", 5.0, 100)
    below = pixels(png)[-120:]
    assert (below < 128).any()
    assert (below[:, -2:] > 250).all()


def test_a_legend_shows_every_colour(tmp_path: Path) -> None:
    colours = ((200, 10, 10), (10, 200, 10), (10, 10, 200))
    legend = tuple((colour, f"class {n}") for n, colour in enumerate(colours))
    png, _ = write_sheet(sheet(legend=legend), tmp_path / "f", 3.0, 150)
    flat = {tuple(p) for p in pixels(png).reshape(-1, 3).tolist()}
    assert set(colours) <= flat
