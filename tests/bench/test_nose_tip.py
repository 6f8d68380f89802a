from dataclasses import replace

import numpy as np
import pytest

from facebench.bench.nose_tip import find_nose_tip, read_nose_tip
from facebench.bench.surface import Surface
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

PICKED = """<!DOCTYPE PickedPoints><PickedPoints>
<point x="1" y="2" z="3" active="1" name="nose tip"/>
<point x="4" y="5" z="6" active="1" name="chin"/></PickedPoints>"""


@pytest.mark.parametrize("seed", range(3))
def test_the_tip_is_found_on_a_scan_anywhere(
    face: Mesh, person: Mesh, scan_of, any_pose, seed
) -> None:
    plain, pose = scan_of(person, seed), any_pose(seed + 20)
    scan = Surface(replace(plain, vertices=pose.apply(plain.vertices)))
    truth = pose.apply(person.vertices[person.landmarks[30]][None])[0]
    found = find_nose_tip(scan, face)
    assert np.linalg.norm(found.position - truth) < 5
    assert found.source == "found"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "1 2.0 3e0\n"),
        ("a.txt", "x=1, y=2, z=3"),
        ("a.json", "[1, 2, 3]"),
        ("a.json", '{"nose_tip": [1, 2, 3]}'),
        ("a.pp", PICKED),
        ("a.pp", '<PickedPoints><point x="1" y="2" z="3"/></PickedPoints>'),
    ],
)
def test_labels(tmp_path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    np.testing.assert_array_equal(read_nose_tip(path), [1, 2, 3])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "1 2"),
        ("a.json", "{"),
        ("a.json", '{"tip": [1, 2, 3]}'),
        ("a.json", "[1, 2, NaN]"),
        ("a.json", "7"),
        ("a.pp", "<PickedPoints>"),
        ("a.pp", PICKED.replace("nose tip", "brow")),
        ("a.pp", '<!DOCTYPE a [<!ENTITY b "1">]><PickedPoints><point x="&b;"/></PickedPoints>'),
    ],
)
def test_a_bad_label_is_one_line(tmp_path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(FacebenchError, match="expected x, y, z"):
        read_nose_tip(path)
