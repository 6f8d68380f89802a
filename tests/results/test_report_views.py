"""Faces to turn: the bytes say what the meshes are, and a real browser shows and turns them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chromium import CHROMIUM, Browser, browser
from example_runs import SCENES, example_run, keep_rows, results_of
from numpy.typing import NDArray
from PIL import Image

from facebench.recon.export.mesh_files import write_ply
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural.build import procedural_model
from facebench.results.report import write_report
from facebench.results.report.heat_maps import SCALE_MM, error_colours
from facebench.results.report.views import (
    STEPS,
    PackedMesh,
    colour_table,
    error_bytes,
    pack,
    rank_subjects,
    viewer,
    views,
)
from facebench.results.run.folder import RunFolder
from facebench.results.tables.series import read_series

SHOWN_BYTES = 3_000_000
COUNT = """(() => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [200, 200];
  const pen = copy.getContext("2d");
  pen.drawImage(document.getElementById("face"), 0, 0, 200, 200);
  const pixels = pen.getImageData(0, 0, 200, 200).data;
  const found = { filled: 0, red: 0, blue: 0, sum: 0 };
  for (let at = 0; at < pixels.length; at += 4) {
    const [r, g, b, a] = pixels.slice(at, at + 4);
    if (a > 200) found.filled += 1;
    if (a > 200 && r > 1.5 * b && r > 60) found.red += 1;
    if (a > 200 && b > 1.15 * r) found.blue += 1;
    found.sum = (31 * found.sum + r + 7 * g + 13 * b) % 1000003;
  }
  return found;
})()"""
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def keep_face(run: RunFolder, item: str) -> None:
    """A prediction and a scan of one item, the scan's errors 0 and the prediction's large."""
    mesh = procedural_model(seed=0, n_vertices=2000).mesh()
    errors = np.where(mesh.vertices[:, 2] > 0, 4.5, np.nan)
    for path in (run.mesh_path(item), run.scan_path(item)):
        path.parent.mkdir(parents=True, exist_ok=True)
    moved = replace(mesh, vertices=mesh.vertices + np.array([30.0, -20.0, 700.0]))
    write_ply(moved, run.mesh_path(item), {"error": errors})
    scan = replace(moved, vertices=moved.vertices + np.array([0.0, 0.0, 1.0]))
    write_ply(scan, run.scan_path(item), {"error": np.zeros(len(errors))})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = example_run(tmp_path_factory.mktemp("run") / "ours")
    for _, subject, _ in rank_subjects(run.items(), "indoor"):
        keep_face(run, f"{subject}/indoor")
    return run


@pytest.fixture(scope="module")
def page(run: RunFolder) -> Path:
    return write_report(run)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def unpacked(mesh: PackedMesh) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    data = base64.b64decode(str(mesh["value"]))
    middle = 6 * int(mesh["data_vertices"])
    end = middle + 6 * int(mesh["data_triangles"])
    return (
        np.frombuffer(data[:middle], "<i2").reshape(-1, 3),
        np.frombuffer(data[middle:end], "<u2").reshape(-1, 3),
        np.frombuffer(data[end:], np.uint8),
    )


def test_a_packed_mesh_is_the_mesh_to_a_few_micrometres() -> None:
    mesh = procedural_model(seed=0, n_vertices=2000).mesh()
    errors = np.linspace(0, SCALE_MM, len(mesh.vertices))
    step, (side, other) = pack([(mesh, errors), (mesh, errors)])
    assert side is not None
    positions, triangles, steps = unpacked(side)
    np.testing.assert_allclose(positions * step, mesh.vertices, atol=0.51 * step)
    np.testing.assert_array_equal(triangles, mesh.triangles)
    np.testing.assert_allclose(steps * SCALE_MM / STEPS, errors, atol=SCALE_MM / STEPS)
    assert step < 0.01 and other == side


def test_the_colours_are_those_of_the_heat_maps() -> None:
    errors = np.array([0.0, 0.7, 2.5, 4.99, 80.0, np.nan])
    table = np.frombuffer(base64.b64decode(colour_table()), np.uint8).reshape(256, 3)
    np.testing.assert_allclose(table[error_bytes(errors)] / 255, error_colours(errors), atol=0.02)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([], []),
        ([2.0], [("only", "a")]),
        ([2.0, 3.0], [("worst", "b"), ("best", "a")]),
        ([2.0, 5.0, 1.0, np.nan], [("worst", "b"), ("median", "a"), ("best", "c")]),
        ([1.0, 2.0, 3.0, 4.0, 5.0], [("worst", "e"), ("median", "c"), ("best", "a")]),
    ],
)
def test_the_worst_the_median_and_the_best(
    errors: list[float], expected: list[tuple[str, str]]
) -> None:
    names = list("abcde")[: len(errors)]
    items = [f"{name}/indoor" for name in names]
    table = pd.DataFrame({"subject": names, "item": items, "value_mm": errors})
    # Of no rows pandas would take the columns of names for numbers.
    table = table.astype({"subject": "str", "item": "str"}).assign(scene="indoor")
    found = rank_subjects(table, "indoor")
    assert [(rank, subject) for rank, subject, _ in found] == expected


def test_both_sides_share_their_space_and_the_middle_is_what_was_measured(run: RunFolder) -> None:
    (series,) = read_series([run])
    view = next(views(series))
    assert view.rank == "worst" and view.scan is not None
    prediction, scan = unpacked(view.prediction), unpacked(view.scan)
    offset = (scan[0].astype(float) - prediction[0]) * view.step_mm
    np.testing.assert_allclose(np.linalg.norm(offset, axis=1), 1.0, atol=0.05)
    seen = prediction[0][prediction[2] < 255].astype(float) * view.step_mm
    np.testing.assert_allclose(seen.min(axis=0) + seen.max(axis=0), 0, atol=30)


def test_a_run_that_keeps_no_scans_says_so(tmp_path: Path) -> None:
    run = example_run(tmp_path / "run")
    (_, subject, _), *_ = rank_subjects(run.items(), SCENES[0])
    keep_face(run, f"{subject}/{SCENES[0]}")
    run.scan_path(f"{subject}/{SCENES[0]}").unlink()
    source = write_report(run).read_text(encoding="utf-8")
    assert "The run keeps no scans" in source and 'value="scan"' not in source


def test_a_page_is_small(page: Path) -> None:
    assert page.stat().st_size < SHOWN_BYTES


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_it_turns_in_a_browser(
    chromium: Browser, page: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    chromium.asked.clear()
    chromium.complaints.clear()
    chromium.open(page, width, scheme=scheme)
    assert chromium.value("document.documentElement.scrollWidth <= innerWidth")
    chromium.value("document.getElementById('face').focus()")
    chromium.value(DRAWN)
    front = chromium.value(COUNT)
    assert front["filled"] > 6000 and front["red"] > 2000
    chromium.press("ArrowRight")
    chromium.value(DRAWN)
    assert chromium.value(COUNT)["sum"] != front["sum"]
    chromium.press("0")
    chromium.value(DRAWN)
    assert chromium.value(COUNT)["sum"] == front["sum"]
    assert dark_background(chromium.picture(tmp_path / "page.png")) == (scheme == "dark")
    assert chromium.asked == [page.absolute().as_uri()] and not chromium.complaints


def test_two_runs_turn_together(chromium: Browser, run: RunFolder, tmp_path: Path) -> None:
    other = example_run(tmp_path / "theirs", "mean-face", 2.0, seed=1)
    for _, subject, _ in rank_subjects(run.items(), "indoor")[:1]:
        keep_face(other, f"{subject}/indoor")
    chromium.open(write_report(run, [other], out=tmp_path / "two.html"), 1280)
    beside = COUNT.replace('"face"', '"face-beside"')
    chromium.value(DRAWN)
    left, right = chromium.value(COUNT), chromium.value(beside)
    assert left == right and left["red"] > 2000  # the same face was kept for both
    chromium.value("document.getElementById('face').focus()")
    chromium.press("ArrowRight")
    chromium.value(DRAWN)
    assert chromium.value(COUNT) == chromium.value(beside) != left
    words = "[...document.querySelectorAll('.viewer figcaption')].map((c) => c.textContent)"
    ours, theirs = chromium.value(words)
    assert ours.startswith("ours, ") and theirs.startswith("mean-face: error ")
    # Of the median subject the other run keeps no mesh: nothing stands beside it.
    change = "const c = document.getElementById('face-choice'); c.value = '1';"
    chromium.value(f"{change} c.dispatchEvent(new Event('change'))")
    assert chromium.value("document.getElementById('face-beside').closest('figure').hidden")


def test_long_names_stay_in_their_cards(chromium: Browser, tmp_path: Path) -> None:
    """Those of NoW's photographs: one word, wider than a picture."""
    scene = "multiview_expressions_and_occlusions"
    run = example_run(tmp_path / "run", scenes=("indoor",))
    run.write_record(replace(run.record(), scenes=(scene,)))
    rows = [
        replace(row, scene=scene, item=f"{row.subject}/{scene}") for row in results_of(run.items())
    ]
    keep_rows(run, rows)
    for row in rows:
        keep_face(run, row.item)
    chromium.open(write_report(run), 390)
    # Off the screen they are not drawn, and would be as wide as one likes.
    chromium.value(
        "document.querySelectorAll('*').forEach((e) => e.style.contentVisibility = 'visible')"
    )
    assert chromium.value("document.documentElement.scrollWidth <= innerWidth")


