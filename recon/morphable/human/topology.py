"""The head cut out of MakeHuman's body: faces, parts, mirror images, landmarks.

All vertex numbers are those of the base mesh `hm08`, read off it; `Head` renumbers them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..landmarks import MIRRORED
from .source import BaseMesh

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SKIN, MOUTH_BAG, SOCKETS, EYEBALLS, TEETH, TONGUE = PARTS = (
    *("skin", "mouth_bag", "sockets", "eyeballs", "teeth", "tongue"),
)
"""Named parts of the model, by number in `Head.part`."""

_GROUPS = {
    "body": SKIN,
    "helper-l-eye": EYEBALLS,
    "helper-r-eye": EYEBALLS,
    "helper-upper-teeth": TEETH,
    "helper-lower-teeth": TEETH,
    "helper-tongue": TONGUE,
}
"""Groups of `base.obj` that are kept: lashes, hair, clothes and joints are helpers of others."""

_NOSE_TIP = 297
_NECK = 809
"""On the neck loop, in front: 38 mm below the chin, where every person still has a neck."""

_INNER_LIPS = 520
"""On the ring where the lips turn inwards: behind it lies the mouth's bag."""
_IN_THE_BAG = 622
_OUTER_LIPS, _BETWEEN_THE_LIPS = 455, 474
"""On the lips' outer edge, and between both edges."""
_NOSTRIL = range(7145, 7159)
"""The last rings of the left nostril, from its rim inwards."""
_LID_RING = 6838
"""On the edge of the subject's left lids: behind it lies the eye's socket."""
_IN_THE_SOCKET = 7769

Place = tuple[int, ...]
"""A vertex, or the two ends of an edge for its middle, which subdivision makes a vertex."""

_MIDLINE: dict[int, Place] = {
    27: (132,),
    28: (131,),
    29: (201, 291),
    30: (297,),
    33: (343, 5072),
    8: (732,),
    51: (455, 466),
    57: (492, 496),
    62: (474,),
    66: (493,),
}
"""iBUG landmarks, counted from 0, on the plane of symmetry.

Here and on the side they lie where photographs have them: the model was fitted to reference
landmarks of frontal faces, and a point off on average was moved to the nearest vertex or edge.
"""

_LEFT: dict[int, Place] = {
    # Along the edge of the jaw, from the chin to the temple, in about equal steps.
    9: (7616, 7620),
    10: (7619, 11901),
    11: (7617,),
    12: (11849,),
    13: (11851,),
    14: (11854,),
    15: (11845,),
    16: (11848,),
    # On the brow's ridge; its inner ends 23 mm apart, as annotators set them.
    22: (7001, 6983),
    23: (6997,),
    24: (6996, 6998),
    25: (7005,),
    26: (7030, 7031),
    34: (7077, 7120),
    35: (7055,),
    # Corners on the lids' edge just within the canthi, lids at thirds between them.
    42: (6847, 6886),
    43: (6838,),
    44: (6784, 6790),
    45: (6799,),
    46: (6820, 6825),
    47: (6831,),
    # About the loops of 38 vertices that are the lips' outer and inner edge.
    52: (7215, 7216),
    53: (7170, 7207),
    54: (7139, 10406),
    55: (7130, 7166),
    56: (7241, 7245),
    63: (7227, 7261),
    64: (7249, 7250),
    65: (7237, 7243),
}
"""iBUG landmarks of the subject's left; those of the right are their mirror images."""


