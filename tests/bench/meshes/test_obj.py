"""OBJ files as people's programs write them, against trimesh and against what is right."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import trimesh

from facebench.bench.meshes.files import load_mesh
from facebench.bench.meshes.obj import ObjError, parse_obj
from facebench.errors import FacebenchError

QUAD = [[0, 1, 2], [0, 2, 3]]


def _parse(text: str | bytes) -> tuple[list[list[float]], list[list[int]]]:
    content = text.encode() if isinstance(text, str) else text
    vertices, triangles = parse_obj(content, 10**6, 10**6)
    return vertices.tolist(), triangles.tolist()


def _well_formed(seed: int) -> bytes:
    """A file of one of the usual writers: its forms of corners, columns and number formats."""
    rng = np.random.default_rng(seed)
    n, form = int(rng.integers(3, 60)), rng.choice(["v", "vt", "vtn", "vn"])
    digits = int(rng.integers(2, 9))
    lines = ["# made by a program", "o head", "mtllib none.mtl"]
    colours = rng.random() < 0.3
    for point in rng.normal(scale=100, size=(n, 3)):
        extra = list(rng.random(3)) if colours else []
        lines.append("v " + " ".join(f"{value:.{digits}f}" for value in [*point, *extra]))
    lines += [f"vt {u:.4f} {v:.4f}" for u, v in rng.random((n, 2))] if "t" in form else []
    lines += [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in rng.normal(size=(n, 3))]
    lines += ["g front", "usemtl skin", "s off"]
    corner = {"v": "{0}", "vt": "{0}/{0}", "vtn": "{0}/{0}/{0}", "vn": "{0}//{0}"}[str(form)]
    for _ in range(int(rng.integers(1, 80))):
        index = rng.choice(n, 3, replace=False) + 1
        lines.append("f " + " ".join(corner.format(i) for i in index))
    return ("\n".join(lines) + "\n").encode()


def test_five_hundred_well_formed_files_read_as_trimesh_reads_them() -> None:
    for seed in range(500):
        content = _well_formed(seed)
        theirs = trimesh.load(
            io.BytesIO(content),
            file_type="obj",
            process=False,
            maintain_order=True,
            skip_materials=True,
            split_object=False,
            group_material=False,
        )
        vertices, triangles = parse_obj(content, 10**6, 10**6)
        if len(theirs.vertices) == len(vertices):
            assert np.array_equal(vertices, theirs.vertices), seed
            assert np.array_equal(triangles, theirs.faces), seed
        else:  # it has vertices once per texture coordinate; the surface is the same
            assert np.array_equal(vertices[triangles], theirs.triangles), seed


@pytest.mark.parametrize(
    "text",
    [
        "v 0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 3\nf 1 2 3\nf 1 3 4\n",
        "\ufeffv 0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 3\nf 1 2 3\nf 1 3 4",
        "v\t0 0\t0\n v  9 0 0 \nv 9 9 0\t\n\tv 0 9 3\n f\t1 2  3\nf 1 3 4\n",
        "v 0 0 0\rv 9 0 0\rv 9 9 0\rv 0 9 3\rf 1 2 3\rf 1 3 4\r",
        "v 0 0 0\r\nv 9 0 0\r\nv 9 9 0\r\nv 0 9 3\r\nf 1 2 3\r\nf 1 3 4\r\n",
        "v 0 0 0 # a\nv 9 0 0 #b\n#v 1 1 1\nv 9 9 0\nv 0 9 3\nf 1 2 3 # f 1 1 1\nf 1 3 4\n",
        "# C:\\scans\\\nv 0 0 0\nv 9 \\\n0 0\nv 9 9 0\nv 0 \\ \n 9 \\\n 3\nf 1 2 \\\n3\nf 1 3 4\n",
        "mtllib C:\\scans\\\nv 0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 3\nf 1 2 3\nf 1 3 4\n",
        "v 0 0 0 1\nv 9 0 0 0.1 0.2 0.3\nv 9 9 0\nv 0 9 3 1 0 0 0 1\nf 1 2 3\nf 1 3 4\n",
        "v 0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 3\nvt 0 0\nvn 0 0 1\nf 1/1 2//1 3/1/1\nf 1/ 3 4//\n",
        "v 0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 3\nf 1 2 3 4\n",
        "f 1 2 3\nf 1 3 4\nv 0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 3\n",
        "v 0 0 0\nv 9 0 0\nv 9 9 0\nf -3 -2 -1\nv 0 9 3\nf 1 -2 -1\n",
        "v\\\n0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 3\nfo 1 2 3\nf\\\n1 3 4\n",
        "v 0 0 0\nv 9 0 0\nv 9 9 0\nv 0 9 3\n-----\nf 1 2 3\nf 1 3 4\n.\n",
        "v 0 0 0\nv +9e0 0. 0\ng a b\nv 9 .9e1 -0\no c\nv 0 9 3\nl 1 2\np 1\nf 1 2 3\nf 1 3 4\n",
    ],
    ids=[
        "plain",
        "mark",
        "tabs and blanks",
        "CR",
        "CRLF",
        "comments",
        "continued",
        "a path with a backslash",
        "weights and colours",
        "forms of corners",
        "polygon",
        "faces first",
        "relative",
        "continued at once, faces of old",
        "ornaments",
        "other elements",
    ],
)
def test_one_quad_however_it_is_written(text: str) -> None:
    vertices, triangles = _parse(text)
    assert vertices == [[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 3]]
    assert triangles == QUAD


def test_utf_16_text_is_read() -> None:
    content = "v 0 0 0\r\nv 9 0 0\r\nv 9 9 0\r\nf 1 2 3\r\n".encode("utf-16")
    assert _parse(content)[1] == [[0, 1, 2]]


def test_relative_indices_count_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facebench.bench.meshes.obj._BLOCK_BYTES", 16)
    part = "v 0 0 {z}\nv 9 0 {z}\nv 9 9 {z}\nf -3 -2 -1\n"
    vertices, triangles = _parse("".join(part.format(z=z) for z in range(50)))
    assert [vertices[a][2] for a, _, _ in triangles] == list(range(50))
    assert triangles == [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(50)]


def test_a_polygon_is_a_fan() -> None:
    corners = "".join(f"v {x} 0 0\n" for x in range(6))
    _, triangles = _parse(corners + "f 1 2 3 4 5\nf 1 2\nf 4 5 6\n")
    assert triangles == [[0, 1, 2], [0, 2, 3], [0, 3, 4], [3, 4, 5]]


def test_what_is_no_number_stays_none(recwarn: pytest.WarningsRecorder) -> None:
    vertices, _ = _parse("v 1 2 1.#QNAN\nv nan 0 -1.#IND\nv 3 4 5\nf 1 2 3\n")
    assert np.isnan(vertices[0][2]) and np.isnan(vertices[1][0]) and vertices[2] == [3, 4, 5]
    assert not recwarn


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\n\nf 0 1 2\n", "line 5: a face names vertex 0"),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 4\n", "line 4: '4' names one of 3 vertices"),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\nf 1 2", "line 5: the file ends in a face of fewer"),
        ("v 0 0 0\nv 1 0 0\nf -3 -2 -1\nv 1 1 0\n", "line 3: '-3' counts back too far"),
        ("v 0 0 0\nv 1 \\\n0 0\nv 1 1\n", "line 4: a vertex of < 3 numbers"),
        ("v 0 0 0\nv 1-2 0 0\nv 1 x 0\n", "line 2: '1-2' is not a number"),
        ("v 0,0 0 0\n", "line 1: '0,0' is not a number"),
        ("v 1_0 0 0\n", "line 1: '1_0' is not a number"),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1\n2 3\n", "line 5: numbers without a letter"),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 x\n", "line 4: 'x' names no vertex"),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3.5\n", "line 4: '3.5' names no vertex"),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 99999999999\n", "line 4: '99999999999' names no vertex"),
    ],
)
def test_a_fault_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ObjError) as caught:
        _parse(text)
    assert words in str(caught.value)


def test_more_than_may_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="4 vertices or more"):
        parse_obj(b"v 0 0 0\n" * 4, 3, 10)
    with pytest.raises(ValueError, match="11 triangles or more"):
        parse_obj(b"v 0 0 0\n" * 3 + b"f 1 2 3\n" * 11, 3, 10)


@pytest.mark.parametrize(
    ("name", "n_vertices", "triangles"),
    [
        ("obj_bom.obj", 5, QUAD),
        ("obj_tab_one_line.obj", 5, QUAD),
        ("obj_comment_behind.obj", 3, [[0, 1, 2]]),
        ("obj_mac_line_ends.obj", 3, [[0, 1, 2]]),
        ("obj_relative_two_objects.obj", 6, [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_files_that_other_readers_get_wrong(
    shared: Path, name: str, n_vertices: int, triangles: list[list[int]]
) -> None:
    mesh = load_mesh(shared / "cases" / name)
    assert len(mesh.vertices) == n_vertices
    assert np.asarray(mesh.triangles).tolist() == triangles


def test_a_file_that_counts_from_0_is_refused(shared: Path) -> None:
    with pytest.raises(FacebenchError, match="line 6: a face names vertex 0, and OBJ counts"):
        load_mesh(shared / "cases" / "obj_zero_based.obj")
