"""One mesh of a pair, prepared: its landmarks, surface, nose tip, and the part that counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...errors import FacebenchError
from ...recon.mesh import Mesh
from ...recon.morphable.procedural import procedural_model
from ..landmarks import Landmarks, landmark_pairs
from ..meshes.clean import keep_vertices
from ..protocol.record import Points
from ..surface.region import Sphere
from ..surface.similarity import Similarity, similarity_between
from ..surface.surface import Surface
from ..surface.triangles import Float64Array, lengths, refine
from ..surface.visibility import outside_of
from .nose_tip import mean_face, own_nose_tip, register_mean_face

# Of the distance between the outer eye corners: landmarks whose median is further from the
# surface of their mesh are not of this mesh.
LANDMARKS_OFF = 0.1


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

    @cached_property
    def mean_pose(self) -> Similarity:
        """From the embedded mean face's space to the mesh's, by the landmarks or else by the shape.

        Raises:
            FacebenchError: when a mesh without landmarks has too few points to tell a pose.
        """
        if self.landmarks is None:
            return register_mean_face(self.surface)
        model = procedural_model()
        mean = Landmarks(np.asarray(model.mean_shape, np.float64)[model.landmarks])
        return similarity_between(*landmark_pairs(mean, self.landmarks))

    @cached_property
    def nose_tip(self) -> Float64Array:
        """The nose tip (3,) by the mesh's own landmarks, else to within a centimetre by its shape.

        Raises:
            FacebenchError: when a mesh without landmarks has too few points to tell a pose.
        """
        own = own_nose_tip(self.mesh)
        return self.mean_pose.apply(mean_face()[1][None])[0] if own is None else own

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
        before = np.asarray(self.mesh.vertices, np.float64)
        mesh = replace(self.mesh, vertices=transform.apply(before))
        moved = replace(self, mesh=mesh, landmarks=None)
        longest = self.points.longest_edge_mm * min(1.0, 1 / transform.scale)
        triangles = np.asarray(self.mesh.triangles, np.int64)
        if "surface" in self.__dict__ and refine(before, triangles, longest)[0] is before:
            # Where no edge is halved in either size the surface is the same: do not build it twice.
            surface = moved.__dict__["surface"] = self.surface.moved(transform)
            if self.points.weights == "count":
                surface.areas = self.surface.areas
        return moved

    def within(self, sphere: Sphere) -> PreparedMesh:
        """The part whose triangles lie in a sphere; the whole where none does."""
        inside = sphere.holds(np.asarray(self.mesh.vertices, np.float64))
        part = self.mesh if inside.all() else keep_vertices(self.mesh, inside)
        if part is self.mesh or not len(part.triangles):
            return self
        return replace(self, mesh=part)


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
    return np.asarray(register_mean_face(Surface(mesh)).rotation.T)
