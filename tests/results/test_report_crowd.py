"""The report of more subjects than anybody looks at one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chromium import CHROMIUM, browser
from example_runs import SCENES, example_record, example_row, example_summary, failed_row

from facebench.results.report import charts, write_report
from facebench.results.report.charts import BINS, HALF_WIDTH, density
from facebench.results.run.folder import RunFolder
from facebench.results.tables import writers

MOST_ROWS, MOST_DOTS = 200, 150
"""Instead of 1,000 and 400, whose page takes long to make."""
SUBJECTS = tuple(f"subject_{number:04d}" for number in range(1, MOST_DOTS + 101))


def crowd_run(root: Path, seed: int, subjects: tuple[str, ...] = SUBJECTS) -> RunFolder:
    """Everybody scored but for every tenth outdoors."""
    run, errors = RunFolder(root), np.random.default_rng(seed).normal(1.5, 0.2, len(subjects))
    run.begin(replace(example_record(), subjects=subjects))
    rows = [
        failed_row(subject, scene, "no face")
        if scene == "outdoor" and number % 10 == 0
        else example_row(subject, scene, float(errors[number]))
        for number, subject in enumerate(subjects)
        for scene in SCENES
    ]
    run.scores.write(rows)
    run.write_summary({scene: example_summary(rows, scene) for scene in SCENES})
    return run


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "MOST_ROWS", MOST_ROWS)
        patch.setattr(charts, "MOST_DOTS", MOST_DOTS)
        yield


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("crowd")
    return write_report(crowd_run(home / "one", 0), [crowd_run(home / "two", 1)])


def test_a_crowd_is_one_shape(page: Path) -> None:
    text = page.read_text()
    assert "<circle" not in text and 'class="pair"' not in text
    assert text.count('class="density"') == 2 * len(SCENES)
    assert f"{len(SUBJECTS):,} subjects" in text and f"{len(SUBJECTS) * 9 // 10:,} subjects" in text


def test_up_to_some_subjects_each_has_a_dot(tmp_path: Path) -> None:
    text = write_report(crowd_run(tmp_path, 0, SUBJECTS[:MOST_DOTS])).read_text()
    assert text.count("<circle") == 2 * MOST_DOTS + MOST_DOTS * 9 // 10
    assert 'class="density"' not in text


def test_the_shape_is_as_wide_as_there_are_subjects() -> None:
    places = np.concatenate([np.full(30, 10.0), np.full(10, 70.0)])
    points = re.search(r'points="([^"]+)"', density(places.tolist(), 50.0))
    assert points is not None
    pairs = np.array([pair.split(",") for pair in points[1].split()], float)
    upper, lower = pairs[:BINS], pairs[BINS:][::-1]
    np.testing.assert_array_equal(upper[:, 0], lower[:, 0])
    width = (lower[:, 1] - upper[:, 1]) / 2
    assert width[0] == HALF_WIDTH and width[-1] == HALF_WIDTH / 3 and not width[1:-1].any()


def test_a_long_table_shows_the_worst_and_says_so(page: Path) -> None:
    text = page.read_text()
    body = text.partition("Error of each subject in mm")[2].partition("</table>")[0]
    assert body.count("<tr>") == MOST_ROWS + 1
    assert f"the first {MOST_ROWS:,} of {len(SUBJECTS):,}; the run folder has all" in body
    errors = [float(v) for v in re.findall(r'scope="row">.*?<td><span>([\d.]+)<', body)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_long_tables_are_turned_by_pages(page: Path, tmp_path: Path) -> None:
    shown = (
        "[...document.querySelectorAll('#subjects tbody tr')]"
        ".filter(row => !row.hidden).map(row => row.cells[0].textContent)"
    )
    press = "[...document.querySelectorAll('#subjects .pager button')][{}].click()"
    with browser(tmp_path) as chromium:
        chromium.open(page, 400)
        chromium.value("document.querySelector('#subjects details').open = true")
        first = chromium.value(shown)
        assert len(first) == 100
        chromium.value(press.format(1))
        second = chromium.value(shown)
        assert len(second) == 100 and not set(first) & set(second)
        chromium.value(press.format(0))
        assert chromium.value(shown) == first
        said = chromium.value("document.querySelector('#subjects .pager span').textContent")
        assert said == f"1 to 100 of {MOST_ROWS}"
        assert chromium.value("document.documentElement.scrollWidth <= innerWidth")
        assert not chromium.complaints
