"""The report: whole, escaped, self-contained and true to the run."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from example_runs import (
    PARTS,
    SCENES,
    example_record,
    example_run,
    failed_row,
    keep_rows,
    results_of,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from facebench.bench.dataset.interface import Problem
from facebench.bench.meshes.clean import decimate
from facebench.bench.protocol.record import preset
from facebench.errors import FacebenchError, visible
from facebench.recon.export.mesh_files import write_ply
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural.build import embedded_model, procedural_model
from facebench.results.report import write_report
from facebench.results.report.charts import Axis, nice_step, range_around
from facebench.results.report.heat_maps import (
    MAX_MAPS,
    SCALE_MM,
    draw,
    error_colours,
    frontal,
    rotation_onto,
)
from facebench.results.report.page import WITH_FRAMES
from facebench.results.report.views import MAX_BESIDE, MAX_SCENES, pack
from facebench.results.run.folder import RunFolder
from facebench.results.run.items import read_errors
from facebench.results.run.ledger import ChunkRow
from facebench.results.tables.published import published_results
from facebench.results.tables.writers import Markup, join, tag, void

VOID = {"meta", "img", "br", "link", "hr"}
EVIL = "<script>alert('x')</script> & \"quoted\""


class Page(HTMLParser):
    """Reads a page and keeps what the tests ask for; fails on elements that do not close."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def keep_mesh(run: RunFolder, subject: str, scene: str, model_vertices: int = 2000) -> None:
    model = procedural_model(seed=0, n_vertices=model_vertices)
    turn = Rotation.from_euler("xyz", [45, 20, -10], degrees=True).as_matrix()
    mesh = replace(model.mesh(), vertices=model.mesh().vertices @ turn.T + [10, 500, -40])
    run.meshes.mkdir(exist_ok=True)
    errors = np.abs(mesh.vertices[:, 0] % 7)
    errors[::5] = np.nan
    write_ply(mesh, run.mesh_path(f"{subject}/{scene}"), {"error": errors})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, RunFolder]:
    root = tmp_path_factory.mktemp("runs")
    arguments = {**example_record().arguments, "name": EVIL}
    problems = (Problem("subject_30/Video", EVIL),)
    run = example_run(root / "ours", "ours", 1.36, arguments=arguments, problems=problems)
    rows = results_of(run.items())
    rows[0] = replace(rows[0], note="scan: 3 invalid vertices left out")
    rows[-1] = replace(rows[-1], reason=EVIL)
    rows = [
        replace(row, completeness=0.43) if row.item == "subject_01/indoor" else row for row in rows
    ]
    run.scores.write(rows)
    run.ledger.write(
        ChunkRow("subject_01/indoor", 0, True, 32, 20, 0, "broken", "cut short", 1.0, np.ones(3))
    )
    for subject in ("subject_01", "subject_02"):
        keep_mesh(run, subject, "indoor")
    run.pictures.mkdir()
    Image.new("RGB", (1200, 800), "teal").save(run.pictures / "subject_01_frames.png")
    (run.pictures / "broken.png").write_bytes(b"not a picture")
    return run, example_run(root / "mean", "mean-face", 1.9, seed=1)


@pytest.fixture(scope="module")
def source(runs: tuple[RunFolder, RunFolder]) -> str:
    return write_report(runs[0], runs[1:], published_results()).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_nothing_comes_from_elsewhere(source: str, page: Page) -> None:
    places = [a.get(key) for _, a in page.tags for key in ("src", "href", "action") if a.get(key)]
    assert all(place.startswith(("#", "data:")) for place in places if place)
    styles = re.findall(r"url\(|@import", source)
    assert not styles and not page.all("link") and not page.all("iframe")


def test_anchors_lead_to_their_sections(page: Page) -> None:
    names = {attributes.get("id") for _, attributes in page.tags}
    links = [str(a["href"])[1:] for a in page.all("a")]
    assert len(links) >= 8 and set(links) <= names


def test_strings_are_shown_never_run(page: Page) -> None:
    assert len(page.all("script")) == 1
    assert page.text.count(EVIL) >= 3  # the run's name, the failure's reason, the problem


