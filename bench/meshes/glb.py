"""What a binary glTF file says of itself, before a reader makes room for it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...recon.files.text import parse_json

MOST_NODES = 1000
_JSON, _HEADER, _CHUNK = b"JSON", 12, 8
_MOST_TEXT = 2**24
_NUMBERS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}

Table = Mapping[str, Any]


def check_glb(path: Path) -> int:
    """How many vertices the scene of a file has, every instance of a mesh counted.

    Raises:
        OSError, ValueError, KeyError, TypeError, IndexError, AttributeError: the file is cut off,
            needs other files, or its parts do not fit together.
    """
    document = _document(path)
    if any("uri" in buffer for buffer in document.get("buffers", ())):
        raise ValueError("it needs other files")
    counts = [_checked_count(accessor, document) for accessor in document.get("accessors", ())]
    nodes = document.get("nodes", ())
    _check_tree(nodes)
    meshes = [_mesh_vertices(mesh, counts) for mesh in document.get("meshes", ())]
    return sum(meshes[node["mesh"]] for node in nodes if "mesh" in node)


def _document(path: Path) -> Table:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEADER + _CHUNK)
        if len(head) < _HEADER + _CHUNK or struct.unpack("<I", head[8:12])[0] > size:
            raise ValueError("it ends early")
        length, kind = struct.unpack("<I4s", head[_HEADER:])
        if kind != _JSON or length > min(size, _MOST_TEXT):
            raise ValueError("its first part is no scene")
        document = parse_json(file.read(length).decode("utf-8"))
        binary = file.read(_CHUNK)
    held = struct.unpack("<I4s", binary)[0] if len(binary) == _CHUNK else 0
    if not isinstance(document, dict) or _HEADER + _CHUNK + length + held > size:
        raise ValueError("it ends early")
    return document


def _checked_count(accessor: Table, document: Table) -> int:
    """Entries of an accessor, whose numbers must lie in its part of the file."""
    count, width = accessor["count"], _NUMBERS[accessor["type"]] * _BYTES[accessor["componentType"]]
    if type(count) is not int or count < 0 or "sparse" in accessor:
        raise ValueError(f"an accessor of {count} entries")
    views = document.get("bufferViews", ())
    held = views[accessor["bufferView"]]["byteLength"] if "bufferView" in accessor else 0
    if type(held) is not int or count * width > held:
        raise ValueError(f"an accessor of {count} entries in {held} bytes")
    return count


def _check_tree(nodes: Sequence[Table]) -> None:
    """Every node hangs in one place at most, and none in itself: else instances multiply."""
    if len(nodes) > MOST_NODES:
        raise ValueError(f"{len(nodes):,} nodes, more than {MOST_NODES:,}")
    children = [child for node in nodes for child in node.get("children", ())]
    if len(set(children)) < len(children):
        raise ValueError("a node in two places")
    reached = [number for number in range(len(nodes)) if number not in set(children)]
    for number in reached:
        reached.extend(nodes[number].get("children", ()))
    if len(reached) < len(nodes):
        raise ValueError("nodes in a ring")


def _mesh_vertices(mesh: Table, counts: Sequence[int]) -> int:
    return sum(counts[part["attributes"]["POSITION"]] for part in mesh["primitives"])
