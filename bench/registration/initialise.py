"""Initialisation of the registration: from landmarks of both meshes or a global pose search."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ...recon.morphable import EMBEDDED
from ...recon.morphable.load import load_model
from ..landmarks import Landmarks, landmark_pairs
from ..meshes.clean import keep_vertices
from ..protocol.record import AlignmentSettings, Points
from ..surface.region import OverlapRegion, Sphere
from ..surface.similarity import Similarity, root_mean_square, similarity_between
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, lengths, refine
from ..surface.visibility import outside_of
from .dense import agreement, align_coarsely
from .global_search import pose_hypotheses, register
from .nose_tip import own_nose_tip

# Of the distance between the outer eye corners: landmarks whose median is further from the
# surface of their mesh are not of this mesh.
LANDMARKS_OFF = 0.1
SMALLEST_SCALE = 2 / 3  # Of a prediction in millimetres: grown-ups' faces differ by a tenth.
FACE_MM = 95.0  # Of the nose tip: a face, and little else.
# Root mean square between the landmarks of two faces, at the size of the scan, that is no
# difference between persons, which is 1 to 5, nor a poor prediction.
PAIR_MM = 15.0
# Parts of one file that are faces side by side: each side of the box within a quarter of the
# other's, the middles further apart than this share of the longest.
LIKE_SIZE, BESIDE = 0.75, 0.6


@dataclass(frozen=True, eq=False)
class PreparedMesh:
    """A mesh of a pair, prepared.

    Attributes:
        mesh: checked.
        landmarks: in the mesh's space, or None.
        points: how its vertices stand for its surface.
        inner_share: of the area near the face, what is not seen from outside and was left out;
            NaN where nobody looked.
    """

    mesh: Mesh
    landmarks: Landmarks | None
    points: Points = field(default_factory=Points)
    inner_share: float = float("nan")

    @classmethod
    def of(
        cls, mesh: Mesh, landmarks: Landmarks | None, name: str, points: Points | None = None
    ) -> PreparedMesh:
        """Prepare a mesh; landmarks default to its own.

        A mesh that has no indices of its 68 landmarks gets those of the vertices next to given
        ones, so that its nose tip is known.

        Raises:
            FacebenchError: when given landmarks are in a wrong order or not on the mesh.
        """
        prepared = cls(mesh, landmarks or Landmarks.of_mesh(mesh), points or Points())
        if landmarks is None:
            return prepared
        _check_on_surface(landmarks.in_order(), prepared, name)
        if mesh.landmarks is not None:
            return prepared
        return replace(prepared, mesh=replace(mesh, landmarks=landmarks.nearest_vertices(mesh)))

    @cached_property
    def surface(self) -> Surface:
        """The mesh's surface, its vertices weighted as the settings say."""
        surface = Surface(self.mesh, self.points.longest_edge_mm)
        if self.points.weights == "count":
            surface.areas = np.ones(len(surface.vertices))
        return surface

    @property
    def axes(self) -> Float64Array | None:
        """Across, up and to the front of the face by its landmarks, (3, 3); None without."""
        if self.landmarks is None:
            return None
        return rotation_of_landmarks(self.landmarks.seven)

    def outside(self, axes: Float64Array, reach_mm: float) -> PreparedMesh:
        """The part that is seen from outside, of what lies within reach of the nose tip.

        Raises:
            FacebenchError: see `outside_of`.
        """
        tip, near = own_nose_tip(self.mesh), None
        vertices = np.asarray(self.mesh.vertices, np.float64)
        triangles = np.asarray(self.mesh.triangles, np.int64)
        # Before the rays: else how far the cut reaches into a fold would depend on the triangles.
        finer, corners = refine(vertices, triangles, self.points.longest_edge_mm)
        whole = self.mesh
        if len(finer) > len(vertices):
            whole = replace(self.mesh, vertices=finer, triangles=corners, colours=None)
        if tip is not None:
            near = lengths(finer - tip) <= reach_mm
        mesh, share = outside_of(whole, axes, near)
        outside = replace(self, mesh=mesh, inner_share=share)
        if mesh is self.mesh and "surface" in self.__dict__:
            outside.__dict__["surface"] = self.surface  # The same: do not build it twice.
        return outside

    def transform(self, transform: Similarity) -> PreparedMesh:
        """The mesh after a similarity, without its landmarks."""
        vertices = transform.apply(np.asarray(self.mesh.vertices, np.float64))
        return replace(self, mesh=replace(self.mesh, vertices=vertices), landmarks=None)

    def within(self, sphere: Sphere) -> PreparedMesh:
        """The part whose triangles lie in a sphere; the whole where none does."""
        inside = sphere.holds(np.asarray(self.mesh.vertices, np.float64))
        part = self.mesh if inside.all() else keep_vertices(self.mesh, inside)
        if part is self.mesh or not len(part.triangles):
            return self
        return replace(self, mesh=part)