def test_pictures_speak(page: Page) -> None:
    pictures = [a for a in page.all("img") if a.get("src")]
    faces_by_part, maps, kept = 2 * len(SCENES), 2, 1
    assert len(pictures) == faces_by_part + maps + kept and all(a["alt"] for a in pictures)
    charts = [a for a in page.all("svg") if a.get("aria-hidden") != "true"]
    assert len(charts) == 3 * len(SCENES) and all(a["role"] == "img" for a in charts)


def test_the_numbers_are_the_runs(page: Page, runs: tuple[RunFolder, RunFolder]) -> None:
    for cell in (cell for run in runs for cell in run.summary().values()):
        assert f"{cell.mean_mm:.2f} ± {cell.std_mm:.2f}" in page.text
    assert runs[0].record().protocol_digest in page.text
    assert "1.50 ± 0.13" in page.text and f"{3 * 2 / 2**8:.3f}" in page.text  # Holm, 3 scenes


def test_failures_notes_and_lost_frames_are_listed(page: Page) -> None:
    for words in ("3 invalid vertices left out", "cut short", "Not scored"):
        assert words in page.text


def test_a_torn_face_is_told_beside_its_error(page: Page) -> None:
    """Under its map, in the table of subjects, and by name below the table of scenes."""
    (alt,) = (str(a["alt"]) for a in page.all("img") if "subject_01, indoor" in str(a.get("alt")))
    assert alt.endswith("mm, complete 43%") and "mm complete 43%" in page.text
    table = page.text.split("Error of each subject in mm")[1]
    assert "mean complete" in table and table.count("43%") == 2
    assert "covers little of the scan of subject_01/indoor (43%)" in page.text


def test_photographs_of_a_subject_are_not_called_subjects(tmp_path: Path) -> None:
    """NoW has several of each person, measures each, and pools their points."""
    settings = preset("now").to_dict()
    run = example_run(tmp_path / "a", scenes=("all", *SCENES), protocol_settings=settings)
    note = "It lacks a part: 61% of the scan; It is 77% larger than it was: no number"
    keep_rows(run, [replace(row, note=note) for row in results_of(run.items())])
    words = " ".join(Page(write_report(run).read_text(encoding="utf-8")).words)
    assert "23 of 24 scored, of 8 subjects" in words
    assert "A dot is a measurement of a subject; it stands at the median of its points" in words
    # Two remarks of one note are two reasons, and what is an item's own stands with the item.
    assert "It lacks a part subject_01/cooperative (61% of the scan)" in words
    assert "It is … larger than it was: no number subject_01/cooperative (77%)" in words


def test_the_worst_subject_comes_first(page: Page, runs: tuple[RunFolder, RunFolder]) -> None:
    errors = runs[0].items().groupby("subject")["value_mm"].mean()
    expected = sorted(("subject_01", "subject_02"), key=lambda name: -errors[name])
    words = [str(a.get("alt")) for a in page.all("img")]
    shown = [said[:10] for said in words if re.search(r": error \d", said)]
    assert shown == expected


