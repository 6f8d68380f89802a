"""The literature's numbers: complete, sourced, and those of the paper's Table 1."""

from __future__ import annotations

from facebench.bench.dataset import SCENES
from facebench.results.published import by_method, published_results, sources


def test_every_method_has_every_scene_once() -> None:
    for rows in by_method(published_results()).values():
        assert tuple(row.scene for row in rows) == SCENES


def test_the_rows_are_table_1() -> None:
    means = {m: [r.mean_mm for r in rows] for m, rows in by_method(published_results()).items()}
    assert means == {
        "tran2017": [1.93, 2.02, 1.86],
        "genova2018": [1.50, 1.50, 1.48],
        "ours": [1.36, 1.37, 1.36],
    }


def test_every_number_names_its_source() -> None:
    assert all("Table" in source for source in sources(published_results()))
