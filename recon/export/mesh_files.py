"""Meshes to files: OBJ, PLY and GLB, with a texture or vertex colours where there are any."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import FacebenchError, count_of
from ..files.writing import atomic_write
from ..mesh import Mesh, check_arrays, vertex_normals

if TYPE_CHECKING:
    # Its module imports PyTorch, without which meshes can be written.
    from ..texture.texture import Texture

_PLY_TYPES = {"<f4": "float", "|u1": "uchar"}

_METRES_PER_MM = 0.001
_FLOAT32, _UINT32 = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
_ROWS = 20_000
_KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3"}


def write_mesh(mesh: Mesh, path: Path, texture: Texture | None = None) -> tuple[Path, ...]:
    """Write the mesh in the format that the file name's ending names, see `WRITERS`.

    Args:
        mesh: in mm.
        path: the file; replaced in one step.
        texture: instead of the mesh's colours, where the format can hold one.

    Returns:
        Every file written.

    Raises:
        FacebenchError: the ending is none of them, or the mesh is not one to look at.
    """
    ending = path.suffix.lstrip(".").lower()
    if ending not in WRITERS:
        raise FacebenchError(f"{path}: no mesh format '{ending}'", f"known: {', '.join(WRITERS)}")
    mesh = _checked_mesh(mesh, path)
    if ending == "glb" and not len(mesh.triangles):
        raise FacebenchError(f"{path}: points without triangles", "write them as PLY or OBJ")
    if texture is not None and ending in TEXTURED_WRITERS:
        return TEXTURED_WRITERS[ending](mesh, path, texture)
    WRITERS[ending](mesh, path)
    return (path,)


def _checked_mesh(mesh: Mesh, path: Path) -> Mesh:
    """The mesh with arrays, refused where other programs would show nothing or something else."""
    check_arrays(mesh)
    vertices = np.asarray(mesh.vertices)
    if not len(vertices):
        raise FacebenchError(f"{path}: the mesh has no vertices", "nothing is written")
    if invalid := int((~np.isfinite(vertices).all(axis=1)).sum()):
        found = count_of(invalid, "vertex is", "vertices are")
        raise FacebenchError(f"{path}: {found} NaN or infinite", "what made the mesh has failed")
    colours = None if mesh.colours is None else np.asarray(mesh.colours)
    if colours is not None and (colours.shape != vertices.shape or colours.dtype.kind != "f"):
        found = f"colours are {colours.shape} {colours.dtype}"
        raise FacebenchError(f"{path}: {found}", "give RGB (V, 3) of floats in [0, 1]")
    return replace(mesh, vertices=vertices, triangles=np.asarray(mesh.triangles), colours=colours)


def write_obj(mesh: Mesh, path: Path) -> None:
    """Write a Wavefront OBJ in mm, `v x y z r g b` with colours in [0, 1] (a common extension)."""
    rows = mesh.vertices if mesh.colours is None else np.hstack([mesh.vertices, mesh.colours])
    # float32 sources have no more digits.
    vertex = "v %.6f %.6f %.6f" + ("" if mesh.colours is None else " %.5f %.5f %.5f")
    # OBJ counts from 1.
    faces = _lines("f %d %d %d", np.asarray(mesh.triangles) + 1)
    with atomic_write(path) as draft:
        draft.write_text(f"# unit: mm\n{_lines(vertex, rows)}{faces}", encoding="ascii")


def write_textured_obj(mesh: Mesh, path: Path, texture: Texture) -> tuple[Path, ...]:
    """Write a Wavefront OBJ in mm with its material (.mtl) and picture (_texture.png) beside it."""
    picture, material = path.with_name(f"{path.stem}_texture.png"), path.with_suffix(".mtl")
    with atomic_write(picture) as draft:
        draft.write_bytes(texture.png)
    with atomic_write(material) as draft:
        skin = f"newmtl skin\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {picture.name}\n"
        # A file's name may be no UTF-8: then its bytes are what a reader looks for.
        draft.write_text(skin, encoding="utf-8", errors="surrogateescape")
    parts = (
        f"# unit: mm\nmtllib {material.name}\n",
        _lines("v %.6f %.6f %.6f", mesh.vertices),
        _lines("vt %.6f %.6f", texture.uv),
        "usemtl skin\n",
        _lines("f %d/%d %d/%d %d/%d", np.repeat(np.asarray(mesh.triangles) + 1, 2, axis=1)),
    )
    with atomic_write(path) as draft:
        draft.write_text("".join(parts), encoding="utf-8", errors="surrogateescape")
    return path, material, picture


def _lines(form: str, rows: NDArray[Any]) -> str:
    """A line for each row (N, K) in the form of its numbers, in a quarter of `savetxt`'s time."""
    # In blocks: as Python's numbers a large mesh takes ten times its memory.
    blocks = (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
    return "".join(f"{form}\n" * len(block) % tuple(block.ravel().tolist()) for block in blocks)


def write_picture(picture: NDArray[np.uint8], path: Path) -> Path:
    """Write an RGB picture (H, W, 3) as PNG."""
    with atomic_write(path) as draft:
        Image.fromarray(picture).save(draft, format="PNG")
    return path


def write_ply(mesh: Mesh, path: Path, properties: Mapping[str, NDArray[Any]] | None = None) -> None:
    """Write a binary little-endian PLY in mm.

    Args:
        mesh: coordinates become float32, colours uint8.
        path: the file; replaced in one step.
        properties: further float values (V,) at the vertices by name, for example `error`.

    Raises:
        FacebenchError: a property has another length than the vertices.
    """
    vertices = _ply_vertices(mesh, properties or {})
    # A packed record per face: the file's bytes as they are.
    faces = np.zeros(len(mesh.triangles), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.triangles
    header = _ply_header(vertices.dtype, len(vertices), len(faces))
    with atomic_write(path) as draft:
        draft.write_bytes(header.encode("ascii") + vertices.tobytes() + faces.tobytes())


def write_glb(mesh: Mesh, path: Path, texture: Texture | None = None) -> tuple[Path, ...]:
    """Write a binary glTF 2.0 file; its scene is in metres, as the format demands."""
    with atomic_write(path) as draft:
        draft.write_bytes(glb_bytes(mesh, texture))
    return (path,)


WRITERS: Mapping[str, Callable[[Mesh, Path], object]] = {
    "obj": write_obj,
    "ply": write_ply,
    "glb": write_glb,
}
"""The writer of every file name ending."""

TEXTURED_WRITERS: Mapping[str, Callable[[Mesh, Path, Texture], tuple[Path, ...]]] = {
    "obj": write_textured_obj,
    "glb": write_glb,
}
"""The writers of the formats that hold a texture."""


def _ply_vertices(mesh: Mesh, properties: Mapping[str, NDArray[Any]]) -> NDArray[np.void]:
    columns = dict(zip("xyz", mesh.vertices.T.astype("<f4"), strict=True))
    if mesh.colours is not None:
        # Clipped first: a cast of 1.01 wraps to black.
        levels = (np.asarray(mesh.colours).clip(0.0, 1.0) * 255.0).round().astype("|u1")
        columns |= dict(zip(("red", "green", "blue"), levels.T, strict=True))
    for name, values in properties.items():
        if np.shape(values) != (len(mesh.vertices),):
            raise FacebenchError(
                f"property '{name}' has shape {np.shape(values)}",
                f"expected one value for each of the {len(mesh.vertices)} vertices",
            )
        columns[name] = np.asarray(values).astype("<f4")
    kinds = [(name, column.dtype) for name, column in columns.items()]
    records = np.zeros(len(mesh.vertices), kinds)
    for name, column in columns.items():
        records[name] = column
    return records


def _ply_header(vertex: np.dtype[np.void], n_vertices: int, n_faces: int) -> str:
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment unit: mm",
        f"element vertex {n_vertices}",
        *(f"property {_PLY_TYPES[vertex[name].str]} {name}" for name in vertex.names or ()),
        f"element face {n_faces}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    return "\n".join(lines) + "\n"


def glb_bytes(mesh: Mesh, texture: Texture | None = None) -> bytes:
    """One node with positions, normals, triangles and a texture, or colours where there is none.

    glTF's unit is the metre: the arrays stay in mm and the node scales them. Its vertex colours
    are linear light, so the mesh's are converted from sRGB; its textures are sRGB. Its v points
    down.
    """
    body = _Body(_attributes(mesh, texture), mesh.triangles)
    document = _document(body)
    if texture is not None:
        document |= _material_of_picture(body.append(texture.png))
    document["bufferViews"] = body.views
    document["buffers"] = [{"byteLength": len(body.data)}]
    return _container(json.dumps(document, separators=(",", ":")).encode(), bytes(body.data))


class _Body:
    """The binary chunk as it grows, with its views; every part starts at a multiple of four."""

    def __init__(self, attributes: dict[str, NDArray[Any]], triangles: NDArray[Any]) -> None:
        indices = np.asarray(triangles).astype("<u4").reshape(-1, 1)
        self.arrays = {**attributes, "indices": indices}
        self.data, self.views = bytearray(), list[dict[str, int]]()
        for name, array in self.arrays.items():
            target = _ELEMENT_ARRAY_BUFFER if name == "indices" else _ARRAY_BUFFER
            self.views[self.append(array.tobytes())]["target"] = target

    def append(self, part: bytes) -> int:
        """Add a part; returns the number of its view."""
        # Accessors must start at a multiple of their component's size.
        self.data += b"\0" * (-len(self.data) % 4)
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(part)})
        self.data += part
        return len(self.views) - 1