@dataclass(frozen=True, eq=False)
class Initialisation:
    """Where the dense alignment begins.

    Attributes:
        transform: from the prediction's space to the scan's.
        source: what it was found by.
        pairs: (L, 3) landmarks of the prediction and of the scan, or None.
    """

    transform: Similarity
    source: Literal["landmarks", "search", "given"]
    pairs: tuple[Float64Array, Float64Array] | None = None

    @property
    def landmark_scale(self) -> float:
        """The factor from the prediction to the scan by the landmarks alone; NaN without."""
        return float("nan") if self.pairs is None else similarity_between(*self.pairs).scale

    def residual_mm(self, transform: Similarity) -> float:
        """Root mean square between the landmarks under a transform; NaN without landmarks."""
        if self.pairs is None:
            return float("nan")
        own, theirs = self.pairs
        return root_mean_square(transform.apply(own), theirs)


def initialise(
    prediction: PreparedMesh,
    scan: PreparedMesh,
    settings: AlignmentSettings,
    intersection: OverlapRegion,
) -> Initialisation:
    """Where the dense alignment begins.

    `seven_landmarks`: the closed-form similarity of NoW's seven points, and nothing else.
    `landmarks_or_search`: that of all landmarks but the contour's where both sides have them, else
    a search from any pose; then a few dense steps on few points.

    Raises:
        FacebenchError: when landmarks are missing, or those of the two sides do not belong
            together.
    """
    if settings.start == "as_given":
        return Initialisation(Similarity.identity(), "given")
    if settings.start == "seven_landmarks":
        own, theirs = seven_of(prediction, "prediction"), seven_of(scan, "scan")
        return _by_landmarks((own, theirs), settings)
    if prediction.landmarks is None or scan.landmarks is None:
        # Landmarks tell which is meant; a search would take the one that fits by chance.
        _refuse_several(prediction.surface, "prediction")
        _refuse_several(scan.surface, "scan")
        tip = own_nose_tip(prediction.mesh)
        found = pose_hypotheses(prediction.surface, scan.surface, tip)
        starts = [Initialisation(transform, "search") for transform in found]
    else:
        pairs = landmark_pairs(prediction.landmarks, scan.landmarks)
        starts = [_by_landmarks(pairs, settings)]
    return _best_after_coarse_alignment(starts, prediction, scan, settings, intersection)


def _best_after_coarse_alignment(
    starts: list[Initialisation],
    prediction: PreparedMesh,
    scan: PreparedMesh,
    settings: AlignmentSettings,
    intersection: OverlapRegion,
) -> Initialisation:
    """The initialisation whose surfaces overlap most after a few dense steps, with these taken.

    A face is registered at the size that fits, also where a protocol leaves it its own.
    """
    surfaces = prediction.surface, scan.surface
    aligned: list[tuple[Initialisation, Sphere | None, Similarity]] = []
    apart: list[FacebenchError] = []
    for start in starts:
        around = _face_around(prediction, start)
        try:
            sized = _align_at_fitting_size(*surfaces, start, intersection, settings, around)
        except FacebenchError as error:
            # A wrong pose of several slid off the scan: the others are still to be judged.
            apart.append(error)
        else:
            aligned.append((start, around, sized))
    if not aligned:
        raise apart[0]
    # Judged after the coarse alignment, at the size that fits: before it a wrong size decides.
    shares = [0.0]
    if len(aligned) > 1:
        shares = [agreement(*surfaces, sized, intersection, around) for _, around, sized in aligned]
    start, around, sized = aligned[int(np.argmax(shares))]
    if settings.scale != "none":
        return replace(start, transform=sized)
    rigid = _without_scale(sized, prediction.surface)
    return replace(
        start, transform=align_coarsely(*surfaces, rigid, intersection, settings, around)
    )


def _align_at_fitting_size(
    prediction: Surface,
    scan: Surface,
    start: Initialisation,
    intersection: OverlapRegion,
    settings: AlignmentSettings,
    around: Sphere | None,
) -> Similarity:
    """A few dense steps at the size that fits, or at the prediction's own where none does.

    Raises:
        FacebenchError: when the surfaces do not overlap.
    """
    free, rigid = replace(settings, scale="per_mesh"), replace(settings, scale="none")
    found: Similarity | None = None
    try:
        found = align_coarsely(prediction, scan, start.transform, intersection, free, around)
    except FacebenchError:
        if start.source != "search":
            raise
    # A search is in millimetres. Beside a whole head a face that is cut small shrinks into it,
    # until too little of it is left to be matched.
    if found is None or (start.source == "search" and not is_face_scale(found.scale)):
        return align_coarsely(prediction, scan, start.transform, intersection, rigid, around)
    return found


def is_face_scale(scale: float) -> bool:
    """Whether a face in millimetres may be measured at so many times its size."""
    return SMALLEST_SCALE <= scale <= 1 / SMALLEST_SCALE


def _face_around(prediction: PreparedMesh, start: Initialisation) -> Sphere | None:
    """Where on the scan the face is, so that hair and shoulders take no part."""
    tip = own_nose_tip(prediction.mesh)
    return None if tip is None else Sphere(start.transform.apply(tip[None])[0], FACE_MM)


