"""Label files as people have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facebench.bench.landmarks import read_landmark_file, read_nose_tip
from facebench.errors import FacebenchError
from facebench.recon.face.crop import (
    Box,
    _mean_face_at,
    box_of_points,
    read_all_boxes,
    read_boxes,
    read_image_points,
)
from facebench.recon.face.labels import TEMPLATE, points_of_text, read_points
from facebench.recon.morphable.procedural import procedural_model

POINTS = np.random.default_rng(5).normal(size=(68, 3)).round(3)
ROWS = [" ".join(map(str, point)) for point in POINTS.tolist()]

TEXTS = {
    "plain": "\n".join(ROWS),
    "mark": "\ufeff" + "\n".join(ROWS),
    "CRLF and comments": "# points\r\n\r\n" + "\r\n".join(ROWS) + "\r\n// end\r\n",
    "header": "x,y,z\n" + "\n".join(row.replace(" ", ",") for row in ROWS),
    "names": "name;x;y;z\n" + "\n".join(f"p{n};{r.replace(' ', ';')}" for n, r in enumerate(ROWS)),
    "counted": "\n".join(f"{n}\t{row}" for n, row in enumerate(ROWS, start=1)),
    "count first": "68\n" + "\n".join(ROWS),
    "one line": " ".join(ROWS),
    "pts": "version: 1\nn_points: 68\n{\n" + "\n".join(ROWS) + "\n}\n",
    "decimal commas": "\n".join(row.replace(" ", ";").replace(".", ",") for row in ROWS),
    "and blanks": "\n".join(row.replace(".", ",") for row in ROWS),
    "quoted": "\n".join(f'"{r}"'.replace(" ", '","') for r in ROWS),
    "exchanged": "name;Z [mm];Y [mm];X [mm]\n"
    + "\n".join(f"left ear;{z};{y};{x}" for x, y, z in POINTS.tolist()),
    "comment as header": "# z x y\n" + "\n".join(f"{z} {x} {y}" for x, y, z in POINTS.tolist()),
    "other columns": "id,x,y,z,seen\n"
    + "\n".join(f"{n},{r.replace(' ', ',')},1" for n, r in enumerate(ROWS)),
    "names of rows": "pos_x pos_y pos_z\n" + "\n".join(f"{n} {r}" for n, r in enumerate(ROWS)),
    "pandas": ",0,1,2\n" + "\n".join(f"{n},{r.replace(' ', ',')}" for n, r in enumerate(ROWS)),
    "pandas without an index": "0,1,2\n" + "\n".join(row.replace(" ", ",") for row in ROWS),
    "sep": "sep=;\nx;y;z\n" + "\n".join(row.replace(" ", ";") for row in ROWS) + "\n;;\n",
    "brackets": "[" + ",\n".join(f"[{row.replace(' ', ', ')}]" for row in ROWS) + "]",
    "typeset minus": "\n".join(ROWS).replace("-", "\u2212"),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_text_of_any_kind(text: str, tmp_path: Path) -> None:
    assert np.array_equal(points_of_text(text, 3, "a"), POINTS)
    (tmp_path / "a.txt").write_bytes(text.encode("utf-16"))
    assert np.array_equal(read_points(tmp_path / "a.txt", 3), POINTS)


@pytest.mark.parametrize("array", [POINTS, POINTS[None], POINTS.T, POINTS.T[None, :, :, None]])
def test_arrays_with_axes_too_many_or_exchanged(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    assert np.array_equal(read_points(tmp_path / "a.npy", 3), POINTS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2 3\n1 2\n", "line 2: '1 2' is not three numbers"),
        ("1 2 3\nnose\n1 2 3", "line 2: 'nose'"),
        ("p1 10.5 20.5\n", "line 1: 'p1 10.5 20.5' is not three numbers"),
        ("1 2 3_0\n", "line 1"),
        ("a b c\n" * 7, "line 1: 'a b c'"),
        ("x y z\n", "line 1: 'x y z'"),
        ("10,5 20\n", "line 1: '10,5 20' is not three numbers"),
        ("x;y;z\n1;2\n", "line 2: '1;2' is not three numbers"),
        ("id,x,y,z\n2,1,2,3\n1,4,5,6\n", "not in the order of their numbers"),
        ("n_points: 3\n{\n1 2 3\n4 5 6\n}\n", "states 3 points and has 2"),
        ("n_points: 3\n{\n1 2 3\n4 5", "its braces do not close"),
    ],
)
def test_a_line_that_is_no_point_is_named(text: str, words: str) -> None:
    with pytest.raises(FacebenchError) as caught:
        points_of_text(text, 3, "a")
    assert words in str(caught.value)


def test_picked_points_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    model = procedural_model(0, 2000)
    points = model.mean_shape[model.landmarks].round(3).tolist()
    rows = [f'<point x="{x}" y="{y}" z="{z}" name="{n}"/>' for n, (x, y, z) in enumerate(points)]
    path = tmp_path / "a.pp"
    path.write_text(f"<P>{''.join(rows)}</P>")
    assert np.allclose(read_landmark_file(path).points, points)
    path.write_text(f"<P>{''.join(rows).replace('.', ',')}</P>")
    assert np.allclose(read_landmark_file(path).points, points)
    rows[60], rows[61] = rows[61], rows[60]
    path.write_text(f"<P>{''.join(rows)}</P>")
    with pytest.raises(FacebenchError, match="not in the order of their numbers"):
        read_landmark_file(path)


@pytest.mark.parametrize("suffix", [".txt", ".npy"])
def test_a_number_beyond_any_face_is_named(tmp_path: Path, suffix: str) -> None:
    points = np.arange(204.0).reshape(68, 3)
    points[4, 1] = -1e80
    path = tmp_path / f"face{suffix}"
    (np.save if suffix == ".npy" else np.savetxt)(path, points)
    with pytest.raises(FacebenchError, match=r"point 5 has the coordinate 1e\+80, beyond any face"):
        read_points(path, axes=3)


NOSES = [
    *("1 2 3", "1,2,3\n", "1\n2\n3\n", "nose 1 2 3", "\ufeff1 2 3", "1,0 2,0 3,0", "(1, 2, 3)"),
    *("z;y;x\n3;2;1\n", "z=3, y=2, x=1", "X: 1\nY: 2\nZ: 3", "nose tip: 1, 2, 3"),
    *("[1, 2, 3]", '{"nose_tip": {"z": 3, "y": 2, "x": 1}}', '{"x": 1, "y": 2, "z": 3}'),
    '<P><point x="1" y="2" z="3" name="0"/><point x="0" y="0" z="0" active="0" name="nose"/></P>',
    '<P><point x="1" y="2" z="3" name="nose tip"/><point x="0" y="9" z="0" name="nose root"/></P>',
]


@pytest.mark.parametrize("text", NOSES)
def test_a_nose_label_is_three_coordinates(text: str, tmp_path: Path) -> None:
    suffix = {"<": ".pp", "{": ".json", "[": ".json"}.get(text[0], ".txt")
    path = tmp_path / f"nose{suffix}"
    for encoding in ("utf-8", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert read_nose_tip(path).tolist() == [1, 2, 3]


NOT_NOSES = [
    *("p1 10.5 20.5", "1 2", "1 2 3 4", "1 2 3\n4 5 6", "", "10,5 20"),
    *('{"nose_tip": "123"}', "[true, false, true]", '["1", "2", "3"]'),
    '<P><point x="0" y="0" z="0" active="0" name="nose"/></P>',
]


@pytest.mark.parametrize("text", NOT_NOSES)
def test_and_nothing_else(text: str, tmp_path: Path) -> None:
    path = tmp_path / f"nose{ {'<': '.pp', '{': '.json', '[': '.json'}.get(text[:1], '.txt') }"
    path.write_text(text)
    with pytest.raises(FacebenchError):
        read_nose_tip(path)


def test_boxes_in_any_order_of_columns_with_doubles_and_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.boxes.csv"
    path.write_text(
        "\ufeffleft;top;width;height;frame\r\n1;2;3;4;0\r\n1;2;3;4;0\r\n5;6;7;8;2.0\r\n"
    )
    assert read_boxes(path) == {0: Box(1, 2, 3, 4), 2: Box(5, 6, 7, 8)}
    path.write_text('sep=;\nframe;left;top;"width";height;score\n0;1,5;2;3,25;4;0,9\n;;;;;\n')
    assert read_boxes(path) == {0: Box(1.5, 2, 3.25, 4)}


def test_shares_of_a_picture_are_no_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.boxes.csv"
    path.write_text("frame,left,top,width,height\n0,0.2,0.2,0.5,0.5\n1,0.2,0.2,0.5,0.5\n")
    with pytest.raises(FacebenchError, match="look like shares"):
        read_boxes(path)
    np.savetxt(tmp_path / "a.landmarks.txt", np.random.default_rng(0).random((68, 2)))
    with pytest.raises(FacebenchError, match="look like shares"):
        read_image_points(tmp_path / "a.landmarks.txt")


def test_two_faces_in_a_frame_are_two_boxes_and_no_video_of_one_person(tmp_path: Path) -> None:
    path = tmp_path / "a.boxes.csv"
    path.write_text("frame,left,top,width,height\n0,1,2,3,4\n0,9,9,9,9\n")
    assert read_all_boxes(path) == {0: [Box(1, 2, 3, 4), Box(9, 9, 9, 9)]}
    with pytest.raises(FacebenchError, match="frame 0 has 2 different boxes"):
        read_boxes(path)


def test_five_points_give_the_box_that_all_68_give() -> None:
    from facebench.recon.morphable.landmarks import landmark_points
    from facebench.recon.morphable.load import load_model

    model = load_model("embedded")
    face = landmark_points(model.mean_shape, model.landmarks, model.name)[:, :2] * [3, -3]
    turn = np.array([[0.98, -0.2], [0.2, 0.98]])
    points = face @ turn.T + [300, 200]
    pairs = ((36, 39), (42, 45), (30, 30), (48, 48), (54, 54))
    five = np.array([(points[a] + points[b]) / 2 for a, b in pairs])
    all_of_it, by_five = box_of_points(points), box_of_points(five)
    assert np.allclose(list(vars(all_of_it).values()), list(vars(by_five).values()))


def test_pts_count_pixels_from_one(tmp_path: Path) -> None:
    rows = "\n".join(f"{x} {y}" for x, y in TEMPLATE)
    (tmp_path / "a.pts").write_text(f"version: 1\nn_points: 5\n{{\n{rows}\n}}\n")
    (tmp_path / "a.landmarks.txt").write_text(rows)
    (tmp_path / "b.landmarks.txt").write_text(
        "row,col\n" + "".join(f"{y},{x}\n" for x, y in TEMPLATE)
    )
    expected = np.array(TEMPLATE)
    for name, first in (("b.landmarks.txt", 0), ("a.pts", 1), ("a.landmarks.txt", 0)):
        assert np.allclose(read_image_points(tmp_path / name), expected - first)


@pytest.mark.parametrize(
    "change",
    [
        lambda face: face[:, ::-1],
        lambda face: face * [1, -1] + [0, 480],
        lambda face: face * [-1, 1] + [640, 0],
        lambda face: face.T.reshape(-1, 2),
    ],
    ids=["y x", "y upwards", "left and right", "all x, then all y"],
)
@pytest.mark.parametrize("count", [5, 68])
def test_points_in_no_order_of_a_face_are_refused(
    tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], count: int
) -> None:
    face = _mean_face_at(np.array(TEMPLATE) * 2 + 100) if count == 68 else np.array(TEMPLATE) + 90
    about = face.mean(axis=0)
    for turn in (0.0, 0.8, 2.5):
        turned = (face - about) @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
        np.save(tmp_path / "a.npy", turned + about)
        assert np.allclose(read_image_points(tmp_path / "a.npy"), turned + about)
    np.save(tmp_path / "a.npy", change(face))
    with pytest.raises(FacebenchError, match="not in the order of a face"):
        read_image_points(tmp_path / "a.npy")
    for unknown in (0.0, -1.0):
        np.save(tmp_path / "a.npy", [*face[:3], [unknown] * 2, *face[4:]])
        with pytest.raises(FacebenchError, match=r"point 4 is \(-?[01], -?[01]\), as of one"):
            read_image_points(tmp_path / "a.npy")


@pytest.mark.parametrize("order", [[0, 1, 3, 4, 2], [2, 0, 1, 3, 4]], ids=["AFLW", "nose first"])
def test_five_points_with_the_nose_elsewhere_are_refused(tmp_path: Path, order: list[int]) -> None:
    np.save(tmp_path / "a.npy", (np.array(TEMPLATE) * 2 + 100)[order])
    with pytest.raises(FacebenchError, match="not in the order of a face"):
        read_image_points(tmp_path / "a.npy")


def test_a_point_far_from_all_others_is_named(tmp_path: Path) -> None:
    face = _mean_face_at(np.array(TEMPLATE) * 2 + 100)
    face[5] = [3000.0, 20.0]
    np.save(tmp_path / "a.npy", face)
    with pytest.raises(FacebenchError, match=r"point 6 at \(3000, 20\) lies far"):
        read_image_points(tmp_path / "a.npy")


def test_labels_that_other_readers_get_wrong(shared: Path) -> None:
    assert len(read_landmark_file(shared / "cases" / "landmarks_bom.txt").points) == 68
    assert read_boxes(shared / "cases" / "boxes_bom.boxes.csv") == {0: Box(1, 2, 3, 4)}
    with pytest.raises(FacebenchError, match=r"'p1 10\.5 20\.5' is not three numbers"):
        read_nose_tip(shared / "cases" / "nose_label_two_numbers.txt")
