"""Folders of meshes: what is there, and each way in which a mesh can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.bench.conformance.method import check_method
from facebench.bench.method.interface import MethodOptions
from facebench.errors import FacebenchError, Finding, Verdict
from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.mesh import Mesh


def keep(root: Path, face: Mesh, landmarks: bool = True, name: str = "subject_01.obj") -> Path:
    write_mesh(Mesh(face.vertices, face.triangles), root / name)
    if landmarks:
        np.savetxt(root / "landmarks.txt", face.landmarks, fmt="%d")
    return root


def examine(root: Path, unit: str = "mm") -> list[Finding]:
    return check_method(f"meshes:{root}", MethodOptions(unit=unit))


def wrong(findings: list[Finding]) -> dict[str, str]:
    return {f.check: f.detail for f in findings if f.verdict is Verdict.FAILED}


def doubtful(findings: list[Finding]) -> dict[str, str]:
    return {f.check: f.detail for f in findings if f.verdict is Verdict.WARNING}


def test_good_meshes_pass(tmp_path: Path, person: Mesh, face: Mesh) -> None:
    for scene in ("cooperative", "PTZ-Indoor", "outdoor"):
        keep(tmp_path, person, name=f"subject_01/{scene}.obj")
    found = examine(keep(tmp_path, face, name="subject_02.obj"))
    assert wrong(found) == doubtful(found) == {}
    details = {finding.check: finding.detail for finding in found}
    assert details["files"].startswith("4 meshes of 2 subjects: ")
    assert details["unit"].startswith("all 4: mm") and details["topology"].startswith("one:")


def test_a_fault_is_counted_and_named_once(tmp_path: Path, person: Mesh) -> None:
    for number in (1, 2, 3):
        keep(tmp_path, person, name=f"subject_{number:02d}.obj")
    small = Mesh(person.vertices / 10, person.triangles)
    write_mesh(small, tmp_path / "subject_02.obj")
    (tmp_path / "subject_03.obj").write_text("not a mesh")
    said = wrong(examine(tmp_path))["file"]
    assert said.startswith("2 of 3, as subject_02: ") and "looks like cm, not mm" in said


@pytest.mark.parametrize("landmarks", [True, False])
def test_a_mirrored_mesh(tmp_path: Path, person: Mesh, landmarks: bool) -> None:
    """Without landmarks only its triangles give it away."""
    mirrored = Mesh(person.vertices * [-1.0, 1, 1], person.triangles, person.landmarks)
    faults = wrong(examine(keep(tmp_path, mirrored, landmarks)))
    assert "face inwards" in faults["outside"]
    assert ("mirrored" in faults.get("landmarks", "")) == landmarks


def test_landmarks_in_another_order_or_place(tmp_path: Path, person: Mesh) -> None:
    np.savetxt(keep(tmp_path, person) / "landmarks.txt", person.landmarks[::-1], fmt="%d")
    assert "landmarks" in wrong(examine(tmp_path))
    (tmp_path / "landmarks.txt").unlink()
    points = person.vertices[person.landmarks] + [0, 0, 300]
    np.savetxt(tmp_path / "subject_01.txt", points)
    assert "300 mm off" in wrong(examine(tmp_path))["landmarks"]


def test_what_is_allowed_and_worth_a_thought(tmp_path: Path, person: Mesh) -> None:
    keep(tmp_path, person, landmarks=False, name="subject_01/cooperative.obj")
    keep(tmp_path, person, landmarks=False, name="subject_02/indor.obj")
    loose = np.concatenate([person.vertices, [[0.0, 0, 0]]])
    write_mesh(Mesh(loose, person.triangles), tmp_path / "Subject3.ply")
    (tmp_path / "readme.txt").write_text("")
    found = doubtful(examine(tmp_path))
    assert found["subjects"] == "not MICC's: Subject3"
    assert found["scenes"].startswith("not all scenes of subject_01")
    assert found["names"] == "not understood: readme.txt"
    assert "1 unreferenced vertex" in found["surface"]
    assert "the pose is searched" in found["landmarks"] and "different" not in found["surface"]


def test_another_topology_of_some_meshes(tmp_path: Path, person: Mesh) -> None:
    keep(tmp_path, person)
    part = Mesh(person.vertices, person.triangles[:-40])
    write_mesh(part, tmp_path / "subject_02.obj")
    assert doubtful(examine(tmp_path))["topology"] == "2 different ones"


def test_a_folder_that_is_none_is_a_mistake_and_no_finding(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="no such folder"):
        examine(tmp_path / "none")
