"""Meshes written and read again by an independent library."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.errors import FacebenchError
from facebench.recon.export.mesh_files import WRITERS, write_glb, write_mesh, write_ply
from facebench.recon.mesh import Mesh, vertex_normals
from facebench.recon.texture.texture import Texture

METRES_PER_MM = 0.001


def _sphere(colours: bool = True) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=80.0)
    vertices = ball.vertices + np.array([5.0, -20.0, 900.0])
    shades = (ball.vertex_normals + 1.0) / 2.0
    return Mesh(vertices, ball.faces.astype(np.int32), colours=shades if colours else None)


def _read(path: Path) -> trimesh.Trimesh:
    loaded = trimesh.load(path, process=False, maintain_order=True, force="mesh")
    assert isinstance(loaded, trimesh.Trimesh)
    return loaded


@pytest.mark.parametrize("ending", sorted(WRITERS))
@pytest.mark.parametrize("colours", [True, False])
def test_a_written_mesh_is_read_as_the_same_mesh(
    tmp_path: Path, ending: str, colours: bool
) -> None:
    mesh = _sphere(colours)
    path = tmp_path / "deep" / f"face.{ending}"
    write_mesh(mesh, path)
    read = _read(path)
    scale = METRES_PER_MM if ending == "glb" else 1.0
    np.testing.assert_allclose(read.vertices, mesh.vertices * scale, atol=1e-4 * scale)
    np.testing.assert_array_equal(read.faces, mesh.triangles)
    assert read.is_watertight and read.volume > 0
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["obj", "ply"])
def test_colours_survive_to_one_level_of_255(tmp_path: Path, ending: str) -> None:
    mesh = _sphere()
    write_mesh(mesh, tmp_path / f"face.{ending}")
    levels = _read(tmp_path / f"face.{ending}").visual.vertex_colors[:, :3].astype(float)
    assert np.abs(levels - mesh.colours * 255.0).max() <= 1.0


def test_a_textured_mesh_names_its_files_by_their_bytes(tmp_path: Path) -> None:
    """A photograph's name may be of Latin 1."""
    mesh = _sphere(colours=False)
    texture = Texture(np.zeros((len(mesh.vertices), 2)), np.zeros((8, 8, 3), np.uint8))
    path, material, _ = write_mesh(mesh, tmp_path / os.fsdecode(b"caf\xe9.obj"), texture)
    assert b"mtllib caf\xe9.mtl\n" in path.read_bytes()
    assert b"map_Kd caf\xe9_texture.png\n" in material.read_bytes()


def _glb_parts(path: Path) -> tuple[dict, bytes]:
    """The document and the body, by the format's own layout, checking every length on the way."""
    data = path.read_bytes()
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON" and length % 4 == 0
    document = json.loads(data[20 : 20 + length])
    body_length, body_kind = struct.unpack_from("<I4s", data, 20 + length)
    assert body_kind == b"BIN\0" and 28 + length + body_length == len(data)
    return document, data[28 + length :]


def test_glb_holds_linear_colours_and_unit_normals(tmp_path: Path) -> None:
    mesh = _sphere()
    write_glb(mesh, tmp_path / "face.glb")
    document, body = _glb_parts(tmp_path / "face.glb")
    attributes = document["meshes"][0]["primitives"][0]["attributes"]

    def array(name: str) -> np.ndarray:
        view = document["bufferViews"][document["accessors"][attributes[name]]["bufferView"]]
        raw = body[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        return np.frombuffer(raw, "<f4").reshape(-1, 3)

    np.testing.assert_allclose(np.linalg.norm(array("NORMAL"), axis=1), 1.0, atol=1e-6)
    srgb = array("COLOR_0").astype(float)
    encoded = np.where(srgb <= 0.0031308, srgb * 12.92, 1.055 * srgb ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(encoded, mesh.colours, atol=1e-4)


def test_a_further_property_stands_in_the_ply(tmp_path: Path) -> None:
    mesh = _sphere()
    error = np.linspace(0.0, 3.0, len(mesh.vertices))
    write_ply(mesh, tmp_path / "heat.ply", {"error": error})
    read = _read(tmp_path / "heat.ply").metadata["_ply_raw"]["vertex"]["data"]["error"]
    np.testing.assert_allclose(np.ravel(read), error, atol=1e-6)


def test_a_property_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="'error' has shape"):
        write_ply(_sphere(), tmp_path / "heat.ply", {"error": np.zeros(3)})
    assert not list(tmp_path.iterdir())


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(FacebenchError, match="obj, ply, glb"):
        write_mesh(_sphere(), tmp_path / "face.stl")


def test_normals_of_a_sphere_point_outwards() -> None:
    mesh = _sphere()
    outward = mesh.vertices - mesh.vertices.mean(axis=0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    assert (vertex_normals(mesh) * outward).sum(axis=1).min() > 0.999


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_normals_ignore_scale_and_triangle_order(scale: float, seed: int) -> None:
    mesh = _sphere()
    order = np.random.default_rng(seed).permutation(len(mesh.triangles))
    other = Mesh(mesh.vertices * scale, mesh.triangles[order])
    np.testing.assert_allclose(vertex_normals(other), vertex_normals(mesh), atol=1e-9)
