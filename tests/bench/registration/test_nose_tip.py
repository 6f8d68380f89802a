import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facebench.bench.landmarks import read_nose_tip
from facebench.bench.protocol.record import preset
from facebench.bench.registration import nose_tip
from facebench.bench.registration.nose_tip import (
    find_nose_tip,
    own_nose_tip,
    register_mean_face,
    register_patch,
    tip_on_scan,
)
from facebench.bench.registration.prepared_mesh import PreparedMesh
from facebench.bench.scoring.register import crop_sphere
from facebench.bench.surface.similarity import Similarity
from facebench.bench.surface.surface import Surface
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import read_npz

PICKED = """<!DOCTYPE PickedPoints><PickedPoints>
<point x="1" y="2" z="3" active="1" name="nose tip"/>
<point x="4" y="5" z="6" active="1" name="chin"/></PickedPoints>"""


@pytest.mark.parametrize("seed", range(2))
def test_the_tip_is_found_on_a_scan_anywhere(person: Mesh, scan_of, any_pose, seed) -> None:
    plain, pose = scan_of(person, seed), any_pose(seed + 20)
    scan = Surface(replace(plain, vertices=pose.apply(plain.vertices)))
    truth = pose.apply(person.vertices[person.landmarks[30]][None])[0]
    found = find_nose_tip(scan, register_mean_face(scan))
    assert np.linalg.norm(found.position - truth) < 3
    assert found.source == "found" and found.spread_mm < 5
    gone = weakref.ref(scan)
    del scan
    gc.collect()
    assert gone() is None, "a scan may have millions of vertices: nothing holds it afterwards"


@pytest.mark.parametrize("seed", [0, 4])
def test_the_mean_face_is_not_misled_by_a_bald_crown(shared: Path, any_pose, seed) -> None:
    """Closed heads of another model, on whose crown the plainer embedded mean lay better."""
    model = read_npz(shared / "ict-facekit" / "ict_facekit_light.npz")
    weights = np.random.default_rng((9, seed)).standard_normal(model.identity_basis.shape[2])
    head, pose = model.mesh(identity=weights), any_pose(seed)
    surface = Surface(replace(head, vertices=pose.apply(head.vertices), landmarks=None))
    found = register_mean_face(surface).apply(nose_tip.mean_face()[1][None])
    assert np.linalg.norm(found - pose.apply(head.vertices[head.landmarks[30]][None])) < 20


def test_the_crop_follows_the_pose_that_was_found(face: Mesh, shared: Path) -> None:
    """A search of the scan alone goes to the crown of this closed head, 140 mm away."""
    model = read_npz(shared / "ict-facekit" / "ict_facekit_light.npz")
    weights = np.random.default_rng((9, 0)).standard_normal(model.identity_basis.shape[2])
    head = model.mesh(identity=weights)
    truth, tip = head.vertices[head.landmarks[30]], own_nose_tip(face)
    pose = Similarity(1.0, np.eye(3), truth - tip)
    pair = (PreparedMesh.of(replace(one, landmarks=None), None, "mesh") for one in (face, head))
    sphere, found = crop_sphere(*pair, pose, preset("micc").crop, "", None)
    assert found.source == "found" and found.spread_mm < 10
    assert np.linalg.norm(sphere.centre - truth) < 10


def test_a_tip_is_found_from_far_off(face: Mesh, person: Mesh, scan_of) -> None:
    """Whatever the guess: 15 mm aside and 12 degrees turned end where the right place does."""
    scan, surface, tip = Surface(scan_of(person)), Surface(face), own_nose_tip(face)
    truth = person.vertices[person.landmarks[30]]
    turns = np.radians(12) * np.array([[0, 0, 0], [1, 0, 0], [0, -1, 0], [0, 0, 1]])
    shifts = np.array([[0, 0, 0], [9, 0, -12], [0, -12, 9], [-10, 10, 5]])
    for turn, shift in zip(turns, shifts, strict=True):
        motion = Similarity.step(np.r_[turn, shift, 0.0], tip)
        found = tip_on_scan(scan, surface, tip, motion)
        assert np.linalg.norm(found.position - truth) < 3
        assert np.linalg.norm(found.position - scan.closest(found.position[None]).position) < 1e-9


def test_two_ways_that_disagree_are_told(face: Mesh, person: Mesh, scan_of) -> None:
    """A scan without a nose has no tip: it may be found anywhere, but not without a doubt."""
    plain = scan_of(person)
    off = np.linalg.norm(plain.vertices - person.vertices[person.landmarks[30]], axis=1)
    gone = replace(plain, triangles=plain.triangles[(off > 25)[plain.triangles].all(1)])
    found = tip_on_scan(Surface(gone), Surface(face), own_nose_tip(face), Similarity.identity())
    assert found.spread_mm > 5


def test_a_bent_face_that_slid_is_outvoted_by_the_summit(
    face: Mesh, person: Mesh, scan_of, monkeypatch
) -> None:
    """A patch 9 mm up the bridge moves the tip found not by half of that, and is told."""
    scan, truth = Surface(scan_of(person)), person.vertices[person.landmarks[30]]

    def slid(*arguments) -> tuple[np.ndarray, np.ndarray]:
        bent, rotation = register_patch(*arguments)
        return bent + np.array([0.0, 9.0, -4.0]), rotation

    monkeypatch.setattr(nose_tip, "register_patch", slid)
    found = tip_on_scan(scan, Surface(face), own_nose_tip(face), Similarity.identity())
    assert np.linalg.norm(found.position - truth) < 3
    assert found.spread_mm > nose_tip.SPREAD_MM


def test_the_tip_does_not_jump_where_its_two_ways_part(
    face: Mesh, person: Mesh, scan_of, monkeypatch
) -> None:
    """However far the bent face slid, a little further moves the tip by as little."""
    scan, up = Surface(scan_of(person)), np.array([0.0, 0.91, -0.41])
    straight = register_patch
    places = []
    for slide in np.arange(2.0, 13.0, 0.5):

        def slid(*arguments, along=slide * up) -> tuple[np.ndarray, np.ndarray]:
            bent, rotation = straight(*arguments)
            return bent + along, rotation

        monkeypatch.setattr(nose_tip, "register_patch", slid)
        found = tip_on_scan(scan, Surface(face), own_nose_tip(face), Similarity.identity())
        places.append(found.position)
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 0.8


def test_an_own_face_bends_onto_itself(face: Mesh, any_pose) -> None:
    """The patch of a face laid 8 mm aside comes back to its own tip, to a hundredth of a mm."""
    surface, tip = Surface(face), own_nose_tip(face)
    for seed in range(3):
        pose = any_pose(seed)
        there = Surface(replace(face, vertices=pose.apply(face.vertices)))
        place = pose.apply(tip[None])[0]
        start = place + pose.rotation @ [4.0, -5.0, 5.0]
        bent, rotation = register_patch(there, surface, tip, pose, start)
        assert np.linalg.norm(bent - place) < 0.05
        np.testing.assert_allclose(rotation, pose.rotation, atol=2e-3)


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
