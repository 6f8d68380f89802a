"""The literature's numbers: complete, sourced, and those of the paper's Table 1."""

from __future__ import annotations

from dataclasses import replace

from facebench.bench.datasets.micc import CARD
from facebench.bench.method.registry import method_card
from facebench.results.tables.published import by_method, published_results, sources, with_published


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