def _attributes(mesh: Mesh, texture: Texture | None) -> dict[str, NDArray[Any]]:
    arrays = {"POSITION": mesh.vertices.astype("<f4"), "NORMAL": vertex_normals(mesh).astype("<f4")}
    if texture is not None:
        # glTF's v points down, ours up.
        arrays["TEXCOORD_0"] = (texture.uv * (1.0, -1.0) + (0.0, 1.0)).astype("<f4")
    elif mesh.colours is not None:
        arrays["COLOR_0"] = _linear(np.asarray(mesh.colours)).astype("<f4")
    return arrays


def _linear(colours: NDArray[Any]) -> NDArray[np.float64]:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    level = colours.astype(np.float64).clip(0.0, 1.0)
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


def _document(body: _Body) -> dict[str, Any]:
    names = [name for name in body.arrays if name != "indices"]
    primitive = {
        "attributes": {name: number for number, name in enumerate(names)},
        "indices": len(names),
        "material": 0,
    }
    # Skin without gloss: the texture holds the photograph's own highlights.
    matte = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    return {
        "asset": {"version": "2.0", "generator": "facebench"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "face", "mesh": 0, "scale": [_METRES_PER_MM] * 3}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"name": "skin", "pbrMetallicRoughness": matte}],
        "accessors": [_accessor(view, array) for view, array in enumerate(body.arrays.values())],
    }


