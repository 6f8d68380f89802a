"""Reference predictors, methods whose true error is known, in several topologies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.spatial import cKDTree

from ...recon.mesh import Mesh
from ...recon.morphable.model import MorphableModel
from ..landmarks import face_parts
from ..meshes.clean import keep_vertices
from ..registration.nose_tip import NOSE_TIP
from ..surface.o3d import o3d
from ..surface.triangles import Float64Array, IndexArray, vertex_normals
from .people import INNER, AuditedPerson, true_errors

LADDER_MM = 0.05
"""Step between two rungs of the ladder."""
RUNGS = 6
KEPT_ON_FIRST_RUNG = 0.8
_LOCAL_REACH_MM = 18.0

Shape = Callable[[MorphableModel, AuditedPerson, Float64Array, np.random.Generator], Float64Array]
"""(model, person, shown area, random stream) → (V, 3) predicted vertices, mm."""
Handed = tuple[Mesh, IndexArray, NDArray[np.bool_]]
Topology = Callable[[MorphableModel, Mesh], Handed]
"""(model, mesh of its topology) → `mesh`, `origin` and `covered` of `Predicted`."""

_NOSE, _EYES, _MOUTH = tuple(range(27, 36)), tuple(range(36, 48)), tuple(range(48, 68))


@dataclass(frozen=True, eq=False)
class Predicted:
    """One prediction, as its maker sees it and as the ruler gets it.

    Attributes:
        vertices: (V, 3) mm on the model's topology: what the true error is taken of.
        mesh: what is measured: the same surface, perhaps with other triangles or with less of it.
        origin: (N,) of each vertex of `mesh` the model's vertex that it is, or lies nearest to.
        covered: (V,) bool, the model's vertices whose surface is still in `mesh`.
    """

    vertices: Float64Array
    mesh: Mesh
    origin: IndexArray
    covered: NDArray[np.bool_]


@dataclass(frozen=True)
class Predictor:
    """A method whose true error is known.

    Attributes:
        name: as tables call it.
        group: which question it answers: `identity`, `topology`, `local` or `ladder`.
        shape: what it predicts.
        topology: what it hands in.
    """

    name: str
    group: str
    shape: Shape
    topology: Topology

    def predict(
        self,
        model: MorphableModel,
        person: AuditedPerson,
        area: Float64Array,
        stream: np.random.Generator,
    ) -> Predicted:
        """A person's neutral face, with the model's landmarks where the topology keeps them."""
        vertices = self.shape(model, person, area, stream)
        landmarks = np.asarray(model.landmarks, np.int64)
        mesh = Mesh(vertices, np.asarray(model.triangles), landmarks)
        return Predicted(vertices, *self.topology(model, mesh))


def from_identity(
    kept: float,
    added: float,
    model: MorphableModel,
    person: AuditedPerson,
    area: Float64Array,
    stream: np.random.Generator,
) -> Float64Array:
    """A regressor's face: drawn to the mean by `kept` < 1, spoilt by noise on each coefficient."""
    wrong = stream.standard_normal(len(person.identity))
    mesh = model.mesh(identity=kept * person.identity + added * wrong)
    return np.asarray(mesh.vertices, np.float64)


def displace(
    field: Callable[[MorphableModel, AuditedPerson], Float64Array],
    model: MorphableModel,
    person: AuditedPerson,
    area: Float64Array,
    stream: np.random.Generator,
) -> Float64Array:
    """The truth with a known displacement (V, 3) of every vertex."""
    return person.vertices + field(model, person)


def rung(
    number: int,
    model: MorphableModel,
    person: AuditedPerson,
    area: Float64Array,
    stream: np.random.Generator,
) -> Float64Array:
    """A face whose true error is that of the first rung and `number` steps of 0.05 mm more.

    Everybody's error grows by the same, so that a protocol which is right sees the step in every
    person, and how many people it takes is how much it is off.
    """
    wrong = stream.standard_normal(len(person.identity))

    def face(strength: float) -> Float64Array:
        identity = KEPT_ON_FIRST_RUNG * person.identity + strength * wrong
        return np.asarray(model.mesh(identity=identity).vertices, np.float64)

    def error(strength: float) -> float:
        return area_mean(true_errors(face(strength), person, area, True), area)

    if number == 0:
        return face(0.0)
    # Noise may first make up for what is not kept; from the least error on, more of it is worse.
    low = min(np.linspace(0.0, 0.5, 11), key=error)
    wanted = error(0.0) + number * LADDER_MM
    high = low + 0.25
    while error(high) < wanted:
        high *= 2
    return face(float(brentq(lambda s: error(s) - wanted, low, high, xtol=1e-4)))


