"""A check on photographs: analytic measures, references that are none, and a folder all the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut, coffee

from facebench.bench.photographs.check import (
    identity_auc,
    landmark_errors,
    match_boxes,
    slope_and_correlation,
    slopes,
)
from facebench.bench.photographs.reference import (
    MEASURES,
    ReferenceFace,
    eye_distance,
    measure_face,
    pose_of,
    read_reference,
)
from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.face.crop import Box, box_of_points
from facebench.recon.face.labels import FIVE_POINTS, TEMPLATE
from facebench.recon.morphable.landmarks import landmark_points
from facebench.recon.morphable.load import load_model
from facebench.recon.vision.detect import CascadeDetector
from facebench.recon.vision.landmarks import make_landmark_detector


@pytest.fixture(scope="module")
def frontal() -> NDArray[np.float64]:
    """The embedded mean face seen from the front, px, y down."""
    model = load_model("embedded")
    return landmark_points(model.mean_shape, model.landmarks, model.name)


def _turned(points: NDArray[np.float64], yaw: float) -> NDArray[np.float64]:
    turn = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    return (points @ np.array(turn).T)[:, :2] * [1.0, -1.0]


def test_measures_are_of_the_face_and_not_of_its_place(frontal: NDArray[np.float64]) -> None:
    flat = _turned(frontal, 0.3)
    angle = 0.7
    roll = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = 3.0 * flat @ roll.T + [100.0, -40.0]
    np.testing.assert_allclose(measure_face(moved), measure_face(flat), atol=1e-9)


def test_each_measure_follows_what_it_is_called_after(frontal: NDArray[np.float64]) -> None:
    still = dict(zip(MEASURES, measure_face(_turned(frontal, 0.0)), strict=True))
    assert abs(still["yaw"]) < 0.02
    turned = [measure_face(_turned(frontal, yaw))[MEASURES.index("yaw")] for yaw in (0.2, 0.4)]
    assert 0.05 < turned[0] < turned[1]
    opened = _turned(frontal, 0.0)
    opened[65:68, 1] += 10.0
    found = dict(zip(MEASURES, measure_face(opened), strict=True))
    gained = found["mouth opening"] - still["mouth opening"]
    assert gained == pytest.approx(10.0 / eye_distance(opened), rel=0.05)
    for other in ("smile", "blink", "yaw"):
        assert found[other] == pytest.approx(still[other])


def test_poses_are_told_by_the_nose(frontal: NDArray[np.float64]) -> None:
    told = [pose_of(_turned(frontal, np.radians(angle))) for angle in (0, 20, 40)]
    assert len(set(told)) == 3
    assert told[0].startswith("frontal")


def test_errors_are_shares_of_the_eyes(frontal: NDArray[np.float64]) -> None:
    truth = _turned(frontal, 0.0)
    size = eye_distance(truth)
    off = truth.copy()
    off[48:68, 0] += 0.2 * size
    off[3] = np.nan
    errors = landmark_errors([off, truth, truth], [truth] * 3)
    assert errors["mouth"] == pytest.approx((0.0, 1 / 3))
    (alone,) = [landmark_errors([off], [truth])]
    assert alone["mouth"] == pytest.approx((0.2, 1.0))
    assert alone["jaw"] == (0.0, 0.0)
    assert alone["inner 51"][0] == pytest.approx(0.2 * 20 / 51)
    assert np.isnan(landmark_errors([], [])["jaw"]).all()


def test_slopes_are_those_of_least_squares() -> None:
    random = np.random.default_rng(1)
    x = random.standard_normal(40)
    y = 0.3 * x + 0.1 * random.standard_normal(40) + 5.0
    slope, r = slope_and_correlation(x, y)
    assert slope == pytest.approx(np.polyfit(x, y, 1)[0])
    assert r == pytest.approx(np.corrcoef(x, y)[0, 1])
    y[3] = np.nan
    assert slope_and_correlation(x, y)[0] == pytest.approx(0.3, abs=0.1)
    assert np.isnan(slope_and_correlation(np.ones(5), y[:5])[0])
    assert np.isnan(list(slopes([], []).values())).all()


def test_auc_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(2)
    people = ["a", "a", "b", "b", "b", "", "c"]
    vectors = [random.standard_normal(3) + (p == "b") * 2.0 for p in people]
    cosines = {}
    for i in range(7):
        for j in range(i):
            if people[i] and people[j]:
                v, w = vectors[i], vectors[j]
                cosines[i, j] = v @ w / np.linalg.norm(v) / np.linalg.norm(w)
    same = [c for (i, j), c in cosines.items() if people[i] == people[j]]
    other = [c for (i, j), c in cosines.items() if people[i] != people[j]]
    wins = np.mean([one > two for one in same for two in other])
    assert identity_auc(vectors, people) == (pytest.approx(wins), 4)
    assert identity_auc([np.ones(2)] * 4, ["a", "a", "b", "b"])[0] == 0.5
    assert np.isnan(identity_auc(vectors, [""] * 7)[0])


def test_a_second_box_on_a_face_is_false(frontal: NDArray[np.float64]) -> None:
    points = _turned(frontal, 0.0)
    face = ReferenceFace(points, True, "")
    apart = ReferenceFace(points + 500.0, True, "")
    own = box_of_points(points)
    near = Box(own.left + 5.0, own.top, own.width, own.height)
    small = Box(own.left, own.top, own.width / 3, own.height / 3)
    pairs, rest = match_boxes([near, own, small], [apart, face])
    assert pairs == [(face, own)]
    assert rest == [near, small]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photograph of a face whose reference is the embedded network's, and one of coffee."""
    Image.fromarray(astronaut()).save(tmp_path / "astronaut.png")
    Image.fromarray(coffee()[:200, :200]).save(tmp_path / "coffee.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    box = CascadeDetector().detect(astronaut())
    assert box is not None
    detector = make_landmark_detector()
    (first,) = detector.landmarks([astronaut()], [box])
    # What is checked are the landmarks of a second look, framed by those of the first.
    (points,) = detector.landmarks([astronaut()], [box_of_points(first)])
    table = {
        "astronaut.png": {"size": [512, 512], "faces": [{"landmarks": points.tolist()}]},
        "coffee.png": {"size": [200, 200], "faces": []},
        "broken.png": {"size": [1, 1], "faces": []},
        "elsewhere.png": {"size": [1, 1], "faces": []},
    }
    (tmp_path / "reference.json").write_text(json.dumps(table))
    return tmp_path


def test_a_folder_is_checked_all_the_way(folder: Path) -> None:
    words = ["check-photographs", str(folder), "--reference", str(folder / "reference.json")]
    done = CliRunner().invoke(group, [*words, "--json"], standalone_mode=False)
    assert done.exception is None
    numbers = json.loads(done.stdout)
    assert numbers["photographs"] == 2
    assert sum(numbers["found"].values()) == sum(numbers["faces"].values()) == 1
    assert numbers["false"] == []
    # The reference is what this very network said.
    assert numbers["errors"]["landmarks"]["all 68"]["median"] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < numbers["errors"]["reconstruction"]["inner 51"]["median"] < 0.3
    assert numbers["networks"]["detector"] == "embedded"
    assert numbers["networks"]["reconstruction"] == "fitting with model human"
    assert len(numbers["problems"]) == 1
    assert "broken.png" in numbers["problems"][0]
    assert numbers["identity"]["auc_recogniser"] is None


POINTS = np.arange(136.0).reshape(68, 2)
for places, point in zip(FIVE_POINTS, TEMPLATE, strict=True):
    POINTS[list(places)] = point
FACE = {"landmarks": POINTS.tolist()}
SHARES = {"landmarks": (POINTS / 136).tolist()}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ([], "no table of photographs"),
        ({"a.png": {"size": [3, 3]}}, "'a.png' is not as it should be"),
        ({"a.png": {"size": [3, 3], "faces": [{"landmarks": [[1, 2]]}]}}, "68 landmarks"),
        ({"../a.png": {"size": [3, 3], "faces": []}}, "no file of the folder"),
        ({"a.png": {"size": [3, 3], "faces": []}}, "none of the 1 photographs"),
        ({"a.png": {"size": [3.5, 3], "faces": []}}, "'a.png' is not as it should be"),
        ({"a.png": {"size": [3, 3], "faces": [FACE, FACE]}}, "one face twice"),
        ({"a.png": {"size": [3, 3], "faces": [FACE | {"references_agree": "no"}]}}, "nor false"),
        ({"a.png": {"size": [3, 3], "faces": [SHARES]}}, "look like shares"),
        (
            {"r.json": {"size": [3, 3], "faces": []}, "./r.json": {"size": [3, 3], "faces": []}},
            "are one",
        ),
    ],
)
def test_a_reference_that_is_none_is_told(tmp_path: Path, table: object, told: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(table))
    with pytest.raises(FacebenchError) as caught:
        read_reference(path, tmp_path)
    assert told in str(caught.value)


def test_people_are_told_by_folders_and_names(tmp_path: Path) -> None:
    names = {"ann/1.jpg": "ann", "Bob_0001.jpg": "Bob", "somebody.jpg": ""}
    table = {name: {"size": [9, 9], "faces": [FACE]} for name in names}
    table["given.jpg"] = {"size": [9, 9], "faces": [{**FACE, "person": "cy"}]}
    (tmp_path / "r.json").write_text(json.dumps(table))
    for name in table:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, missing = read_reference(tmp_path / "r.json", tmp_path)
    assert [one.faces[0].person for one in found] == ["ann", "Bob", "", "cy"] and not missing


def test_a_name_in_other_characters_is_found_and_what_lacks_is_named(tmp_path: Path) -> None:
    entry = {"size": [9, 9], "faces": []}
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Zoe\u0308.jpg").touch()
    table = {"a\\Zo\u00eb.jpg": entry, "gone.jpg": entry}
    (tmp_path / "r.json").write_text(json.dumps(table))
    (found,), missing = read_reference(tmp_path / "r.json", tmp_path)
    assert found.path.is_file() and missing == ["gone.jpg"]
