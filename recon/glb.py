"""A mesh as the bytes of a binary glTF 2.0 file."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .mesh import Mesh
from .normals import vertex_normals

_METRES_PER_MM = 0.001
_FLOAT32, _UINT32 = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963


def glb_bytes(mesh: Mesh) -> bytes:
    """One node with positions, normals, triangles and, where the mesh has them, colours.

    glTF's unit is the metre: the arrays stay in mm and the node scales them. Its vertex colours
    are linear light, so the mesh's are converted from sRGB.
    """
    arrays = _attributes(mesh)
    indices = np.asarray(mesh.triangles).astype("<u4").reshape(-1, 1)
    body = b"".join(array.tobytes() for array in (*arrays.values(), indices))
    document = _document(arrays, indices, len(body))
    return _container(json.dumps(document, separators=(",", ":")).encode(), body)


def _attributes(mesh: Mesh) -> dict[str, NDArray[np.float32]]:
    """Every array has four-byte entries, so that all views stay aligned."""
    arrays = {"POSITION": mesh.vertices.astype("<f4"), "NORMAL": vertex_normals(mesh).astype("<f4")}
    if mesh.colours is not None:
        arrays["COLOR_0"] = _linear(np.asarray(mesh.colours)).astype("<f4")
    return arrays


def _linear(colours: NDArray[Any]) -> NDArray[np.float64]:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    level = colours.astype(np.float64).clip(0.0, 1.0)
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


def _document(
    arrays: dict[str, NDArray[np.float32]], indices: NDArray[np.uint32], size: int
) -> dict[str, Any]:
    views, start = [], 0
    for array in (*arrays.values(), indices):
        target = _ELEMENT_ARRAY_BUFFER if array is indices else _ARRAY_BUFFER
        views.append(
            {"buffer": 0, "byteOffset": start, "byteLength": array.nbytes, "target": target}
        )
        start += array.nbytes
    primitive = {
        "attributes": {name: number for number, name in enumerate(arrays)},
        "indices": len(arrays),
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
        "accessors": _accessors(arrays, indices),
        "bufferViews": views,
        "buffers": [{"byteLength": size}],
    }


def _accessors(
    arrays: dict[str, NDArray[np.float32]], indices: NDArray[np.uint32]
) -> list[dict[str, Any]]:
    accessors: list[dict[str, Any]] = [
        {"bufferView": number, "componentType": _FLOAT32, "count": len(array), "type": "VEC3"}
        for number, array in enumerate(arrays.values())
    ]
    positions = arrays["POSITION"]
    accessors[0] |= {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()}
    last = {"bufferView": len(arrays), "componentType": _UINT32, "count": len(indices)}
    return [*accessors, last | {"type": "SCALAR"}]


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
