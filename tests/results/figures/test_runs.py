"""Figures of measured runs: every run and scene is drawn, fonts can be embedded anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_runs import SCENES, example_run
from PIL import Image

from facebench.bench import evaluate
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import write_ply
from facebench.recon.morphable.procedural.build import procedural_model
from facebench.results.figures import errors
from facebench.results.figures.errors import PANEL_HEIGHT, error_sheet, write_curves
from facebench.results.tables.series import Series, read_series


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> tuple[Series, ...]:
    root = tmp_path_factory.mktemp("runs")
    runs = [example_run(root / "ours"), example_run(root / "mean", "mean-face", 1.9, seed=1)]
    mesh = procedural_model(seed=0, n_vertices=2000).mesh()
    errors = np.where(mesh.vertices[:, 2] > 0, 4.5, np.nan)
    for run, subjects in ((runs[0], 3), (runs[1], 1)):
        for subject in range(1, subjects + 1):
            path = run.mesh_path(f"subject_{subject:02d}/indoor")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_ply(mesh, path, {"error": errors})
    return read_series(runs)


def test_curves_have_the_size_of_the_print_and_fonts_that_journals_take(
    series: tuple[Series, ...], tmp_path: Path
) -> None:
    png, pdf = write_curves(series, tmp_path / "curves", 3.4, 100)
    with Image.open(png) as image:
        assert image.width == 340
    data = pdf.read_bytes()
    assert b"/Type3" not in data and b"/FontFile2" in data
    again, _ = write_curves(series, tmp_path / "again", 3.4, 100)
    assert again.read_bytes() == png.read_bytes()


def test_no_label_of_a_legend_is_cut_off(series: tuple[Series, ...], tmp_path: Path) -> None:
    """Two long names do not fit side by side below a column of a journal."""
    long = [replace(run, label=f"a method with quite a long name, {run.number}") for run in series]
    png, _ = write_curves(long, tmp_path / "long", 3.4, 100)
    with Image.open(png) as image:
        edges = np.asarray(image.convert("L"))[:, [0, 1, -2, -1]]
        # The legend takes a line more, and the panels lose nothing of their height.
        assert image.height == round(100 * (PANEL_HEIGHT + 0.2 + 2 * 0.15))
    assert (edges[-40:] == 255).all()


def test_labels_are_drawn_as_they_are_written(series: tuple[Series, ...], tmp_path: Path) -> None:
    """Matplotlib makes formulas of what stands between two `$` and hides what begins with `_`."""
    own = [replace(run, label=rf"_$\mine$ {run.number}") for run in series]
    png, _ = write_curves(own, tmp_path / "own", 3.4, 100)
    with Image.open(png) as image:
        legend = np.asarray(image.convert("L"))[-15:]
    assert (legend < 100).any(axis=0).sum() > 30


def test_faces_stand_by_error_and_what_is_not_there_says_so(series: tuple[Series, ...]) -> None:
    sheet = error_sheet(series, "indoor", 4)
    ours, theirs = sheet.rows  # without the dataset there are no frames
    shown = sheet.heads[0]
    errors = series[0].subjects.set_index("item")["value_mm"]
    means = [errors[f"{name}/indoor"] for name in shown]
    assert len(shown) == 3 and means == sorted(means, reverse=True)
    assert [cell.caption for cell in ours.cells] == [f"{mean:.2f} mm" for mean in means]
    assert [cell.picture is None for cell in theirs.cells] == [n != "subject_01" for n in shown]
    assert {cell.text for cell in theirs.cells} == {"", "not scored"}


def test_a_torn_face_of_a_print_says_so(series: tuple[Series, ...]) -> None:
    rows = series[0].subjects.copy()
    rows["completeness"] = np.where(rows["item"] == "subject_01/indoor", 0.43, 0.97)
    sheet = error_sheet((replace(series[0], subjects=rows), series[1]), "indoor", 4)
    captions = dict(zip(sheet.heads[0], (c.caption for c in sheet.rows[0].cells), strict=True))
    assert captions["subject_01"].endswith(" mm, complete 43%")
    assert captions["subject_02"].endswith(" mm")


def test_pictures_of_a_pair_state_its_completeness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(errors, "write_heat_map", lambda *args: titles.append(args[-1]))
    monkeypatch.setattr(errors, "write_curve", lambda *args: titles.append(args[-1]))
    face = procedural_model(seed=0).mesh()
    result = evaluate(face, face)
    errors.write_pair(tmp_path, result)
    share = f"complete {result.score.completeness:.0%}, protocol micc"
    assert len(titles) == 2 and all(share in title for title in titles)


def test_a_scene_without_faces_is_told(series: tuple[Series, ...]) -> None:
    with pytest.raises(FacebenchError, match="keeps no meshes of outdoor"):
        error_sheet(series, SCENES[2], 4)
    with pytest.raises(FacebenchError, match="has no scene 'moon'"):
        error_sheet(series, "moon", 4)
