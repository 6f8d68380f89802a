"""Reading binary glTF: the surfaces of its scene, checked before memory is allocated for them.

Positions may be quantised (whole numbers, normalised or not), displaced by morph targets and used
by several nodes. What would need a decoder of its own is refused by its name.

Source: Khronos Group, "glTF 2.0 Specification"; the extension KHR_mesh_quantization.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...recon.files.text import parse_json

MOST_NODES = 1000
_JSON, _HEADER, _CHUNK = b"JSON", 12, 8
_MOST_TEXT = 2**24
_NUMBERS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_TRIANGLES, _STRIP, _FAN = _SURFACES = 4, 5, 6

_NO_SHAPE = re.compile(r"_(materials?|texture|lights?|xmp|audio|animation)(_|$)")
"""Extensions that may be required and say nothing of the shape, by what they are called after."""
_VISIBILITY = "KHR_node_visibility"
_READ = ("KHR_mesh_quantization", _VISIBILITY)
_MOST_ZEROS = 2**23
"""Entries of an accessor that has no place in the file: zeros, but for its sparse values."""
_COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression")

Table = Mapping[str, Any]
Index = NDArray[np.int64]
Float64Array = NDArray[np.float64]

UNFIT = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error)
"""What a file raises that is cut off, needs other files, or whose parts do not fit together."""


class GlbFile:
    """A file whose description is read and whose parts lie where they should.

    Args:
        path: of the file.

    Raises:
        UNFIT.
    """

    def __init__(self, path: Path) -> None:
        size, self._path = path.stat().st_size, path
        with path.open("rb") as file:
            head = file.read(_HEADER + _CHUNK)
            if len(head) < _HEADER + _CHUNK or struct.unpack("<I", head[8:12])[0] > size:
                raise ValueError("it ends early")
            if (version := struct.unpack("<I", head[4:8])[0]) != 2:
                raise ValueError(f"version {version} of glTF, and only 2 is read")
            length, kind = struct.unpack("<I4s", head[_HEADER:])
            if kind != _JSON or length > min(size, _MOST_TEXT):
                raise ValueError("its first part is no scene")
            # Blanks fill it up to four bytes; some writers take zeros.
            document = parse_json(file.read(length).decode("utf-8").rstrip("\0 "))
            chunk = file.read(_CHUNK)
        held = struct.unpack("<I4s", chunk)[0] if len(chunk) == _CHUNK else 0
        start = _HEADER + _CHUNK + length
        if not isinstance(document, dict) or start + held > size:
            raise ValueError("it ends early")
        if chunk[4:] not in (b"", b"BIN\0"):
            raise ValueError("its second part holds no numbers")
        self._document: Table = document
        self._start = start + _CHUNK

    def count_vertices(self) -> int:
        """Vertices of the scene, every instance of a mesh counted.

        Raises:
            UNFIT.
        """
        document = self._document
        if any("uri" in buffer for buffer in document.get("buffers", ())):
            raise ValueError("it needs other files")
        _check_extensions(document)
        counts = [_checked_count(item, document) for item in document.get("accessors", ())]
        counts.append(0)  # of a primitive that states no positions
        _check_tree(document.get("nodes", ()))
        meshes = [
            sum(counts[part["attributes"].get("POSITION", -1)] for part in mesh["primitives"])
            for mesh in document.get("meshes", ())
        ]
        used = [node["mesh"] for node in document.get("nodes", ()) if "mesh" in node]
        # A mesh that no node names is not in the scene, but was read on some reader's way to it.
        most: int = max(sum(meshes[number] for number in used), max(meshes, default=0))
        return most

    def read(self) -> tuple[Float64Array, Index]:
        """Vertices (V, 3) and triangles (F, 3) of all nodes, in the scene's space.

        Raises:
            UNFIT.
        """
        reader = _Reader(self._document, memoryview(self._path.read_bytes())[self._start :])
        vertices, triangles = [np.empty((0, 3))], [np.empty((0, 3), np.int64)]
        count = 0
        for node, transform in _placed_nodes(self._document):
            for own, corners in reader.primitives(node):
                vertices.append(own @ transform[:3, :3].T + transform[:3, 3])
                # A reflecting node shows the other side of its triangles.
                mirrored = np.linalg.det(transform[:3, :3]) < 0
                triangles.append((corners[:, ::-1] if mirrored else corners) + count)
                count += len(own)
        meshes = self._document.get("meshes", ())
        modes = {part.get("mode", _TRIANGLES) for mesh in meshes for part in mesh["primitives"]}
        if modes and not modes & set(_SURFACES):
            raise ValueError("it holds points or lines and no triangles")
        return np.concatenate(vertices), np.concatenate(triangles)


def _check_extensions(document: Table) -> None:
    """Refuse by name what the shape cannot be read without."""
    required = [str(name) for name in document.get("extensionsRequired", ())]
    parts = [part for mesh in document.get("meshes", ()) for part in mesh["primitives"]]
    # Some writers compress and forget to say so above.
    own = [str(name) for part in parts for name in part.get("extensions", ())]
    views = [str(n) for v in document.get("bufferViews", ()) for n in v.get("extensions", ())]
    needed = [*required, *(name for name in (*own, *views) if name in _COMPRESSED)]
    for name in needed:
        if name in _COMPRESSED:
            raise ValueError(f"compressed by {name}, which is not read; export it uncompressed")
        if name not in _READ and not _NO_SHAPE.search(name):
            raise ValueError(f"it needs the extension {name}, which is not read; export it without")
    for node in document.get("nodes", ()):
        if "EXT_mesh_gpu_instancing" in node.get("extensions", ()):
            raise ValueError("it needs EXT_mesh_gpu_instancing, which is not read")
        if "mesh" in node and "skin" in node:
            raise ValueError("its mesh hangs on bones (a skin); apply the pose and export it again")


def _checked_count(accessor: Table, document: Table) -> int:
    """Entries of an accessor, whose numbers must lie in its part of the file."""
    count = accessor["count"]
    width = _NUMBERS[accessor["type"]] * int(_TYPES[accessor["componentType"]][2])
    if type(count) is not int or count < 0:
        raise ValueError(f"an accessor of {count} entries")
    if "bufferView" not in accessor and count <= _MOST_ZEROS:
        return count
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


def _placed_nodes(document: Table) -> list[tuple[Table, Float64Array]]:
    """Each node of the scene with its transform (4, 4) to the scene's space."""
    nodes = document.get("nodes", ())
    scenes = document.get("scenes", ())
    if scenes:
        roots = scenes[document.get("scene", 0)].get("nodes", ())
    else:
        below = {child for node in nodes for child in node.get("children", ())}
        roots = [number for number in range(len(nodes)) if number not in below]
    waiting = [(number, np.eye(4)) for number in roots]
    placed = []
    while waiting:
        number, above = waiting.pop(0)
        transform = above @ _transform(nodes[number])
        if not nodes[number].get("extensions", {}).get(_VISIBILITY, {}).get("visible", True):
            continue  # hidden with all that hangs on it
        placed.append((nodes[number], transform))
        waiting += [(child, transform) for child in nodes[number].get("children", ())]
    return placed


