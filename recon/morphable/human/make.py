"""The human face model: people and face units as principal modes and blend shapes.

Bases are kept on MakeHuman's own mesh, which has half the vertices, beside the matrix that
subdivides them (`files.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ..landmarks import REGION_NAMES, derive_regions
from ..procedural import embedded_model
from .people import Population
from .skin import skin_model
from .source import LICENCE, BaseMesh, HumanSource, unit_offsets
from .subdivision import cut_quads, refine, refine_flat
from .topology import EYEBALLS, MOUTH_BAG, PARTS, SKIN, SOCKETS, TEETH, TONGUE, Head

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]

MM_PER_DECIMETRE = 108.7
"""Base, targets and face units are in decimetres of a figure that is smaller than people: by 100
outer eye corners are 83 mm apart, by this 90 mm, as in ICT-FaceKit's scans."""

N_PEOPLE, N_MODES = 3000, 60
"""60 modes hold 98.8 % of the faces' variance (40: 97, 20: 91)."""

_FACE_FRONT = (0.75, 6.1)
"""Decimetres of the base mesh: depth from which, and height above which, skin is the face. People
are aligned by it, and it counts fully in the modes; the rest of the head counts for a part."""

_REST_WEIGHT = 0.3
"""Root of the weight of what is not the face: nobody sees the back of a head in a photograph."""

_FINE_FRONT = (0.97, 6.12, 7.95)
"""Decimetres of the base mesh: depth from which, and heights between which, skin is subdivided:
from the ears forward, from under the chin to the hair."""

_UPPER_TEETH_MM, _LOWER_TEETH_MM = (0.0, -2.5, 6.0), (0.0, 0.0, 5.0)
"""How far the teeth of the base mesh are brought to the lips: theirs lie 12 mm behind the lips'
front, the upper ones above the closed mouth, so that smiles were dark."""

_IRIS_FRONT = 0.07
"""Decimetres before an eyeball's centre where it is subdivided again: an iris is 12 mm wide."""


def make_human(source: HumanSource, seed: int = 0, people: int = N_PEOPLE) -> Arrays:
    """Arrays of the model, ready for `numpy.savez` (see `files.py`).

    Args:
        source: MakeHuman's data.
        seed: of the people that are drawn.
        people: how many.

    Raises:
        FacebenchError: a file of the source is missing or damaged.
    """
    base = source.base_mesh()
    head = Head(base)
    vertices = base.vertices[head.kept]
    people_mean, modes, explained = identity_modes(
        Population(source, head.kept), vertices, head, seed, people
    )
    units, names = unit_offsets(source, head.kept)
    surface = FineHead(head, base)
    landmarks = _landmark_vertices(head, surface)
    turn, shift = _frame(surface.matrix @ people_mean, landmarks)
    mean = people_mean @ turn.T + shift
    fine = surface.matrix @ mean
    part = parts_of(surface.matrix, head)
    region = _regions(fine, landmarks, part)
    shares = _shares(surface.matrix, head, part)
    skin = skin_model(fine, surface.triangles, landmarks, shares, seed)
    return {
        "mean_shape": with_teeth_at_lips(mean, head.part, units[..., names.index("jawOpen")]),
        "identity_basis": _half(np.einsum("ij,vjk->vik", turn, modes)),
        "expression_basis": _half(np.einsum("ij,vjk->vik", turn, units * MM_PER_DECIMETRE)),
        "subdivision_weights": surface.matrix.data.astype(np.float32),
        "subdivision_vertices": surface.matrix.indices.astype(np.uint16),
        "subdivision_rows": surface.matrix.indptr.astype(np.int32),
        "triangles": surface.triangles.astype(np.uint16),
        "landmarks": landmarks.astype(np.int32),
        "region": region,
        "region_names": np.array(REGION_NAMES),
        "part": part.astype(np.uint8),
        "part_names": np.array(PARTS),
        "texture_coordinates": surface.uv.astype(np.float32),
        "texture_triangles": surface.uv_triangles.astype(np.uint16),
        "identity_names": np.array([f"identity_{i:02d}" for i in range(N_MODES)]),
        "expression_names": np.array(names),
        "explained": explained.astype(np.float32),
        **skin,
        "name": np.array("human"),
        "licence": np.array(LICENCE),
        "source_digest": np.array(source.digest()),
    }


