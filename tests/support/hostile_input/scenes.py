"""Scenes made to hurt: binary glTF of any nodes, buffers and pictures."""

from __future__ import annotations

import base64
import json
import struct
import zlib


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A greyscale picture whose header promises any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def glb(document: object, binary: bytes = b"\0" * 72) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def gltf(**changes: object) -> dict[str, object]:
    """One triangle."""
    table: dict[str, object] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 12},
        ],
        "buffers": [{"byteLength": 72}],
    }
    return {**table, **changes}


def doubling(levels: int) -> dict[str, object]:
    """Every node holds the next one twice: 2 ^ levels faces."""
    nodes: list[dict[str, object]] = [
        {"children": [i + 1, i + 1], "translation": [i, 0, 0]} for i in range(levels)
    ]
    return gltf(nodes=[*nodes, {"mesh": 0}])


def many_instances(number: int) -> dict[str, object]:
    return gltf(scenes=[{"nodes": list(range(number))}], nodes=[{"mesh": 0}] * number)


def with_image() -> dict[str, object]:
    picture = base64.b64encode(png(20_000, 8_000, bytes(20_001 * 8_000))).decode()
    table = gltf(
        images=[{"uri": f"data:image/png;base64,{picture}"}],
        textures=[{"source": 0}],
        materials=[{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
    )
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "material": 0}
    return {**table, "meshes": [{"primitives": [primitive]}]}