def _accessor(view: int, array: NDArray[Any]) -> dict[str, Any]:
    """An array's; bounds are demanded of positions and harmless elsewhere."""
    return {
        "bufferView": view,
        "componentType": _UINT32 if array.dtype.kind == "u" else _FLOAT32,
        "count": len(array),
        "type": _KINDS[array.shape[1]],
        "min": array.min(axis=0).tolist(),
        "max": array.max(axis=0).tolist(),
    }


def _material_of_picture(view: int) -> dict[str, Any]:
    """The members of a document whose material is the picture in a view."""
    skin = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 1.0}
    sampler = {
        "magFilter": _LINEAR,
        "minFilter": _LINEAR_MIPMAP_LINEAR,
        "wrapS": _CLAMP_TO_EDGE,
        "wrapT": _CLAMP_TO_EDGE,
    }
    return {
        "materials": [{"name": "skin", "pbrMetallicRoughness": skin}],
        "textures": [{"source": 0, "sampler": 0}],
        "images": [{"bufferView": view, "mimeType": "image/png"}],
        "samplers": [sampler],
    }


def _container(document: bytes, body: bytes) -> bytes:
    """Header and two chunks, each padded to four bytes (glTF 2.0, "GLB File Format")."""
    # Padded with spaces, the binary chunk with zeros, as the standard says.
    document += b" " * (-len(document) % 4)
    body += b"\0" * (-len(body) % 4)
    total = 12 + 8 + len(document) + 8 + len(body)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<I4s", len(document), b"JSON"),
            document,
            struct.pack("<I4s", len(body), b"BIN\0"),
            body,
        ]
    )
