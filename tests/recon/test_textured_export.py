"""Textured meshes written, and read again by an independent library."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

from facebench.recon.export.mesh_files import write_mesh
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.texture.texture import Texture
from facebench.recon.texture.unwrap import unwrap

SIZE = 64


@pytest.fixture(scope="module")
def face() -> tuple[Mesh, Texture]:
    """The mean face; its texture's red runs to the right, its green upwards."""
    model = load_model("embedded")
    ramp = ((np.arange(SIZE) + 0.5) / SIZE * 255).round().astype(np.uint8)
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    picture[..., 0], picture[..., 1] = ramp[None, :], ramp[::-1, None]
    return model.mesh(), Texture(unwrap(model.mean_shape, model.triangles)[0], picture)


def sampled(picture: Image.Image, uv: NDArray[np.floating]) -> NDArray[np.float64]:
    """Red and green under texture coordinates as trimesh has them: v upwards."""
    pixels = np.asarray(picture.convert("RGB"))
    column = (uv[:, 0] * SIZE).astype(int).clip(0, SIZE - 1)
    row = ((1.0 - uv[:, 1]) * SIZE).astype(int).clip(0, SIZE - 1)
    return pixels[row, column, :2] / 255.0


@pytest.mark.parametrize("name", ["face.obj", "my face.v2.obj", "face.glb"])
def test_a_reader_finds_the_same_colour_at_every_vertex(
    face: tuple[Mesh, Texture], tmp_path: Path, name: str
) -> None:
    mesh, texture = face
    written = write_mesh(mesh, tmp_path / name, texture)
    assert sorted(tmp_path.iterdir()) == sorted(written)
    read = trimesh.load(tmp_path / name, process=False, maintain_order=True, force="mesh")
    scale = 0.001 if name.endswith("glb") else 1.0
    np.testing.assert_allclose(read.vertices, mesh.vertices * scale, atol=1e-4 * scale)
    np.testing.assert_array_equal(read.faces, mesh.triangles)
    material = read.visual.material
    picture = material.baseColorTexture if name.endswith("glb") else material.image
    found = sampled(picture, read.visual.uv)
    np.testing.assert_allclose(found, texture.uv, atol=1.5 / SIZE)
    np.testing.assert_allclose(texture.at_vertices()[:, :2], texture.uv, atol=1.5 / SIZE)


def test_the_glb_keeps_to_its_format(face: tuple[Mesh, Texture], tmp_path: Path) -> None:
    """By the rules of glTF 2.0, section 3.6 and 4: lengths, alignment, bounds, references."""
    mesh, texture = face
    write_mesh(mesh, tmp_path / "face.glb", texture)
    data = (tmp_path / "face.glb").read_bytes()
    assert struct.unpack_from("<4sII", data) == (b"glTF", 2, len(data))
    length = struct.unpack_from("<I", data, 12)[0]
    document, body = json.loads(data[20 : 20 + length]), data[28 + length :]
    assert 0 <= len(body) - document["buffers"][0]["byteLength"] < 4
    ends = 0
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0 and view["byteOffset"] >= ends
        ends = view["byteOffset"] + view["byteLength"]
    assert ends == document["buffers"][0]["byteLength"]
    primitive = document["meshes"][0]["primitives"][0]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
        assert view["byteLength"] == 4 * width * accessor["count"]
        kind = "<u4" if accessor["componentType"] == 5125 else "<f4"
        array = np.frombuffer(body, kind, width * accessor["count"], view["byteOffset"])
        rows = array.reshape(-1, width)
        np.testing.assert_array_equal(rows.min(axis=0), np.array(accessor["min"], kind))
        np.testing.assert_array_equal(rows.max(axis=0), np.array(accessor["max"], kind))
    material = document["materials"][primitive["material"]]["pbrMetallicRoughness"]
    source = document["textures"][material["baseColorTexture"]["index"]]["source"]
    view = document["bufferViews"][document["images"][source]["bufferView"]]
    png = body[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), texture.picture)


def test_a_format_without_textures_keeps_its_colours(
    face: tuple[Mesh, Texture], tmp_path: Path
) -> None:
    mesh, texture = face
    assert write_mesh(mesh, tmp_path / "face.ply", texture) == (tmp_path / "face.ply",)
    read = trimesh.load(tmp_path / "face.ply", process=False)
    levels = read.visual.vertex_colors[:, :3].astype(float)
    assert np.abs(levels - np.asarray(mesh.colours) * 255.0).max() <= 1.0