class Head:
    """The head's mesh of quads, in the base mesh's shape, cut at the neck.

    Skin, inside of the mouth, sockets, eyeballs, teeth and tongue are kept.

    Attributes:
        kept: (V,) vertex of the base mesh of every vertex.
        quads, uv_quads: (Q, 4) vertices of the head, and texture coordinates of the base mesh.
        part: (V,) index into `PARTS`.
        mirror: (V,) the vertex at the mirror image of every vertex.
        lips, lid_rings, nostrils: (V,) bool, which vertices belong to them.
        landmarks: (68, 2) the ends of the edge on whose middle each iBUG landmark lies; both are
            the same vertex where it is one.
    """

    def __init__(self, base: BaseMesh) -> None:
        part = np.full(len(base.vertices), -1)
        wanted = np.zeros(len(base.quads), bool)
        for group, name in _GROUPS.items():
            faces = base.group == group
            wanted |= faces
            part[base.quads[faces]] = PARTS.index(name)
        body = base.quads[base.group == "body"]
        graph = _neighbours(body)
        neck = _edge_loop(body, graph, _NECK)
        inside = _flood(graph, _NOSE_TIP, neck) | set(neck)
        for vertex in np.unique(body):
            if vertex not in inside:
                part[vertex] = -1
        inner = _edge_loop(body, graph, _INNER_LIPS)
        part[list(_flood(graph, _IN_THE_BAG, inner))] = PARTS.index(MOUTH_BAG)
        lips = _flood(graph, _BETWEEN_THE_LIPS, [*inner, *_edge_loop(body, graph, _OUTER_LIPS)])
        mirror = _mirror(base.vertices, np.flatnonzero(part >= 0))
        ring = _edge_loop(body, graph, _LID_RING)
        socket = _flood(graph, _IN_THE_SOCKET, ring)
        part[[*socket, *(int(mirror[v]) for v in socket)]] = PARTS.index(SOCKETS)
        quads = wanted & (part[base.quads] >= 0).all(axis=1)
        self.kept = kept = np.unique(base.quads[quads])
        number = np.full(len(base.vertices), -1)
        number[kept] = np.arange(len(kept))
        self.quads = number[base.quads[quads]]
        self.uv_quads = base.uv_quads[quads]
        self.part = part[kept]
        self.mirror = number[mirror[kept]]
        self.landmarks = number[_landmarks(mirror)]
        self.lips = np.isin(kept, [*lips, *inner])
        self.lid_rings = np.isin(kept, [*ring, *mirror[ring]])
        self.nostrils = np.isin(kept, [*_NOSTRIL, *mirror[list(_NOSTRIL)]])

    def vertices_of(self, part: str) -> Ints:
        """Vertices of a named part."""
        return np.flatnonzero(self.part == PARTS.index(part))


def _landmarks(mirror: Ints) -> Ints:
    landmarks = np.full((68, 2), -1)
    for number, place in (_MIDLINE | _LEFT).items():
        landmarks[number] = place
    for number, place in _LEFT.items():
        landmarks[MIRRORED[number]] = mirror[list(place)]
    return landmarks


def _neighbours(quads: Ints) -> dict[int, set[int]]:
    graph: dict[int, set[int]] = {}
    for quad in quads.tolist():
        for start, end in zip(quad, quad[1:] + quad[:1], strict=True):
            graph.setdefault(start, set()).add(end)
            graph.setdefault(end, set()).add(start)
    return graph


def _edge_loop(quads: Ints, graph: dict[int, set[int]], start: int) -> list[int]:
    """Shortest closed loop of edges through a vertex that leaves every vertex straight on."""
    around: dict[frozenset[int], set[int]] = {}
    for quad in quads.tolist():
        for one, two in zip(quad, quad[1:] + quad[:1], strict=True):
            around.setdefault(frozenset((one, two)), set()).update(quad)
    loops = [_walk(graph, around, start, first) for first in sorted(graph[start])]
    closed = [loop for loop in loops if loop]
    return min(closed, key=len)


def _walk(
    graph: dict[int, set[int]], around: dict[frozenset[int], set[int]], start: int, first: int
) -> list[int]:
    loop = [start, first]
    # No loop of a head has more vertices; one that spirals would never come back.
    while len(loop) < 200:
        before, here = loop[-2:]
        # Straight on, where four edges meet, is the edge that shares no face with the last one.
        ahead = graph[here] - around[frozenset((before, here))]
        if len(graph[here]) != 4 or len(ahead) != 1:
            return []
        (following,) = ahead
        if following == start:
            return loop
        loop.append(following)
    return []


def _flood(graph: dict[int, set[int]], start: int, border: Iterable[int]) -> set[int]:
    """Vertices that are reached without crossing the border; the border is not among them."""
    reached, waiting, closed = {start}, [start], set(border)
    while waiting:
        for vertex in graph[waiting.pop()] - reached - closed:
            reached.add(vertex)
            waiting.append(vertex)
    return reached


def _mirror(vertices: Array, used: Ints) -> Ints:
    """Vertex at the mirror image of each used vertex; the base mesh is symmetric to the digit."""
    from scipy.spatial import cKDTree

    away, partner = cKDTree(vertices[used]).query(vertices[used] * [-1.0, 1.0, 1.0])
    assert float(np.max(away, initial=0.0)) < 1e-6
    mirror = np.arange(len(vertices))
    mirror[used] = used[partner]
    return mirror