def area_mean(errors: Float64Array, area: Float64Array) -> float:
    """Mean over the area, of what is known."""
    known = np.isfinite(errors) & (area > 0)
    return float(np.average(errors[known], weights=area[known]))


def as_it_is(model: MorphableModel, mesh: Mesh) -> Handed:
    """The model's own triangles."""
    return mesh, np.arange(len(mesh.vertices)), np.ones(len(mesh.vertices), bool)


def without_inner_parts(model: MorphableModel, mesh: Mesh) -> Handed:
    """No eyeballs and no inside of the mouth."""
    kept = np.ones(len(mesh.vertices), bool)
    kept[model.vertices_of(*INNER)] = False
    return _part(mesh, kept)


def face_only(model: MorphableModel, mesh: Mesh) -> Handed:
    """The named parts of the face alone, as the meshes of many published methods."""
    kept = np.any(list(face_parts(model.region, model.region_names).values()), axis=0)
    kept[model.vertices_of(*INNER)] = False
    kept[model.landmarks] = True
    return _part(mesh, kept)


def cropped(radius_mm: float, model: MorphableModel, mesh: Mesh) -> Handed:
    """What lies within a radius of the nose tip."""
    vertices = np.asarray(mesh.vertices, np.float64)
    tip = vertices[model.landmarks[NOSE_TIP]]
    return _part(mesh, np.linalg.norm(vertices - tip, axis=1) <= radius_mm)


def decimated(share: float, model: MorphableModel, mesh: Mesh) -> Handed:
    """Quadric decimation to a share of the triangles: what a light mesh of the same face is."""
    # Copies: Open3D takes no array that cannot be written to, as those that Ray hands out.
    plain = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(np.array(mesh.vertices, np.float64)),
        o3d.utility.Vector3iVector(np.array(mesh.triangles, np.int32)),
    )
    light = plain.simplify_quadric_decimation(int(share * len(mesh.triangles)))
    vertices = np.asarray(light.vertices)
    _, origin = cKDTree(np.asarray(mesh.vertices)).query(vertices)
    everything = np.ones(len(mesh.vertices), bool)
    return Mesh(vertices, np.asarray(light.triangles)), np.asarray(origin), everything


