"""PLY, STL and GLB as scanners and editors write them."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from facebench.bench.meshes.checks import check_prediction, check_scan, read_mesh
from facebench.bench.meshes.clean import clean_mesh, first_copies
from facebench.bench.meshes.files import load_mesh
from facebench.bench.meshes.ply import parse_ply
from facebench.bench.meshes.stl_off import parse_stl
from facebench.bench.meshes.units import check_unit
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh

POINTS = np.array([[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 3], [4, 14, 0]], float)
LISTS = [[0, 1, 2, 3], [3, 2, 4]]
FANS = [[0, 1, 2], [0, 2, 3], [3, 2, 4]]


def _ply(form: str, end: str = "\n", comments: bool = True, extra: bool = False) -> bytes:
    said = ["comment end_header is not here", "obj_info element face 9"] if comments else []
    head = [
        *("ply", f"format {form} 1.0", *said, "element vertex 5"),
        *("property float x", "property float y", "property double z"),
        "element face 2",
        *(["property uchar flags"] if extra else []),
        *("property list uchar int vertex_indices", "end_header", ""),
    ]
    if form == "ascii":
        rows = [" ".join(map(str, point)) for point in POINTS]
        rows += [" ".join(map(str, [*([7] * extra), len(row), *row])) for row in LISTS]
        return end.join([*head[:-1], *rows, ""]).encode()
    order = "<" if "little" in form else ">"
    body = b"".join(struct.pack(f"{order}ffd", *point) for point in POINTS)
    for row in LISTS:
        body += b"\x07" * extra + struct.pack(f"{order}B{len(row)}i", len(row), *row)
    return end.join(head).encode() + body


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("extra", [False, True])
def test_lists_of_several_lengths(form: str, end: str, extra: bool) -> None:
    vertices, triangles = parse_ply(_ply(form, end, extra=extra))
    assert np.array_equal(vertices, POINTS) and triangles.tolist() == FANS


def test_a_strip_turns_every_second_triangle_and_ends_at_minus_one() -> None:
    strip = [0, 1, 2, 3, -1, 2, 1, 4, 4, 0]
    head = _ply("binary_little_endian", comments=False).partition(b"element face")[0]
    body = b"".join(struct.pack("<ffd", *point) for point in POINTS)
    head += b"element tristrips 2\nproperty list int int vertex_indices\nend_header\n"
    rows = struct.pack(f"<i{len(strip)}i", len(strip), *strip) + struct.pack("<i3i", 3, 4, 1, 0)
    _, triangles = parse_ply(head + body + rows)
    assert triangles.tolist() == [[0, 1, 2], [2, 1, 3], [2, 1, 4], [4, 1, 0]]


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
def test_a_cut_off_ply_is_refused(form: str) -> None:
    content = _ply(form)
    for length in range(20, len(content) - 2, 7):
        with pytest.raises(ValueError, match=r"it ends|header"):
            parse_ply(content[:length])


def test_a_sphere_reads_as_trimesh_writes_it() -> None:
    sphere = trimesh.creation.icosphere(3)
    for kind in ("ascii", "binary"):
        vertices, triangles = parse_ply(sphere.export(file_type="ply", encoding=kind))
        assert np.allclose(vertices, sphere.vertices, atol=1e-7)
        assert np.array_equal(triangles, sphere.faces)


@pytest.mark.parametrize("tail", [b"", b"made by a scanner" * 9])
@pytest.mark.parametrize("head", [b"scan", b"solid scan"])
def test_binary_stl_whatever_stands_before_and_behind(head: bytes, tail: bytes) -> None:
    sphere = trimesh.creation.icosphere(2)
    content = head.ljust(80, b"\0") + sphere.export(file_type="stl")[80:] + tail
    vertices, triangles = parse_stl(content)
    assert np.allclose(vertices[triangles], sphere.triangles, atol=1e-7)


def test_stl_as_text_and_its_copies_are_one_surface() -> None:
    sphere = trimesh.creation.icosphere(2)
    vertices, triangles = parse_stl(sphere.export(file_type="stl_ascii").encode())
    clean, removed = clean_mesh(Mesh(100 * vertices, triangles), copies_mm=1e-4)
    assert len(clean.vertices) == len(sphere.vertices) and not removed
    with pytest.raises(ValueError, match=r"three numbers|ends early"):
        parse_stl(sphere.export(file_type="stl_ascii").encode()[:-120])


def test_copies_within_reach_are_the_first_of_them_and_no_others() -> None:
    rng = np.random.default_rng(3)
    points = rng.uniform(-100, 100, (4000, 3))
    copies = points[:1500] + rng.normal(size=(1500, 3)) * 2e-5
    apart = points[:500] + np.array([3e-4, 0, 0])
    everything = np.concatenate([points, copies, apart])
    expected = np.r_[np.arange(4000), np.arange(1500), np.arange(5500, 6000)]
    assert np.array_equal(first_copies(everything), expected)
    assert np.array_equal(first_copies(np.zeros((300, 3))), np.zeros(300))


def test_a_seam_is_no_boundary_and_vertices_keep_their_numbers() -> None:
    sphere = trimesh.creation.icosphere(3, radius=90)
    corners = np.asarray(sphere.triangles).reshape(-1, 3)
    split = Mesh(corners, np.arange(len(corners)).reshape(-1, 3))
    sound = check_prediction(split)
    assert np.array_equal(sound.vertices, corners)
    assert len(np.unique(sound.triangles)) == len(sphere.vertices)
    assert len(check_scan(split).vertices) == len(sphere.vertices)


def _glb(document: dict[str, object], binary: bytes) -> bytes:
    binary += b"\0" * (-len(binary) % 4)
    text = json.dumps({**document, "buffers": [{"byteLength": len(binary)}]}).encode()
    text += b" " * (-len(text) % 4)
    parts = struct.pack("<I4s", len(text), b"JSON") + text
    parts += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(parts)) + parts


def _scene(kind: int, points: np.ndarray, node: dict[str, object]) -> bytes:
    corners = np.array([0, 1, 2], "<u2").tobytes() + b"\0\0"
    accessor = {"bufferView": 1, "componentType": kind, "count": 3, "type": "VEC3"}
    document = {
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [node],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 1}, "indices": 0}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5123, "count": 3, "type": "SCALAR"},
            {**accessor, "normalized": kind != 5126},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 8},
            {"buffer": 0, "byteOffset": 8, "byteLength": points.nbytes},
        ],
    }
    return _glb(document, corners + points.tobytes())


def test_normalised_numbers_and_a_turned_node(tmp_path: Path) -> None:
    points = np.array([[127, 0, 0], [0, -128, 0], [0, 0, 64]], "i1")
    node = {"mesh": 0, "rotation": [0, 0, 1, 1], "scale": [2, 2, 2]}
    (tmp_path / "a.glb").write_bytes(_scene(5120, points, {**node, "translation": [1, 0, 0]}))
    expected = [[1, 2, 0], [3, 0, 0], [1, 0, 128 / 127]]
    assert np.allclose(load_mesh(tmp_path / "a.glb").vertices, expected)
    # The same as a matrix, whose last row has the rounding of 32 bits.
    matrix = [0, 2, 0, 6e-8, -2, 0, 0, -3e-8, 0, 0, 2, 0, 1, 0, 0, 1]
    (tmp_path / "b.glb").write_bytes(_scene(5120, points, {"mesh": 0, "matrix": matrix}))
    assert np.allclose(load_mesh(tmp_path / "b.glb").vertices, expected)


def test_a_scene_reads_as_trimesh_writes_it(tmp_path: Path) -> None:
    scene, sphere = trimesh.Scene(), trimesh.creation.icosphere(1)
    transform = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])
    scene.add_geometry(sphere, transform=transform)
    scene.add_geometry(sphere, transform=np.diag([-1.0, 2, 1, 1]))
    (tmp_path / "scene.glb").write_bytes(scene.export(file_type="glb"))
    mesh, theirs = load_mesh(tmp_path / "scene.glb"), scene.to_mesh()
    ours = trimesh.Trimesh(mesh.vertices, mesh.triangles, process=False)
    assert np.isclose(ours.volume, theirs.volume, rtol=1e-5)
    assert np.allclose(np.sort(ours.vertices, 0), np.sort(theirs.vertices, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extensionsRequired": ["EXT_meshopt_compression"]}, "EXT_meshopt_compression"),
        ({"extensionsRequired": ["VENDOR_new_geometry"]}, "VENDOR_new_geometry"),
        ({"nodes": [{"mesh": 0, "matrix": [*[1, 0, 0, 5] * 3, 0, 0, 0, 1]}]}, "not affine"),
        ({"bufferViews": [{"buffer": 1, "byteLength": 48}] * 2}, "needs other files"),
        ({"accessors": [{"componentType": 5130, "count": 3, "type": "VEC3"}]}, "do not fit"),
    ],
)
def test_a_needed_extension_is_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    content = _scene(5126, np.zeros((3, 3), "<f4"), {"mesh": 0})
    document = json.loads(content[20 : 20 + struct.unpack("<I", content[12:16])[0]])
    (tmp_path / "a.glb").write_bytes(_glb({**document, **change}, b"\0" * 48))
    with pytest.raises(FacebenchError, match=words):
        load_mesh(tmp_path / "a.glb")


def _face(extent: float) -> Mesh:
    sphere = trimesh.creation.icosphere(3, radius=extent / 2)
    return Mesh(np.asarray(sphere.vertices), np.asarray(sphere.faces))


def test_the_factor_that_is_advised_is_taken() -> None:
    mesh = _face(7.66)
    with pytest.raises(FacebenchError, match="--scan-unit with its mil") as caught:
        check_unit(mesh, "scan.obj", "mm", "--scan-unit")
    words = caught.value.hint.replace("(", " ").split()
    low, high = words[words.index("between") + 1], words[words.index("between") + 3]
    for factor in (low, high, words[words.index("between") + 4]):
        check_unit(mesh, "scan.obj", factor, "--scan-unit")
    for factor in (f"{float(low) * 0.98}", f"{float(high) * 1.02}"):
        with pytest.raises(FacebenchError, match="longest side"):
            check_unit(mesh, "scan.obj", factor)


@pytest.mark.parametrize("unit", ["0", "-1", "nan", "inf", "feet", ""])
def test_what_is_no_unit_is_refused(unit: str) -> None:
    with pytest.raises(FacebenchError, match="unknown unit"):
        check_unit(_face(200), "scan", unit)


@pytest.mark.parametrize("away", [0.0, 1e6, 1e9])
def test_steps_of_numbers_of_32_bits_far_from_0_are_refused(away: float) -> None:
    points = _face(200.0).vertices + np.array([0, away, 0])
    check_unit(Mesh(points, np.array([[0, 1, 2]])), "scan.obj")
    short = Mesh(points.astype(np.float32), np.array([[0, 1, 2]]))
    if away < 1e9:
        check_unit(short, "scan.ply")
        return
    with pytest.raises(FacebenchError, match=r"in steps of 64, .* too far from 0"):
        check_unit(short, "scan.ply")


@pytest.mark.parametrize("far", [1e6, 1e25, 1e40])
def test_one_vertex_beyond_any_face_is_refused(far: float) -> None:
    face = _face(200)
    vertices = np.array(face.vertices)
    vertices[7, 1] = far
    for check in (check_scan, check_prediction):
        with pytest.raises(FacebenchError, match="times as far as the others reach"):
            check(Mesh(vertices, face.triangles))


def test_scans_that_other_readers_get_wrong(shared: Path, tmp_path: Path) -> None:
    mixed = load_mesh(shared / "cases" / "ply_triangle_and_quad.ply")
    assert len(mixed.triangles) == 3
    strips = load_mesh(shared / "real" / "meshes" / "12_tristrips.ply")
    assert len(strips.vertices) == 993 and len(strips.triangles) > 1800
    with pytest.raises(FacebenchError, match="times as far"):
        read_mesh(shared / "cases" / "far_1e25.obj")
    demo, _ = read_mesh(shared / "real" / "meshes" / "10_meshmonk_DemoFace_1K.obj")
    assert len(demo.triangles) > 1000
    own = tmp_path / "own.obj"
    packed = shared / "real" / "meshes" / "09_LeePerrySmith_own_unit.obj.gz"
    own.write_bytes(gzip.decompress(packed.read_bytes()))
    with pytest.raises(FacebenchError, match=r"between 10\.5 and 104"):
        read_mesh(own)
    head, _ = read_mesh(own, "51.2")
    assert 350 < np.ptp(head.vertices, axis=0).max() < 450


def test_glb_files_that_other_readers_get_wrong(shared: Path) -> None:
    for path in (
        shared / "cases" / "glb_draco.glb",
        shared / "real" / "meshes" / "08_LeePerrySmith_draco.glb",
    ):
        with pytest.raises(FacebenchError, match="compressed by KHR_draco_mesh_compression"):
            load_mesh(path)
    quantised = load_mesh(shared / "cases" / "glb_quant_int16_norm.glb")
    assert np.isclose(np.ptp(quantised.vertices, axis=0)[0], 0.2 * 2 * 13123 / 32767)
    morphed = load_mesh(shared / "cases" / "glb_morph_w1.glb")
    # The target moves a third of what the rest pose measures (0.1602 m), the other way.
    assert np.isclose(np.ptp(morphed.vertices, axis=0)[0], 0.1602 * 5 / 6, rtol=1e-3)
