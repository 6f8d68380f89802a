"""Runs on the part of the scans that all cover: what one leaves out counts for none."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_runs import SCENES, SUBJECTS, example_run, keep_rows, results_of
from shapes import sphere

from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_ply
from facebench.recon.mesh import Mesh
from facebench.results.compare import compare, comparison_tables, comparison_text
from facebench.results.run.folder import RunFolder

NAN = float("nan")
BALL = sphere([0.0, 0.0, 0.0], 60.0)
X, Y = np.asarray(BALL.vertices, np.float64).T[:2]
# A true face is wrong by 1 mm, and by 5 where y is high.
HARD = np.where(Y > 20, 5.0, 1.0)


def with_scans(run: RunFolder, errors: np.ndarray, mesh: Mesh = BALL) -> RunFolder:
    for item in run.items()["item"]:
        path = run.scan_path(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_ply(mesh, path, {"error": errors.astype(np.float32)})
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    """A whole face; one a tenth worse that leaves out what is hard, thinned in another order."""
    root = tmp_path_factory.mktemp("runs")
    other = np.random.default_rng(0).permutation(len(X))
    turned = Mesh(np.asarray(BALL.vertices)[other], np.argsort(other)[BALL.triangles])
    partial = np.where(Y > 20, np.nan, 1.1)
    return [
        with_scans(example_run(root / "whole", "whole", 1.9, 1), HARD),
        with_scans(example_run(root / "less", "less", 1.1, 2), partial[other], turned),
    ]


def test_less_of_a_face_is_scored_where_it_is(runs: list[RunFolder]) -> None:
    (group,) = compare(runs, on_common_region=True).groups
    assert group.common is not None
    for scene in SCENES:
        whole, less = (group.common.cells[label][scene] for label in ("whole", "less"))
        assert whole.mean_mm == pytest.approx(1.0) and less.mean_mm == pytest.approx(1.1)
        # The cap above y = 20 of a sphere of 60 has a third of its area.
        assert whole.share == less.share == pytest.approx(2 / 3, abs=0.03)
        assert whole.n_subjects == (7 if scene == "outdoor" else 8)
    # By its own region the smaller face was the better one; here every pair says the opposite.
    assert group.scenes.best(SCENES[0]) is group.scenes.rows[1]
    assert {pair.verdict for pair in group.pairs} == {"higher"}
    assert all(pair.difference.mean_mm == pytest.approx(0.1) for pair in group.pairs)


def test_less_of_a_face_that_fits_closer_is_not_better(tmp_path: Path) -> None:
    """Each run was registered to all that it covers, so that a cropped face wins against itself."""
    runs = []
    for name, error, share in (("whole", HARD, 0.97), ("less", np.where(Y > 20, NAN, 0.8), 0.6)):
        run = with_scans(example_run(tmp_path / name, name, 1.5), error)
        keep_rows(run, [replace(row, completeness=share) for row in results_of(run.items())])
        run.write_summary({s: replace(c, completeness=share) for s, c in run.summary().items()})
        runs.append(run)
    (group,) = compare(runs, on_common_region=True).groups
    assert all(pair.difference.mean_mm == pytest.approx(-0.2) for pair in group.pairs)
    assert {pair.verdict for pair in group.pairs} == {"unlike completeness"}
    assert group.common is not None
    whole, less = group.common.table(group.scenes).rows
    assert whole[1].style == "best" and less[1].style == ""
    # The other way round it is shown: what covers more fits no closer by that.
    with_scans(runs[1], np.where(Y > 20, NAN, 1.1))
    (group,) = compare(runs, on_common_region=True).groups
    assert {pair.verdict for pair in group.pairs} == {"higher"}


def test_tables_state_the_region_and_its_share(runs: list[RunFolder]) -> None:
    compared = compare(runs, on_common_region=True)
    tables = list(comparison_tables(compared))
    assert "all runs cover" in tables[1].title and "all runs cover" in tables[2].title
    (_, first, *_), (_, second, *_) = tables[1].rows
    assert (first.text, second.text) == ("1.00 ± 0.00", "1.10 ± 0.00")
    assert first.style == "best" and second.style == ""
    assert first.details[1].startswith("8 · 6")
    lines = list(csv.DictReader(io.StringIO(comparison_text(compared, "csv"))))
    assert float(lines[0]["common_mean_mm"]) == pytest.approx(1.0)
    values = json.loads(comparison_text(compared, "json"))["groups"][0]["common_region"]
    assert values["less"]["indoor"]["mean_mm"] == pytest.approx(1.1)
    assert "common" not in comparison_text(compare(runs), "csv").splitlines()[0]


def test_no_point_in_common_is_no_number(tmp_path: Path) -> None:
    halves = [np.where(side * X > 0, 1.0, np.nan) for side in (1, -1)]
    runs = [
        with_scans(example_run(tmp_path / name, name), errors)
        for name, errors in zip("ab", halves, strict=True)
    ]
    (group,) = compare(runs, on_common_region=True).groups
    assert group.common is not None
    assert group.common.cells["a"]["indoor"].n_subjects == 0
    assert {pair.verdict for pair in group.pairs} == {"too few subjects"}


def test_what_has_no_region_is_refused(runs: list[RunFolder], tmp_path: Path) -> None:
    bare = example_run(tmp_path / "bare", "bare")
    with pytest.raises(FacebenchError, match=f"kept no errors of the scan of {SUBJECTS[0]}"):
        compare([runs[0], bare], on_common_region=True)
    silent = with_scans(example_run(tmp_path / "silent", "silent"), np.full(len(X), np.nan))
    with pytest.raises(FacebenchError, match="no errors on the scan"):
        compare([runs[0], silent], on_common_region=True)
    with pytest.raises(FacebenchError, match="give two or more"):
        compare(runs[:1], on_common_region=True)