def test_below_a_face_stands_how_much_of_the_scan_it_covers(tmp_path: Path) -> None:
    runs = [example_run(tmp_path / name, name, seed=n) for n, name in enumerate(("ours", "theirs"))]
    for run, share in zip(runs, (0.97, 0.43), strict=True):
        keep_rows(run, [replace(row, completeness=share) for row in results_of(run.items())])
        keep_face(run, f"{rank_subjects(runs[0].items(), 'indoor')[0][1]}/indoor")
    own, *others = read_series(runs)
    (view,) = (found for found in views(own, others) if found.scene == "indoor")
    told = re.findall(r"(\w+): error [\d.]+\s?mm, complete (\d+%)", viewer([view]))
    assert told == [("worst", "97%"), ("theirs", "43%")]


def dark_background(picture: Path) -> bool:
    with Image.open(picture) as image:
        return int(np.asarray(image.convert("L"))[5, 2]) < 100


def test_sides_and_faces_are_chosen(chromium: Browser, page: Path) -> None:
    chromium.open(page, 800)
    shown = {}
    for side in ("prediction", "scan", "both"):
        chromium.value(f"document.querySelector('input[value={side}]').click()")
        chromium.value(DRAWN)
        shown[side] = chromium.value(COUNT)
    assert shown["prediction"]["red"] > 2000 and shown["scan"]["red"] < 200
    assert shown["both"]["blue"] > 2000  # the plain scan lies in front
    words = "document.querySelector('.viewer figcaption').textContent"
    assert "worst" in chromium.value(words)
    change = "const c = document.getElementById('face-choice'); c.value = '2';"
    chromium.value(f"{change} c.dispatchEvent(new Event('change'))")
    assert "best" in chromium.value(words)


