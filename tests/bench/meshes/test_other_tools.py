"""Mesh files as other programs write them, and what is left of files that were not copied whole."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from facebench.bench.meshes.files import load_mesh
from facebench.bench.meshes.units import check_unit
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

POINTS = np.array([[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 3], [4, 14, 0]], float)
FANS = [[0, 1, 2], [0, 2, 3], [3, 2, 4]]
ROWS = [" ".join(f"{value:.3f}" for value in point) for point in POINTS]
FACES = ["4 0 1 2 3", "3 3 2 4"]
OBJ = "".join(f"v {row}\n" for row in ROWS) + "f 1 2 3 4\nf 4 3 5\n"
PLY = "ply\nformat ascii 1.0\nelement vertex 5\n" + "".join(
    f"property float {axis}\n" for axis in "xyz"
)

QUALITY = "property float quality\n"


def _ply(rows: list[str], corners: str = "vertex_indices") -> str:
    head = f"{PLY}element face 2\nproperty list uchar int {corners}\nend_header\n"
    return head + "\n".join([*rows, *FACES, ""])


def _off(first: str, behind: str = "", colour: str = "") -> str:
    return "\n".join([first, *(r + behind for r in ROWS), *(f + colour for f in FACES), ""])


def _stl(end: str = "endsolid\n") -> str:
    facets = (
        "facet normal 0 0 0\nouter loop\n"
        + "".join(f"vertex {ROWS[corner]}\n" for corner in corners)
        + "endloop\nendfacet\n"
        for corners in FANS
    )
    return f"solid scan\n{''.join(facets)}{end}"


def _binary_stl(stated: int) -> bytes:
    rows = (struct.pack("<12fH", 0, 0, 0, *POINTS[fan].ravel(), 0) for fan in FANS)
    return b"\0" * 80 + struct.pack("<I", stated) + b"".join(rows)


def _load(folder: Path, name: str, content: str | bytes) -> Mesh:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_mesh(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.off", _off("OFF\n5 2 0")),
        ("a.off", _off("OFF 5 2")),
        ("a.off", _off("off # of a lecture\n\n5 2 0 # counts", " # here")),
        ("a.off", _off("\ufeffCOFF\n5 2 6", " 255 0 0 255", " 0.1 0.2 0.3 # red")),
        ("a.off", _off("NOFF\n5 2 0", " 0 0 1", " 7")),
        ("a.off", _off("STCNOFF\n5 2 0", " 0 0 1 1 1 1 1 .5 .5")),
        ("a.off", _off("OFF\n5 2 0").replace("\n", "\r\n").replace(" ", "\t")),
        ("a.ply", "\ufeff" + _ply(ROWS)),
        ("a.ply", _ply(ROWS, "vertex_indexes")),
        ("a.ply", _ply([r + " 7 8" for r in ROWS]).replace("z\n", "z\n" + QUALITY * 2)),
        ("a.obj", OBJ + "\0"),
    ],
)
def test_one_shape_however_it_is_written(tmp_path: Path, name: str, content: str) -> None:
    mesh = _load(tmp_path, name, content)
    assert np.allclose(mesh.vertices, POINTS) and np.array_equal(mesh.triangles, FANS)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.obj", OBJ[:-9].encode() + b"\0" * 64, "half a copy"),
        ("a.obj", OBJ.encode("utf-16-le"), "UTF-16 without its mark"),
        ("a.obj", OBJ.replace(".", ","), r"'0,000' is not a number: write a decimal point"),
        ("a.off", _off("OFF\n5 2 0")[:-12], "ends in its face rows|less room"),
        ("a.off", _off("OFF\n5 2 0").replace(".", ","), "write a decimal point"),
        ("a.off", _off("4OFF\n5 2 0", " 1"), "4OFF.*only text in 3D"),
        ("a.ply", _ply([f"{row} 0 0 1" for row in ROWS]), "row of 6 numbers, and its header"),
        ("a.ply", _ply(ROWS) + "3 0 1 2\n", "4 numbers more than its header states"),
        ("a.ply", _ply(ROWS).replace("4 0 1 2 3", "0"), "a face without corners"),
        ("a.ply", _ply(ROWS).encode("utf-16"), "UTF-16: save it as ASCII"),
        ("a.stl", _stl(""), "it ends early"),
        (
            "a.stl",
            b"\0" * 80
            + struct.pack("<I12fH12fH", 2, 0, 0, 0, *POINTS[:3].ravel(), 0, *(0.0,) * 12, 0),
            "half a copy",
        ),
        ("a.stl", _binary_stl(2), "more triangles behind the 2 that it states"),
        ("a.stl", _binary_stl(3) * 2, "more triangles behind the 3 that it states"),
        ("a.off", _off("OFF\n5 1 0"), "line 9: more rows than its counts state"),
        ("a.off", _off("OFF\n5 2 0").replace("3 3 2 4", "3 3 2.5 4"), "no whole number"),
        ("a.off", _off("OFF\n5 2 0").replace("9.000", "9_0"), "'9_0' is not a number"),
        ("a.ply", _ply(ROWS).replace("3 3 2 4", "3 3 2.5 4"), "no whole number"),
        ("a.ply", _ply(ROWS).replace("float y", "float x"), "vertex has two properties 'x'"),
        ("a.ply", _ply(ROWS).replace("end_h", "element vertex 0\nend_h"), "two elements 'vertex'"),
        ("a.ply", gzip.compress(_ply(ROWS).encode()), "packed by gzip, not the file: unpack it"),
        ("a.obj", b"PK\3\4" + b"\0" * 26 + b"face.obj", "a ZIP archive, not the file: unpack"),
        ("a.ply", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("a.obj", "<!DOCTYPE html>\n<html>404</html>", "a web page, not the file"),
    ],
)
def test_what_is_not_whole_is_refused(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    with pytest.raises(FacebenchError, match=words):
        _load(tmp_path, name, content)


def _glb(document: dict[str, object], binary: bytes, filler: bytes = b" ") -> bytes:
    text = json.dumps({**document, "buffers": [{"byteLength": len(binary)}]}).encode()
    text += filler * (-len(text) % 4)
    parts = struct.pack("<I4s", len(text), b"JSON") + text
    parts += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(parts)) + parts


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_sparse_morph_targets_move_what_they_name(tmp_path: Path, weight: float) -> None:
    """As Blender writes shape keys: no values but those that are not zero."""
    binary = POINTS.astype("<f4").tobytes() + np.array(FANS, "<u4").tobytes()
    binary += np.array([3, 0], "<u2").tobytes() + np.array([0, 0, 2], "<f4").tobytes()
    starts, whole = [0, 60, 96, 100], {"componentType": 5126, "count": 5, "type": "VEC3"}
    sparse = {
        "count": 1,
        "indices": {"bufferView": 2, "componentType": 5123},
        "values": {"bufferView": 3},
    }
    part = {"attributes": {"POSITION": 0}, "indices": 1, "targets": [{"POSITION": 2}]}
    document = {
        "nodes": [
            {"mesh": 0, "children": [1]},
            {"mesh": 0, "extensions": {"KHR_node_visibility": {"visible": False}}},
        ],
        "extensionsRequired": ["KHR_node_visibility", "EXT_lights_image_based"],
        "meshes": [
            {
                "primitives": [part, {"attributes": {"COLOR_0": 0}}],
                "weights": [weight],
            }
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": a, "byteLength": b - a}
            for a, b in zip(starts, [*starts[1:], len(binary)], strict=True)
        ],
        "accessors": [
            {"bufferView": 0, **whole},
            {"bufferView": 1, "componentType": 5125, "count": 9, "type": "SCALAR"},
            {**whole, "sparse": sparse},
        ],
    }
    mesh = _load(tmp_path, "a.glb", _glb(document, binary, b"\0"))
    expected = POINTS.copy()
    expected[3, 2] += 2 * weight
    assert np.allclose(mesh.vertices, expected) and np.array_equal(mesh.triangles, FANS)


def test_inches_are_not_called_centimetres_alone() -> None:
    points = np.random.default_rng(0).uniform(0, 9.8, (400, 3))
    with pytest.raises(FacebenchError, match=r"--unit cm, or --unit 25\.4 if it is in inches"):
        check_unit(Mesh(points, np.array([[0, 1, 2]])), "scan.obj", "mm", "--unit")