def _without_scale(transform: Similarity, prediction: Surface) -> Similarity:
    """A transform without its scale, about the middle of the prediction.

    A face of another size slides along the scan to where more of it is near; registered at a size
    that fits, it is in the right place when its own is given back.
    """
    middle = np.average(prediction.vertices, axis=0, weights=prediction.areas)
    place = transform.apply(middle[None])[0]
    return Similarity(1.0, transform.rotation, place - transform.rotation @ middle)


def seven_of(side: PreparedMesh, name: str) -> Float64Array:
    """NoW's seven points (7, 3) of a side.

    Raises:
        FacebenchError: when it has no landmarks.
    """
    if side.landmarks is None:
        raise FacebenchError(
            f"this protocol needs the seven landmarks of the {name}, which has none",
            f"give --{name}-landmarks, a text file of 68 or 7 lines 'x y z', or take another "
            "protocol, for example micc",
        )
    return side.landmarks.seven


def _by_landmarks(
    pairs: tuple[Float64Array, Float64Array], settings: AlignmentSettings
) -> Initialisation:
    own, theirs = pairs
    free = similarity_between(own, theirs)
    # With a free size, whatever the protocol: a wrong unit is another message than a wrong order.
    apart = root_mean_square(free.apply(own), theirs)
    if apart > PAIR_MM:
        raise FacebenchError(
            f"the landmarks of prediction and scan do not fit each other ({apart:.1f} mm apart)",
            "both must be in iBUG's order of 68, or both in NoW's of 7, and belong to their mesh",
        )
    rigid = settings.scale == "none"
    transform = similarity_between(own, theirs, 1.0) if rigid else free
    return Initialisation(transform, "landmarks", pairs)


def _check_on_surface(landmarks: Landmarks, prepared: PreparedMesh, name: str) -> None:
    """Refuse landmarks of another mesh, pose or unit."""
    limit = LANDMARKS_OFF * landmarks.eye_distance
    vertices = np.asarray(prepared.mesh.vertices, np.float64)
    # No further from the surface than from its vertices, which need no preparation.
    if np.median([lengths(vertices - point).min() for point in landmarks.seven]) <= limit:
        return
    apart = float(np.median(prepared.surface.closest(landmarks.seven).distance))
    if apart <= limit:
        return
    size = float(np.ptp(prepared.surface.vertices, axis=0).max())
    raise FacebenchError(
        f"the landmarks are not on the {name}: {apart:.4g} from its surface, their eyes "
        f"{landmarks.eye_distance:.4g} apart and the mesh {size:.4g} long",
        "they are of another mesh, another pose or another unit",
    )


def _refuse_several(surface: Surface, name: str) -> None:
    """Refuse a file with a second face beside the first: a part as large, a face's height away."""
    corners = surface.triangles
    links = coo_array(
        (np.ones(2 * len(corners)), (corners[:, [0, 1]].T.ravel(), corners[:, [1, 2]].T.ravel())),
        shape=(len(surface.vertices),) * 2,
    )
    part = connected_components(links, directed=False)[1]
    inside = np.bincount(part, surface.areas)
    # Parts of another size are eyes, teeth, hair or a body.
    large = np.flatnonzero(inside > LIKE_SIZE * inside.max())
    if len(large) < 2:
        return
    boxes = [surface.local[part == one] for one in large]
    extents = np.sort([np.ptp(points, axis=0) for points in boxes], axis=1)
    centres = np.array([(points.min(0) + points.max(0)) / 2 for points in boxes])
    first = inside[large].argmax()
    alike = (np.abs(extents - extents[first]) < (1 - LIKE_SIZE) * extents[first]).all(1)
    # Nearer than that lie the halves of one face, and the inner wall behind the outer.
    beside = lengths(centres - centres[first]) > BESIDE * extents[first].max()
    if (alike & beside).any():
        raise FacebenchError(
            f"the {name} holds {1 + (alike & beside).sum()} faces side by side",
            "keep one of them, or give landmarks of both sides: they tell which is meant",
        )


def rotation_of_landmarks(seven: Float64Array) -> Float64Array:
    """Rotation (3, 3) to the frontal pose, x to the subject's left, y up, z to the front.

    Args:
        seven: (7, 3) in NoW's order, in any pose and unit.
    """
    # Of the subject: its right side is at negative x, as the viewer sees it.
    right, left, mouth = seven[:2].mean(0), seven[2:4].mean(0), seven[5:].mean(0)
    across = (left - right) / np.linalg.norm(left - right)
    upwards = (left + right) / 2 - mouth
    # The eyes' line is kept, the mouth only says where down is: the eyes are wider apart.
    up = upwards - (upwards @ across) * across
    up /= np.linalg.norm(up)
    return np.stack([across, up, np.cross(across, up)])


def rotation_of_surface(mesh: Mesh) -> Float64Array:
    """Head axes of a face in mm without landmarks: the embedded model's mean is registered to it.

    Raises:
        FacebenchError: when the surface has too few points to tell a pose.
    """
    known = load_model(EMBEDDED).mesh()
    registered = register(Surface(known), Surface(mesh), own_nose_tip(known))
    return np.asarray(registered.rotation.T)
