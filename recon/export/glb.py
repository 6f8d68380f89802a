"""A mesh as the bytes of a binary glTF 2.0 file."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mesh.normals import vertex_normals
from ..mesh.record import Mesh
from ..texture.space import Texture

_METRES_PER_MM = 0.001
_FLOAT32, _UINT32 = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
_KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3"}


def glb_bytes(mesh: Mesh, texture: Texture | None = None) -> bytes:
    """One node with positions, normals, triangles and a texture, or colours where there is none.

    glTF's unit is the metre: the arrays stay in mm and the node scales them. Its vertex colours
    are linear light, so the mesh's are converted from sRGB; its textures are sRGB. Its v points
    down.
    """
    body = _Body.of(_attributes(mesh, texture), mesh.triangles)
    document = _document(body)
    if texture is not None:
        document |= _material_of_picture(body.append(texture.png))
    document["bufferViews"] = body.views
    document["buffers"] = [{"byteLength": len(body.data)}]
    return _container(json.dumps(document, separators=(",", ":")).encode(), bytes(body.data))


@dataclass
class _Body:
    """The binary chunk as it grows, with its views; every part starts at a multiple of four."""

    arrays: dict[str, NDArray[Any]]
    data: bytearray
    views: list[dict[str, int]]

    @classmethod
    def of(cls, attributes: dict[str, NDArray[Any]], triangles: NDArray[Any]) -> _Body:
        indices = np.asarray(triangles).astype("<u4").reshape(-1, 1)
        body = cls({**attributes, "indices": indices}, bytearray(), [])
        for name, array in body.arrays.items():
            target = _ELEMENT_ARRAY_BUFFER if name == "indices" else _ARRAY_BUFFER
            body.views[body.append(array.tobytes())]["target"] = target
        return body

    def append(self, part: bytes) -> int:
        """Add a part; returns the number of its view."""
        self.data += b"\0" * (-len(self.data) % 4)
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(part)})
        self.data += part
        return len(self.views) - 1


def _attributes(mesh: Mesh, texture: Texture | None) -> dict[str, NDArray[Any]]:
    arrays = {"POSITION": mesh.vertices.astype("<f4"), "NORMAL": vertex_normals(mesh).astype("<f4")}
    if texture is not None:
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
