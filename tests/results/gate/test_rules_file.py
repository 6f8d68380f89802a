"""Rules from TOML: what is read, and the key that every mistake is told with."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.errors import FacebenchError
from facebench.results.gate.rules import (
    Completeness,
    Coverage,
    Limit,
    Paper,
    Regression,
    Speed,
    read_rules,
)

WHOLE = """
[[limit]]
max_mm = 1.5
scenes = ["cooperative"]
[[limit]]
max_mm = 3
statistic = "p90_mm"
methods = "ours"
[[regression]]
tolerance_mm = 0.02
[[coverage]]
subjects = 0.95
faces = 0.8
[[speed]]
min_ratio = 0.8
protocols = ["micc", "metric"]
[[completeness]]
mean = 0.9
[[paper]]
published = "genova"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gates.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_kind_is_read(tmp_path: Path) -> None:
    assert read_rules(written(tmp_path, WHOLE)) == (
        Limit(max_mm=1.5, scenes=("cooperative",)),
        Limit(max_mm=3.0, statistic="p90_mm", methods=("ours",)),
        Regression(tolerance_mm=0.02),
        Coverage(subjects=0.95, faces=0.8),
        Speed(min_ratio=0.8, protocols=("micc", "metric")),
        Completeness(mean=0.9),
        Paper(published="genova"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "gates.toml holds no rules"),
        ("limit = []", "gates.toml holds no rules"),
        ("[[limit", "gates.toml: cannot be read as TOML"),
        ("[limit]\nmax_mm = 1", "'limit' is not a list of tables: write [[limit]]"),
        ("limit = [1]", "'limit' is not a list of tables"),
        ("[[limits]]\nmax_mm = 1", "no kind of rule 'limits': did you mean 'limit'?"),
        ("[[limit]]\nmax = 1", "[[limit]] 1: unknown key 'max': did you mean 'max_mm'?"),
        ("[[limit]]\nscenes = []", "[[limit]] 1: 'max_mm' is missing"),
        ("[[limit]]\nmax_mm = 1\n[[limit]]\nmax_mm = '2'", "[[limit]] 2: max_mm is '2'"),
        ("[[limit]]\nmax_mm = nan", "max_mm is nan: give a finite number, 0 or more"),
        ("[[limit]]\nmax_mm = inf", "max_mm is inf: give a finite number, 0 or more"),
        ("[[limit]]\nmax_mm = true", "max_mm is True: expected a value of type float"),
        ("[[limit]]\nmax_mm = -1", "max_mm is -1: give 0 or more"),
        ("[[limit]]\nmax_mm = 1\nstatistic = 'mean'", "statistic is 'mean': did you mean"),
        ("[[limit]]\nmax_mm = 1\nscenes = [1]", "scenes.0 is 1: expected a value of type str"),
        ("[[limit]]\nmax_mm = 1\nscenes = ['']", "scenes.0 is '': give text that is not empty"),
        ("[[limit]]\nmax_mm = 1\nscenes = {}", "scenes is {}: expected a value of type list"),
        ("[[limit]]\nMAX_MM = 1", "unknown key 'MAX_MM': did you mean 'max_mm'?"),
        ("[[limit]]\nmax_mm = 1979-05-27", "[[limit]] 1: '1979-05-27' is a date"),
        (f"[[limit]]\nmax_mm = -1{'0' * 4000}", f"max_mm is -1{'0' * 98}…: give"),
        (f"[[limit]]\nmax_mm = {'1' * 5000}", "a number of more than 4,300 digits"),
        ("<!DOCTYPE html>\n<html>", "a web page, not the file"),
        ("[[coverage]]\nfaces = 80", "[[coverage]] 1: faces is 80: give 0 to 1"),
        ("[[completeness]]\neach = -0.1", "[[completeness]] 1: each is -0.1: give 0 to 1"),
        ("[[speed]]\nmin_ratio = 1\nscenes = ['a']", "[[speed]] 1: unknown key 'scenes'"),
        ("[[regression]]", "[[regression]] 1: 'tolerance_mm' is missing"),
        ("[[paper]]\npublished = 'genoa'", "nothing is known of 'genoa': did you mean 'genova'"),
        ("[[paper]]\npublished = 1", "published is 1: expected a value of type str"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FacebenchError) as caught:
        read_rules(written(tmp_path, text))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="no such file"):
        read_rules(tmp_path / "gates.toml")
    with pytest.raises(FacebenchError, match="cannot be read as TOML"):
        read_rules(tmp_path)
    (tmp_path / "gates.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FacebenchError, match="cannot be read as TOML"):
        read_rules(tmp_path / "gates.toml")