def test_a_finger_turns(chromium: Browser, page: Path) -> None:
    chromium.open(page, 360)
    chromium.value("document.getElementById('face').scrollIntoView({behavior: 'instant'})")
    chromium.value(DRAWN)
    before = chromium.value(COUNT)
    box = "(() => { const b = document.getElementById('face').getBoundingClientRect();"
    x, y = chromium.value(f"{box} return [b.x + b.width / 2, b.y + b.height / 2]; }})()")
    for kind, shift in (("touchStart", 0), ("touchMove", 30), ("touchMove", 60)):
        point = {"x": x + shift, "y": y}
        chromium.call("Input.dispatchTouchEvent", type=kind, touchPoints=[point])
    chromium.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    chromium.value(DRAWN)
    assert chromium.value(COUNT)["sum"] != before["sum"]


def test_a_browser_without_webgl_is_told(chromium: Browser, page: Path, tmp_path: Path) -> None:
    without = "<script>HTMLCanvasElement.prototype.getContext = () => null;</script></head>"
    # The page's policy refuses every script but its own, so this one takes the policy out.
    source = re.sub("<meta http-equiv=.Content-Security[^>]*>", "", page.read_text("utf-8"))
    source = source.replace("</head>", without, 1)
    (tmp_path / "page.html").write_text(source, encoding="utf-8")
    chromium.complaints.clear()
    chromium.open(tmp_path / "page.html", 800)
    seen = "[document.querySelector('.stage .note').hidden, document.getElementById('face').hidden]"
    assert chromium.value(seen) == [False, True] and not chromium.complaints


def test_a_picture_is_enlarged(chromium: Browser, page: Path) -> None:
    chromium.open(page, 360)
    chromium.value("document.querySelector('button.zoom').click()")
    assert chromium.value("large.open && large.querySelector('img').alt.length > 5")
    first = chromium.value("large.querySelector('img').alt")
    chromium.press("ArrowRight")
    assert chromium.value("large.querySelector('img').alt") != first


def test_what_was_not_measured_has_its_own_byte() -> None:
    corner = Mesh(np.array([[0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]]), np.array([[0, 1, 2]], np.int32))
    _, (side, none) = pack([(corner, np.full(3, np.nan)), None])
    assert none is None and side is not None and (unpacked(side)[2] == 255).all()
