"""What a binary glTF file may not say of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hostile_input.crafted import CRAFTED

from facebench.bench.meshes.files import load_mesh
from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import glb_bytes
from facebench.recon.mesh import Mesh

SAID = {
    "accessor without data": "an accessor of 1000000000 entries in 0 bytes",
    "accessor beyond its data": "an accessor of 1000000000 entries in 36 bytes",
    "buffer from a device": "it needs other files",
    "node in itself": "nodes in a ring",
    "nodes in a ring": "nodes in a ring",
    "2 to the 24 nodes": "a node in two places",
    "100,000 instances": "100,000 nodes",
    "header of 4 GB": "it ends early",
}


@pytest.mark.parametrize(("attack", "line"), SAID.items())
def test_a_file_that_would_fill_the_memory_is_refused_unread(
    tmp_path: Path, attack: str, line: str
) -> None:
    path = tmp_path / "face.glb"
    path.write_bytes(CRAFTED[".glb"][attack]())
    with pytest.raises(FacebenchError, match=line):
        load_mesh(path)


def test_a_material_that_never_ends_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "face.obj"
    path.write_bytes(CRAFTED[".obj"]["material from a device"]())
    assert len(load_mesh(path).triangles) == 1


def test_many_groups_are_one_mesh_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "face.obj"
    groups = "".join(f"g {n}\nusemtl m{n}\nf 1 2 3\n" for n in range(2000))
    path.write_text(f"v 0 0 0\nv 90 0 0\nv 0 90 0\nv 7 7 7\n{groups}")
    mesh = load_mesh(path)
    assert mesh.vertices.tolist() == [[0, 0, 0], [90, 0, 0], [0, 90, 0], [7, 7, 7]]
    assert len(mesh.triangles) == 2000


def test_lines_alone_are_called_so(tmp_path: Path) -> None:
    path = tmp_path / "face.glb"
    surface = glb_bytes(Mesh(np.eye(3), np.array([[0, 1, 2]])))
    path.write_bytes(surface.replace(b'"material":0', b'"mode":1    '))
    with pytest.raises(FacebenchError, match="it holds points or lines and no triangles"):
        load_mesh(path)
    path.write_bytes(surface)
    assert len(load_mesh(path).triangles) == 1
