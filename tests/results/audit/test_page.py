"""The page of an audit: everything in one file, and the tables say what was found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from facebench.results.audit.agreement import sensitivities
from facebench.results.audit.folder import Audit, predictor_table, write_audit, write_figure


@pytest.fixture(name="rows")
def _rows() -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("m", protocol, "0123456789ab", method, "identity", f"s{subject}", *numbers, "", "")
            for protocol in ("micc", "<now>")
            for method, error in (("good", 1.0), ("poor", 2.0))
            for subject, true in enumerate(error + 0.1 * np.arange(4))
            for numbers in [(0.5 * true, true, 0.4)]
        ],
        columns=[
            *("model", "protocol", "digest", "method", "group", "subject"),
            *("measured_mm", "true_mm", "vertices", "reason", "note"),
        ],
    )


def test_choices_compare_the_same_subjects() -> None:
    values = pd.DataFrame({"as it is": [1.0, 2.0, 4.0], "rigid": [2.0, 4.0, np.nan]})
    plain, rigid = sensitivities(values)
    assert (plain.change, plain.n_subjects) == (0.0, 3)
    assert rigid.change == pytest.approx(1.0)
    assert (rigid.mean_mm, rigid.n_subjects) == (3.0, 2)
    assert rigid.ci95.low <= 1.0 <= rigid.ci95.high


def test_the_folder_holds_page_picture_rows_and_numbers(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.loc[0, "note"] = "70% of the cropped scan has a counterpart"
    choices = sensitivities(pd.DataFrame({"as it is": [1.0, 2.0], "rmse": [1.3, 2.6]}))
    page = write_audit(Audit("a made-up set", rows, choices), tmp_path)
    text = page.read_text("utf-8")
    assert "a made-up set" in text and "&lt;now&gt;" in text and "+30.0%" in text
    assert "micc: doubtful numbers, each with its note in audit.csv: 1." in text
    assert "http://" not in text and "https://" not in text
    assert "first-letter" not in text, "capitals would make a T of τ, and an Iphone of iphone"
    assert Image.open(tmp_path / "audit.png").size[0] > 600
    assert len(pd.read_csv(tmp_path / "audit.csv")) == len(rows)
    kept = json.loads((tmp_path / "audit.json").read_text())
    assert [item["bias"]["value"] for item in kept["protocols"]] == pytest.approx([-0.5, -0.5])
    assert "0.57 (50%)" in text, "what each protocol sees of each predictor"


def test_a_share_is_of_the_people_who_were_measured(rows: pd.DataFrame) -> None:
    rows.loc[0, "measured_mm"] = np.nan
    good, _ = predictor_table(rows).rows
    assert [cell.text for cell in good] == ["good", "1.15", "0.60 (50%)", "0.57 (50%)"]


def test_a_run_alone_has_no_truth(tmp_path: Path) -> None:
    choices = sensitivities(pd.DataFrame({"as it is": [1.0, 2.0]}))
    text = write_audit(Audit("run", pd.DataFrame(), choices), tmp_path).read_text("utf-8")
    assert "Protocols against the truth" not in text and "What each choice changes" in text


def test_each_group_of_the_figure_is_told_without_colour(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    groups = ("identity", "topology", "local", "ladder")
    grouped = pd.concat([rows.assign(group=group) for group in groups], ignore_index=True)
    # Of a model that cannot open its jaw the truth is its own prediction, but for rounding.
    grouped.loc[0, ["true_mm", "measured_mm"]] = 3e-14, 0.0
    write_figure(grouped, tmp_path / "f.png")
    (figure,) = drawn
    named = figure.legends[0]
    assert [text.get_text() for text in named.get_texts()] == list(groups)
    assert len({line.get_marker() for line in named.get_lines()}) == len(groups)
    assert all(len(axes.lines) == 1 + len(groups) for axes in figure.axes[:2])
    assert min(axes.get_xlim()[0] for axes in figure.axes[:2]) == pytest.approx(0.008)
    known = [np.isfinite(line.get_ydata()) for axes in figure.axes for line in axes.lines[1:]]
    assert np.concatenate(known).sum() == grouped["measured_mm"].notna().sum(), "none is lost"