def identity_modes(
    population: Population, vertices: Array, head: Head, seed: int, people: int
) -> tuple[Array, Array, Array]:
    """Principal modes of so many people, drawn by a seed, on base vertices (V, 3) in decimetres.

    Returns:
        Their mean (V, 3) in mm, symmetric; modes (V, 3, K) in mm a standard deviation, each
        symmetric or antisymmetric; and the share (K,) of the face's variance that the first hold.
    """
    random = np.random.default_rng(seed)
    weights = np.stack([population.person(random) for _ in range(people)])
    flat = population.offsets.reshape(len(population.offsets), -1)
    # One product for all people; each is 14,000 coordinates.
    shapes = (weights @ flat).reshape(people, -1, 3) + vertices
    shapes *= MM_PER_DECIMETRE
    face = (head.part == PARTS.index(SKIN)) & (vertices[:, 2] > _FACE_FRONT[0])
    face &= vertices[:, 1] > _FACE_FRONT[1]
    _align(shapes, face)
    flipped = np.array([-1.0, 1.0, 1.0])
    mean = shapes.mean(axis=0)
    mean = (mean + mean[head.mirror] * flipped) / 2
    shapes -= mean
    weight = np.where(face, 1.0, _REST_WEIGHT)
    # A person and its mirror image are equally likely. The covariance of both has symmetric and
    # antisymmetric modes only, and finds them exactly where it is taken apart into the two.
    mirrored = shapes[:, head.mirror] * flipped
    even, odd = (
        _principal(half, weight) for half in ((shapes + mirrored) / 2, (shapes - mirrored) / 2)
    )
    variances, modes = np.concatenate([even[0], odd[0]]), np.concatenate([even[1], odd[1]])
    order = np.argsort(-variances, kind="stable")[:N_MODES]
    explained = np.cumsum(variances[order]) / (even[2] + odd[2])
    return mean, np.moveaxis(modes[order], 0, 2), explained


def with_teeth_at_lips(
    mean: NDArray[np.floating], part: Ints, jaw: NDArray[np.floating]
) -> NDArray[np.float32]:
    """The mean (V, 3) mm, facing +z, with its teeth where an open mouth shows them.

    Args:
        mean: with the teeth of the base mesh.
        part: (V,) index into `PARTS`.
        jaw: (V, 3) of the unit that opens it: it takes the lower teeth along.
    """
    teeth = part == PARTS.index(TEETH)
    lower = teeth & jaw.any(axis=1)
    moved = mean.astype(np.float32)
    moved[lower] += np.array(_LOWER_TEETH_MM, np.float32)
    moved[teeth & ~lower] += np.array(_UPPER_TEETH_MM, np.float32)
    return moved


def _align(shapes: Array, face: NDArray[np.bool_]) -> None:
    """Turn and move people (N, V, 3) in place onto their mean face, without a scale: sizes stay.

    Macro targets lift the head by up to ten decimetres, so this comes after the sum.
    """
    reference = shapes[0]
    # The second round's mean no longer depends on whom the first one began with.
    for _ in range(3):
        for shape in shapes:
            centre = shape[face].mean(axis=0)
            left, _, right = np.linalg.svd(
                (shape[face] - centre).T @ (reference[face] - reference[face].mean(axis=0))
            )
            left[:, 2] *= np.sign(np.linalg.det(left @ right))
            shape -= centre
            shape[:] = shape @ (left @ right)
        reference = shapes.mean(axis=0)


def _principal(shapes: Array, weight: Array) -> tuple[Array, Array, float]:
    """Variances (K,) and modes (K, V, 3) of centred people (N, V, 3), and the total variance.

    Modes are what a person's scores explain of the unweighted shapes, so their coefficients are
    uncorrelated and of deviation 1 whatever the vertices' weights (V,).
    """
    n = len(shapes)
    seen = (shapes * weight[:, None]).reshape(n, -1)
    # Fewer people than coordinates: their Gram matrix has the same values and is smaller.
    values, vectors = np.linalg.eigh(seen @ seen.T / n)
    first = slice(None, -N_MODES - 1, -1)
    scores = vectors[:, first] * np.sqrt(n)
    modes = np.tensordot(scores, shapes, axes=(0, 0)) / n
    # Eigenvectors have no sign of their own: the farthest coordinate moves up.
    flat = modes.reshape(N_MODES, -1)
    farthest = np.abs(flat).argmax(axis=1)
    modes *= np.sign(flat[range(N_MODES), farthest])[:, None, None]
    return values[first], modes, float(values.sum())