def _transform(node: Table) -> Float64Array:
    """A node's own transform (4, 4): its matrix, else translation · rotation · scale."""
    if "matrix" in node:
        # glTF writes matrices column by column; somebody who wrote rows has the translation below.
        matrix = np.array(node["matrix"], np.float64).reshape(4, 4).T
        # Of inverted matrices in 32 bits the last row is 0 but for their rounding.
        if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6):
            raise ValueError("the matrix of a node is not affine")
        return matrix
    quaternion = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
    x, y, z, w = quaternion / (np.linalg.norm(quaternion) or 1.0)  # not all writers normalise it
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    transform = np.eye(4)
    transform[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), np.float64)
    transform[:3, 3] = node.get("translation", (0, 0, 0))
    return transform


class _Reader:
    """Numbers out of the binary part, and primitives made of them."""

    def __init__(self, document: Table, binary: memoryview) -> None:
        self._document, self._binary = document, binary

    def primitives(self, node: Table) -> list[tuple[Float64Array, Index]]:
        """Vertices (V, 3) and triangles (F, 3) of a node's surfaces, in its own space."""
        if "mesh" not in node:
            return []
        mesh = self._document["meshes"][node["mesh"]]
        weights = node.get("weights", mesh.get("weights", ()))
        parts = (self._primitive(part, weights) for part in mesh["primitives"])
        return [part for part in parts if part is not None]

    def _primitive(
        self, part: Table, weights: Sequence[float]
    ) -> tuple[Float64Array, Index] | None:
        mode = part.get("mode", _TRIANGLES)
        if mode not in _SURFACES or "POSITION" not in part["attributes"]:
            return None  # points and lines have no surface
        vertices = self._numbers(part["attributes"]["POSITION"])
        for weight, target in zip(weights, part.get("targets", ()), strict=False):
            if weight and "POSITION" in target:
                vertices = vertices + float(weight) * self._numbers(target["POSITION"])
        if "indices" in part:
            corners = self._values(part["indices"]).astype(np.int64)
            if corners.ndim != 1 or (len(corners) and corners.max() >= len(vertices)):
                raise ValueError("a triangle names a vertex that does not exist")
        else:
            corners = np.arange(len(vertices), dtype=np.int64)
        return vertices, _triangles(corners, mode)

    def _numbers(self, number: int) -> Float64Array:
        """Vectors (N, 3) of an accessor; normalised whole numbers become -1 to 1."""
        values, accessor = self._values(number), self._document["accessors"][number]
        if values.ndim != 2 or values.shape[1] != 3:
            raise ValueError("positions that are not (N, 3)")
        result = values.astype(np.float64)
        if accessor.get("normalized") and values.dtype.kind in "iu":
            # The lowest value of a signed type lies beyond -1 and is cut, says the specification.
            result = np.maximum(result / np.iinfo(values.dtype).max, -1.0)
        return result

    def _values(self, number: int) -> NDArray[Any]:
        accessor = self._document["accessors"][number]
        kind, width = np.dtype(_TYPES[accessor["componentType"]]), _NUMBERS[accessor["type"]]
        count = accessor["count"]
        if "bufferView" in accessor:
            values = self._part(accessor, kind, width, count)
        else:
            values = np.zeros((count, width), kind)
        if "sparse" in accessor:
            # Blender writes morph targets so: a few values that stand in for some of the others.
            sparse = accessor["sparse"]
            own = np.dtype(_TYPES[sparse["indices"]["componentType"]])
            place = self._part(sparse["indices"], own, 1, sparse["count"])[:, 0].astype(np.int64)
            values = values.copy()
            values[place] = self._part(sparse["values"], kind, width, sparse["count"])
        return values[:, 0] if accessor["type"] == "SCALAR" else values

    def _part(self, place: Table, kind: np.dtype[Any], width: int, count: int) -> NDArray[Any]:
        """Numbers (count, width) where an accessor, or the sparse part of one, says they are."""
        view = self._document["bufferViews"][place["bufferView"]]
        if view.get("buffer"):
            raise ValueError("it needs other files")
        start = view.get("byteOffset", 0) + place.get("byteOffset", 0)
        stride = view.get("byteStride", kind.itemsize * width)
        end = start + stride * (count - 1) + kind.itemsize * width if count else start
        if start < 0 or stride < kind.itemsize * width or end > len(self._binary):
            raise ValueError("numbers that lie outside the file")
        shape, steps = (count, width), (stride, kind.itemsize)
        return np.ndarray(shape, kind, self._binary, start, steps)


def _triangles(corners: Index, mode: int) -> Index:
    """Triangles (F, 3) of a list, strip or fan of corners (N,)."""
    if mode == _TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    if len(corners) < 3:
        return np.empty((0, 3), np.int64)
    if mode == _FAN:
        first = np.broadcast_to(corners[0], len(corners) - 2)
        return np.stack([first, corners[1:-1], corners[2:]], axis=1)
    strip = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    # Every second triangle of a strip runs the other way round.
    strip[1::2] = strip[1::2][:, [1, 0, 2]]
    return strip
