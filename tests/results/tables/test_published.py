"""The literature's numbers: complete, sourced, and those of the paper's Table 1."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from facebench.bench.datasets.micc import CARD
from facebench.bench.method.registry import method_card
from facebench.errors import FacebenchError
from facebench.results.tables.published import (
    by_method,
    published_results,
    read_results,
    sources,
    with_published,
)


def test_every_method_has_every_scene_once() -> None:
    for rows in by_method(published_results()).values():
        assert tuple(row.scene for row in rows) == CARD.scenes


def test_the_rows_are_table_1() -> None:
    means = {m: [r.mean_mm for r in rows] for m, rows in by_method(published_results()).items()}
    assert means == {
        "tran": [1.93, 2.02, 1.86],
        "genova": [1.50, 1.50, 1.48],
        "ours": [1.36, 1.37, 1.36],
    }


def test_every_number_names_its_source() -> None:
    assert all("Table" in source for source in sources(published_results()))


def test_a_card_gets_its_rows_and_keeps_its_own() -> None:
    card = method_card("ours")
    assert card.published == () and ("indoor", 1.37, 0.11) in with_published(card).published
    assert with_published(method_card("mean-face")).published == ()
    own = replace(card, published=(("indoor", 1.0, 0.1),))
    assert with_published(own) == own


def write(path: Path, *lines: str) -> Path:
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_papers_means_are_read(tmp_path: Path) -> None:
    head = "method,title,scene,mean_mm,std_mm,source"
    path = write(tmp_path / "a.csv", head, 'a,"Ann, et al.",indoor,1.2,0.3,Table 2', "a,,b,1.5,,")
    first, second = read_results(path)
    assert (first.title, first.mean_mm, first.std_mm, first.source) == (
        *("Ann, et al.", 1.2, 0.3),
        "Table 2",
    )
    assert (second.title, second.source, second.imported) == ("a", "a.csv", True)
    assert math.isnan(second.std_mm) and not second.errors


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_spreadsheet_of_another_country_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    text = "sep=;\nMethod;Scene;mean_mm;std_mm\nMüller;indoor;1,36;0,12\n;;;\n"
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    (row,) = read_results(path)
    assert (row.title, row.mean_mm, row.std_mm) == ("Müller", 1.36, 0.12)


def test_scans_of_a_subject_are_one_number(tmp_path: Path) -> None:
    lines = ("a,indoor,x,1,1.0,0.9", "a,indoor,x,2,2.0,0.8", "a,indoor,y,1,3.0,")
    path = write(tmp_path / "a.csv", "method,scene,subject,scan,error_mm,completeness", *lines)
    (row,) = read_results(path)
    assert row.errors == (("x", 1.5), ("y", 3.0)) and row.mean_mm == 2.25
    assert row.std_mm == pytest.approx(0.75 * 2**0.5)
    assert row.completeness == pytest.approx((0.85, float("nan")), nan_ok=True)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["method,scene"], "no table of results"),
        (["method,scene,mean_mm"], "holds no results"),
        (["method,scene,mean_mm", "a,indoor,1.2", "a,indoor,1.3"], "line 3: a in indoor has sev"),
        (["method,scene,mean_mm", "a,,1.2"], "line 2 has no method or no scene"),
        (["method,scene,mean_mm", "a,indoor,nan"], "line 2: mean_mm is nan, not a length"),
        (["method,scene,subject,error_mm", "a,indoor,x,-1"], "line 2: error_mm is -1, not"),
        (["method,scene,mean_mm", "a,indoor,1_5"], "line 2: mean_mm is 1_5, not a length"),
        (["method,scene,mean_mm,mean_mm", "a,indoor,1,2"], "two columns mean_mm"),
        (
            ["method,scene,subject,error_mm", "a,i,x,1", "a,i,X,2"],
            "line 3: X in i is there already",
        ),
        (["method,scene,subject,scan,error_mm", "a,i,x,1,1", "a,i,x,1,2"], "line 3: x in i is"),
        (
            ["method,scene,subject,error_mm,dataset", "a,i,x,1,micc", "a,i,y,2,now"],
            "line 3: dataset is 'now', in the first line of a in i 'micc'",
        ),
        (["<!DOCTYPE html>", "<html>"], "a web page, not the file"),
        (["method,scene,mean_mm", "a,indoor,1,36"], "line 2 has more cells than the first"),
        (["method,scene,mean_mm,protocol", "a,indoor,1,micc"], "'micc' is no digest"),
        (["method,scene,mean_mm", "a,indoor,0.00135"], "line 2: mean_mm is 0.00135: these look li"),
        (
            ["method,scene,subject,error_mm,completeness", "a,i,x,1,97"],
            "line 2: completeness is 97, not a share: give 0 to 1",
        ),
        (["method,scene,mean_mm", "a,indoor,1350"], "line 2: mean_mm is 1350: no face is as"),
        (["method,scene,subject,error_mm", "a,indoor,x,1.2e-3"], "error_mm is 1.2e-3: these look"),
        (
            ["method,scene,subject,error_mm,mean_mm", "a,i,x,1,1.6", "a,i,y,2,1.6"],
            "line 2: mean_mm is 1.6, and the mean of its subjects' errors 1.5",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, lines: list[str], words: str) -> None:
    with pytest.raises(FacebenchError, match=re.escape(words)):
        read_results(write(tmp_path / "a.csv", *lines))


def test_a_stated_mean_may_be_rounded(tmp_path: Path) -> None:
    lines = ("method,scene,subject,error_mm,mean_mm", "a,i,x,1.004,1.25", "a,i,y,1.5,1.25")
    (row,) = read_results(write(tmp_path / "a.csv", *lines))
    assert row.mean_mm == 1.252


@pytest.mark.parametrize(
    "lines",
    [
        ["a,T,x,1.2", "b,T,x,1.3"],
        ["a,T,x,1.2", "b,T,y,1.3"],
        ["a,T,x,1.2", "a,U,y,1.3"],
    ],
    ids=["one title in a scene", "one title", "two titles"],
)
def test_a_title_is_of_one_method(tmp_path: Path, lines: list[str]) -> None:
    rows = read_results(write(tmp_path / "a.csv", "method,title,scene,mean_mm", *lines))
    with pytest.raises(FacebenchError, match="give each method one title"):
        by_method(rows)


def test_two_files_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    rows = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        rows += read_results(write(tmp_path / folder / "a.csv", "method,scene,mean_mm", "m,x,1.2"))
    with pytest.raises(FacebenchError, match="each file a name of its own"):
        by_method(rows)