def subdivide(model: MorphableModel, mesh: Mesh) -> Handed:
    """Every triangle cut into four at the middles of its edges: the same surface."""
    vertices, triangles = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.triangles)
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = (len(vertices) + inverse.reshape(-1, 3)).T
    a, b, c = triangles.T
    fine = np.concatenate(
        [np.stack(corners, 1) for corners in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
    )
    points = np.concatenate([vertices, vertices[unique].mean(1)])
    origin = np.r_[np.arange(len(vertices)), unique[:, 0]]
    return Mesh(points, fine, mesh.landmarks), origin, np.ones(len(vertices), bool)


def _part(mesh: Mesh, kept: NDArray[np.bool_]) -> Handed:
    """The triangles all of whose corners are kept; landmarks only if none is lost."""
    triangles = np.asarray(mesh.triangles)
    covered = np.zeros(len(kept), bool)
    covered[triangles[kept[triangles].all(1)]] = True
    return keep_vertices(mesh, covered), np.flatnonzero(covered), covered


def _fade(points: Float64Array, vertices: Float64Array, reach_mm: float) -> Float64Array:
    """(V, 1) from 1 at the points to 0 far away from them, as a Gaussian of that deviation."""
    distance, _ = cKDTree(points).query(vertices)
    return np.asarray(np.exp(-0.5 * (distance / reach_mm) ** 2)[:, None])


def _stretch(model: MorphableModel, person: AuditedPerson) -> Float64Array:
    """The head 5 % wider."""
    return np.asarray((person.vertices - person.landmarks[NOSE_TIP]) * [0.05, 0.0, 0.0])


def _slide(model: MorphableModel, person: AuditedPerson) -> Float64Array:
    """The skin slid upwards by 3 mm within itself: the surface stays, its points do not."""
    normals = vertex_normals(person.vertices, model.triangles.astype(np.int64))
    up = np.array([0.0, 3.0, 0.0])
    return np.asarray(up - normals * (normals @ up)[:, None])


def _bump(model: MorphableModel, person: AuditedPerson) -> Float64Array:
    """A bump of 3 mm on the left cheek, along its normal."""
    middle = person.landmarks[[13, 35, 46]].mean(0)
    cheek = model.vertices_of("left_cheek")
    # The middle of three landmarks lies inside the head: of all vertices one of the gums or of the
    # mouth is nearer than skin, and no scan shows a bump there.
    skin = cheek if len(cheek) else np.arange(len(person.vertices))
    nearest = skin[cKDTree(person.vertices[skin]).query(middle)[1]]
    normal = vertex_normals(person.vertices, model.triangles.astype(np.int64))[nearest]
    return np.asarray(3.0 * _fade(person.vertices[nearest][None], person.vertices, 12.0) * normal)


def _shift(
    part: Sequence[int], shift_mm: Sequence[float], model: MorphableModel, person: AuditedPerson
) -> Float64Array:
    """The skin about some landmarks (iBUG, from 0) shifted by (3,) mm."""
    fade = _fade(person.landmarks[list(part)], person.vertices, _LOCAL_REACH_MM)
    return fade * np.asarray(shift_mm, np.float64)


def _apart(model: MorphableModel, person: AuditedPerson) -> Float64Array:
    """The eyes 4 mm further apart."""
    # iBUG counts the subject's right eye first, which lies towards -x.
    right, left = (person.landmarks[list(eye)] for eye in (_EYES[:6], _EYES[6:]))
    aside = np.array([2.0, 0.0, 0.0])
    reach = 0.7 * _LOCAL_REACH_MM
    fades = [_fade(eye, person.vertices, reach) for eye in (left, right)]
    return np.asarray((fades[0] - fades[1]) * aside)


def _wider_jaw(model: MorphableModel, person: AuditedPerson) -> Float64Array:
    """Cheeks and jaw 3 mm wider on either side."""
    below = person.landmarks[28, 1] - person.vertices[:, 1]
    side = np.tanh((person.vertices[:, 0] - person.landmarks[NOSE_TIP, 0]) / 20)
    # Fading in over two centimetres below the eyes, so that no crease is drawn there.
    return np.asarray((3.0 * side / (1 + np.exp(-below / 5)))[:, None] * [1.0, 0.0, 0.0])


def _open_jaw(model: MorphableModel, person: AuditedPerson) -> Float64Array:
    """The jaw open by 0.3 of the model's blendshape or mode; nothing where it has none."""
    names = [name for name in ("jawOpen", "jaw_open") if name in model.expression_names]
    if not names:
        return np.zeros_like(person.vertices)
    mode = model.expression_basis[:, :, model.expression_names.index(names[0])]
    return 0.3 * np.asarray(mode, np.float64)


def _displacement(name: str, field: Callable[..., Float64Array], *given: object) -> Predictor:
    return Predictor(name, "local", partial(displace, partial(field, *given)), as_it_is)


def _identity(name: str, kept: float, added: float) -> Predictor:
    return Predictor(name, "identity", partial(from_identity, kept, added), as_it_is)


def _topology(name: str, topology: Topology) -> Predictor:
    return Predictor(f"half, {name}", "topology", partial(from_identity, 0.5, 0.0), topology)


PREDICTORS = (
    _identity("the model's best", 1.0, 0.0),
    _identity("three quarters", 0.75, 0.0),
    _identity("half", 0.5, 0.0),
    _identity("a little off", 1.0, 0.35),
    _identity("half and off", 0.5, 0.35),
    _identity("mean face", 0.0, 0.0),
    _identity("another person", 0.0, 1.0),
    _topology("no eyeballs", without_inner_parts),
    _topology("face only", face_only),
    _topology("cropped to 80 mm", partial(cropped, 80.0)),
    _topology("a tenth of the triangles", partial(decimated, 0.1)),
    _topology("four times the triangles", subdivide),
    _displacement("stretched by 5 %", _stretch),
    _displacement("skin slid 3 mm up", _slide),
    _displacement("bump of 3 mm on a cheek", _bump),
    _displacement("nose 3 mm up", _shift, _NOSE, (0.0, 3.0, 0.0)),
    _displacement("nose 3 mm forward", _shift, _NOSE, (0.0, 0.0, 3.0)),
    _displacement("nose 3 mm aside", _shift, _NOSE, (3.0, 0.0, 0.0)),
    _displacement("eyes 4 mm apart", _apart),
    _displacement("eyes 3 mm up", _shift, _EYES, (0.0, 3.0, 0.0)),
    _displacement("mouth 3 mm down", _shift, _MOUTH, (0.0, -3.0, 0.0)),
    _displacement("jaw open", _open_jaw),
    _displacement("cheeks and jaw wider", _wider_jaw),
    *(Predictor(f"rung {k}", "ladder", partial(rung, k), as_it_is) for k in range(RUNGS)),
)
"""By too little, by too much and by both; the same face in other triangles; the truth with a known
displacement; and a ladder of equal steps."""