class FineHead:
    """The head: face, eyeballs and teeth subdivided once, the front of the eyeballs twice.

    Args:
        head: the coarse mesh.
        base: what it was cut from; its shape decides, so that no draw of people changes the mesh.

    Attributes:
        matrix: (W, V) its vertices as means of MakeHuman's.
        triangles: (F, 3).
        uv, uv_triangles: (T, 2) texture coordinates, and (F, 3) those of every triangle.
        edge_vertex: number of the vertex on each edge of the first step.
    """

    def __init__(self, head: Head, base: BaseMesh) -> None:
        depth, low, high = _FINE_FRONT
        vertices = base.vertices[head.kept]
        centre, part = vertices[head.quads].mean(axis=1), head.part[head.quads]
        face = (part == PARTS.index(SKIN)).any(axis=1) & (centre[:, 2] > depth)
        face &= (centre[:, 1] > low) & (centre[:, 1] < high)
        wanted = face | np.isin(part, [PARTS.index(EYEBALLS), PARTS.index(TEETH)]).all(axis=1)
        first, quads, triangles, edge_vertex = refine(head.quads, len(head.kept), wanted)
        no_triangles = np.zeros((0, 3), np.int64)
        flat = refine_flat(base.uv, head.uv_quads, no_triangles, head.quads, wanted)
        eyes = parts_of(first, head)[quads] == PARTS.index(EYEBALLS)
        fine = (first @ vertices)[quads].mean(axis=1)
        # Both eyeballs are centred at one depth.
        middle = vertices[head.vertices_of(EYEBALLS), 2].mean()
        wanted = eyes.all(axis=1) & (fine[:, 2] > middle + _IRIS_FRONT)
        flat = refine_flat(*flat, quads, wanted)
        second, quads, triangles, _ = refine(quads, first.shape[0], wanted, triangles)
        self.edge_vertex = edge_vertex
        self.matrix = (second @ first).tocsr()
        # A fixed order of the terms: sums are then the same to the last bit whoever multiplies.
        self.matrix.sort_indices()
        along = _shorter_diagonal(self.matrix @ vertices, quads)
        self.triangles = np.concatenate([cut_quads(quads, along), triangles])
        self.uv = flat[0]
        self.uv_triangles = np.concatenate([cut_quads(flat[1], along), flat[2]])


def _shorter_diagonal(vertices: Array, quads: Ints) -> NDArray[np.bool_]:
    """Whether the first corner is nearer to the third than the second to the fourth (Q,)."""
    a, b, c, d = (vertices[quads[:, i]] for i in range(4))
    # Folds less. A margin: mirror images must be cut alike though their last bits differ.
    shorter: NDArray[np.bool_] = (
        np.linalg.norm(a - c, axis=1) <= np.linalg.norm(b - d, axis=1) + 1e-6
    )
    return shorter


def parts_of(matrix: csr_matrix, head: Head) -> Ints:
    """Part (W,) of fine vertices: that which weighs most, the outer one where two weigh alike."""
    shares = matrix @ np.eye(len(PARTS))[head.part]
    # Rounded: means of quarters and thirds that are equal must tie whatever their last bit.
    part: Ints = np.round(shares, 6).argmax(axis=1).astype(np.int64)
    return part


def _shares(matrix: csr_matrix, head: Head, part: Ints) -> dict[str, Array]:
    """What the skin model calls `parts`: whole for parts, soft at the edges of lips and lids."""
    whole = {name: (part == number).astype(np.float64) for number, name in enumerate(PARTS)}
    masks = {"lips": head.lips, "lid_rings": head.lid_rings, "nostrils": head.nostrils}
    return whole | {name: matrix @ mask.astype(np.float64) for name, mask in masks.items()}


def _landmark_vertices(head: Head, surface: FineHead) -> Ints:
    pairs = np.sort(head.landmarks, axis=1).tolist()
    return np.array([a if a == b else surface.edge_vertex[a, b] for a, b in pairs], np.int64)


def _frame(fine: Array, landmarks: Ints) -> tuple[Array, Array]:
    """Rotation (3, 3) about x and shift (3,) onto the procedural face's landmarks.

    What "facing +z" means is thereby the same in both models: hair, light and crops that suit one
    suit the other. Both are symmetric, so nothing but pitch is left to turn.
    """
    model = embedded_model()
    there = model.mean_shape[model.landmarks].astype(np.float64)
    here = fine[landmarks]
    middle, goal = here.mean(axis=0), there.mean(axis=0)
    # Angle of the best rotation of the side view, in closed form.
    (y, z), (to_y, to_z) = (here - middle)[:, 1:].T, (there - goal)[:, 1:].T
    pitch = np.arctan2((y * to_z - z * to_y).sum(), (y * to_y + z * to_z).sum())
    cos, sin = np.cos(pitch), np.sin(pitch)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    shift = goal - turn @ middle
    shift[0] = 0.0
    return turn, shift


def _regions(fine: Array, landmarks: Ints, part: Ints) -> NDArray[np.uint8]:
    members = {
        "eyeballs": (EYEBALLS,),
        "eye_sockets": (SOCKETS,),
        # All that an open mouth shows; the ruler counts none of it.
        "mouth_socket": (MOUTH_BAG, TEETH, TONGUE),
    }
    known: dict[str, NDArray[np.integer]] = {
        name: np.flatnonzero(np.isin(part, [PARTS.index(p) for p in parts]))
        for name, parts in members.items()
    }
    return derive_regions(fine, fine[landmarks], known)


def _half(basis: Array) -> NDArray[np.float16]:
    """Bases cost 0.002 mm in half precision; a mean would cost 0.06."""
    return np.round(basis, 4).astype(np.float16)