def test_a_run_alone_without_meshes_or_curves(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run")
    unknown = dict.fromkeys((f"{part}_mm" for part in PARTS), np.nan)
    run.scores.write([replace(row, curve=(), **unknown) for row in results_of(run.items())])
    page = Page(write_report(run, out=tmp_path / "else.html").read_text(encoding="utf-8"))
    assert len(page.all("svg")) == len(SCENES) and "Where the error is" not in page.text
    assert not run.report.exists()


def test_a_run_without_any_score(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run")
    rows = results_of(run.items())
    run.scores.write([failed_row(row.subject, row.scene, "no face") for row in rows])
    nothing = {key: float("nan") for key in ("mean_mm", "std_mm", "median_mm", "rmse_mm")}
    empty = replace(run.summary()["indoor"], **nothing, ci95_mm=(np.nan, np.nan), n_subjects=0)
    run.write_summary(dict.fromkeys(SCENES, empty))
    assert "no face" in Page(write_report(run).read_text(encoding="utf-8")).text


def test_mixing_protocols_is_refused(tmp_path: Path) -> None:
    one = example_run(tmp_path / "a")
    other = example_run(tmp_path / "b", protocol="metric", protocol_digest="9" * 64)
    with pytest.raises(FacebenchError, match="differ in their protocol"):
        write_report(one, [other])


def test_the_run_itself_among_the_others_is_shown_once(tmp_path: Path) -> None:
    run = example_run(tmp_path / "a")
    page = Page(write_report(run, [RunFolder(tmp_path / "a")]).read_text(encoding="utf-8"))
    assert page.text.count("8/8 · 94%") == 2


def test_two_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    runs = [example_run(tmp_path / name, "ours", seed=i) for i, name in enumerate("ab")]
    assert "ours (b)" in Page(write_report(runs[0], runs[1:]).read_text(encoding="utf-8")).text


@given(st.text(max_size=40))
def test_text_survives_markup(words: str) -> None:
    shown = visible(words)
    page = Page(tag("p", words, title=words))
    assert "".join(page.words) == shown and page.all("p")[0]["title"] == shown


def test_markup_is_not_escaped_twice() -> None:
    assert join(tag("b", "<"), ">") == Markup("<b>&lt;</b>&gt;")
    assert void("img", alt="", hidden=True, src=None) == '<img alt="" hidden>'


@given(st.lists(st.floats(0.01, 50), min_size=1, max_size=30))
def test_axes_hold_all_values_and_have_a_few_round_ticks(values: list[float]) -> None:
    low, high = range_around(values)
    axis = Axis(low, high, 0, 100)
    assert low <= min(values) and max(values) <= high
    assert 3 <= len(axis.ticks()) <= 9
    assert all(-1e-6 <= axis.at(tick) <= 100 + 1e-6 for tick in axis.ticks())


@pytest.mark.parametrize(("step", "nice"), [(0.03, 0.05), (1, 1), (1.1, 2), (6, 10), (0.2, 0.2)])
def test_nice_steps(step: float, nice: float) -> None:
    assert nice_step(step) == pytest.approx(nice)


@given(st.integers(0, 2**32 - 1))
def test_the_turn_back_is_found_exactly(seed: int) -> None:
    random = np.random.default_rng(seed)
    turn = Rotation.random(rng=random).as_matrix()
    points = random.normal(size=(20, 3)) * [3, 4, 2]
    points -= points.mean(axis=0)
    np.testing.assert_allclose(rotation_onto(points @ turn.T, points), turn.T, atol=1e-9)


def test_without_a_reference_the_face_still_looks_at_the_viewer() -> None:
    mesh = embedded_model().mesh()
    nose = mesh.landmarks[30]
    turn = Rotation.from_euler("xyz", [40, 25, 15], degrees=True).as_matrix()
    turned = replace(mesh, vertices=mesh.vertices @ turn.T + [300, -200, 100])
    straight = frontal(turned, None).vertices
    assert straight[nose, 2] > np.percentile(straight[:, 2], 99)
    eyes, chin = straight[mesh.landmarks[36:48]].mean(axis=0), straight[mesh.landmarks[8]]
    assert eyes[1] - chin[1] > 50 and abs(eyes[0] - chin[0]) < 15


def test_colours_run_from_pale_to_dark_red_and_grey() -> None:
    none, limit, above, unknown = error_colours(np.array([0.0, SCALE_MM, 99.0, np.nan]))
    assert none.min() > 0.8 and limit[0] > 0.4 > max(limit[1:])
    np.testing.assert_array_equal(limit, above)
    assert np.ptp(unknown) < 0.1


def test_errors_are_read_as_written(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 0], [90, 0, 0], [0, 90, 0]], float)
    mesh = Mesh(corners, np.array([[0, 1, 2]], np.int32))
    write_ply(mesh, tmp_path / "m.ply", {"error": np.array([0.5, np.nan, 2.5])})
    back, errors = read_errors(tmp_path / "m.ply")
    np.testing.assert_array_equal(errors, [0.5, np.nan, 2.5])
    np.testing.assert_array_equal(back.vertices, corners)


def test_a_set_as_large_as_micc_fits_into_a_page_of_6_megabytes() -> None:
    face = procedural_model(seed=1, n_vertices=20_000).mesh()
    errors = 5 * np.abs(np.sin(face.vertices[:, 0] / 9) * np.cos(face.vertices[:, 1] / 9))
    _, (side,) = pack([decimate(face, errors)])
    frames = WITH_FRAMES * len(SCENES) * 30_000
    assert side is not None
    views = 3 * MAX_SCENES * (2 + MAX_BESIDE) * len(str(side["value"]))
    assert MAX_MAPS * len(draw(face, errors)) + views + frames < 6e6
