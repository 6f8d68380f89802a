"""Checks of a method: card, digest and parts, the vectors it returns and the mesh of them."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...errors import FacebenchError, Finding, count_of, failure, success, warning
from ...recon.export.mesh_files import write_ply
from ...recon.mesh import Mesh
from ...recon.morphable import EMBEDDED
from ...recon.morphable.load import load_model
from ..datasets.micc import VIDEO_OF_SCENE
from ..landmarks import FACE_PARTS, Landmarks
from ..meshes.checks import faces_inwards
from ..meshes.clean import clean_mesh
from ..meshes.files import load_mesh
from ..meshes.units import check_unit
from ..method.interface import Described, Method, MethodCard
from ..registration.prepared_mesh import rotation_of_surface
from ..surface.similarity import root_mean_square, similarity_between
from ..surface.triangles import Float64Array

SAME_MM = 0.01
"""Vertices that differ by less are the same: a hundredth of what tables show."""
DOUBTFUL_MM = 0.1
STILL_DEGREES = 3.0
"""A method may turn faces a little by their shape; heads in the pictures turn by far more."""

Vectors = NDArray[np.float32]

FRONTAL_DEGREES = 30.0
"""Faces of the models at hand are at most 10 degrees off each other."""
MISFIT = 0.2
"""Root mean square of 68 landmarks from the mean face over the distance of the outer eye corners:
0.11 at most for faces of the two models at hand, 0.32 for an order that is off by one."""
OFF_SURFACE_MM = 20.0
SAVED_MM = 1e-3

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_card(name: str, card: MethodCard) -> Iterator[Finding]:
    """Name, title, licence, paper and published numbers."""
    if card.name.partition(":")[0] != name:
        yield failure("card", f"its name is '{card.name}'", f"give CARD the name '{name}'")
    empty = [item for item in ("title", "licence") if not getattr(card, item).strip()]
    if empty:
        yield failure(
            "card", f"no {' and no '.join(empty)}", "every table shows them: fill them in"
        )
    unknown = [scene for scene, _, _ in card.published if scene not in VIDEO_OF_SCENE]
    if unknown:
        known = ", ".join(VIDEO_OF_SCENE)
        yield warning("card", f"published results of '{unknown[0]}'", f"the scenes are {known}")
    nameless = not card.paper and card.kind == "frames"
    if nameless:
        yield warning("card", "no paper", "name it, so that readers can look the method up")
    if not (empty or unknown or nameless):
        yield success("card", f"{card.title} · {card.licence}")


def check_digests(method: Described, again: Described) -> Iterator[Finding]:
    """A digest that is one, and the same of two methods built alike."""
    advice = "make it the SHA-256 of all that decides the numbers: weights, model, settings"
    if not _SHA256.fullmatch(method.digest):
        yield failure("digest", f"'{method.digest[:20]}' is no SHA-256", advice)
    elif method.digest != again.digest:
        yield failure("digest", "built twice, it has two digests", advice)
    else:
        yield success("digest", f"{method.digest[:12]}, the same when built again")


def process_state() -> dict[str, object]:
    """The state of this process that a method may change, by name."""
    # Meshes on disk need no PyTorch; where it is not imported, its state is the initial one.
    torch = sys.modules.get("torch")
    return {
        "the working folder": Path.cwd(),
        "PyTorch's default type": str(torch.get_default_dtype() if torch else "torch.float32"),
        "PyTorch's default device": str(torch.get_default_device() if torch else "cpu"),
        "whether PyTorch computes gradients": torch.is_grad_enabled() if torch else True,
    }


def check_state(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Finding]:
    """A method leaves the process, in which everything else runs too, as it found it."""
    changed = [name for name, value in before.items() if after[name] != value]
    if changed:
        advice = "others compute in the same process, and results go to relative paths: put it back"
        yield failure("state", f"it changes {' and '.join(changed)}", advice)
    else:
        yield success("state", "the process is left as it was")


def check_parts(method: Described, mesh: Mesh) -> Iterator[Finding]:
    """The vertices of each part of the face."""
    n_vertices, parts = len(mesh.vertices), method.parts
    wrong = [
        name
        for name, inside in parts.items()
        if np.shape(inside) != (n_vertices,) or np.asarray(inside).dtype != bool
    ]
    unknown = [name for name in parts if name not in FACE_PARTS]
    if wrong:
        advice = f"give one bool for each of the {n_vertices} vertices"
        yield failure("parts", f"'{wrong[0]}' does not fit the meshes", advice)
    elif unknown:
        yield failure("parts", f"'{unknown[0]}' is no part", f"known: {', '.join(FACE_PARTS)}")
    elif not parts:
        advice = "name the vertices of nose, mouth … (bench.landmarks) to see them in the tables"
        yield warning("parts", "none: no error by part of the face", advice)
    else:
        yield success("parts", ", ".join(parts))


@dataclass(frozen=True, eq=False)
class Trial:
    """A method and what it made of some crops.

    Attributes:
        method: under examination.
        crops: (N, S, S, 3) uint8.
        vectors: (N, D), of all crops in one batch.
    """

    method: Method
    crops: NDArray[np.uint8]
    vectors: Vectors

    def meshes(self) -> list[Mesh]:
        """The face of each vector."""
        return [self.method.mesh(vector) for vector in self.vectors]

    def compare(self, check: str, others: Vectors, same: str, advice: str) -> Iterator[Finding]:
        """A finding on vectors that should equal the trial's, judged by the meshes they make."""
        if others.shape != self.vectors.shape:
            yield failure(check, f"{others.shape} instead of {self.vectors.shape}", advice)
            return
        # Bits first: decoding meshes costs far more than comparing vectors.
        if np.array_equal(others, self.vectors):
            yield success(check, f"{same}, bit for bit")
            return
        # Vectors may differ in what no mesh shows; millimetres are what tables measure.
        moved = largest_move_mm(self.method, self.vectors, others)
        if moved <= SAME_MM:
            yield success(check, f"{same}, within {moved:.1g} mm (allowed: {SAME_MM:g})")
        elif moved <= DOUBTFUL_MM:
            yield warning(check, f"vertices move by {moved:.2g} mm (allowed: {SAME_MM:g})", advice)
        else:
            yield failure(check, f"vertices move by {moved:.2g} mm (allowed: {SAME_MM:g})", advice)


def largest_move_mm(method: Method, first: Vectors, second: Vectors) -> float:
    """The largest distance between the same vertex of two faces, over pairs of vectors (N, D)."""
    pairs = zip(first, second, strict=True)
    moves = [
        np.linalg.norm(method.mesh(a).vertices - method.mesh(b).vertices, axis=1).max()
        for a, b in pairs
        if not np.array_equal(a, b)
    ]
    return float(max(moves, default=0.0))


def check_output(crops: NDArray[np.uint8], vectors: Vectors) -> Iterator[Finding]:
    """Shape, type and finite numbers of what `describe` gave."""
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or len(vectors) != len(crops):
        found = getattr(vectors, "shape", type(vectors).__name__)
        yield failure("vectors", f"{found} for {len(crops)} crops", "give an array (B, D)")
    elif vectors.dtype != np.float32:
        yield failure("vectors", f"{vectors.dtype}", "give float32")
    elif not np.isfinite(vectors).all():
        bad = int((~np.isfinite(vectors).all(1)).sum())
        advice = "such faces are left out and count as failed; look for a division by zero"
        yield failure("vectors", f"{bad} of {len(vectors)} are not finite", advice)
    else:
        yield success("vectors", f"{vectors.shape[1]} numbers a face, float32, finite")


def check_pictures(trial: Trial) -> Iterator[Finding]:
    """Different pictures should give different faces."""
    # A warning and no failure: `mean-face` is a legitimate baseline.
    if (trial.vectors == trial.vectors[0]).all():
        advice = "right for a baseline; else it does not look at the pixels"
        yield warning("pictures", "every picture gives the same vector", advice)
    else:
        yield success("pictures", f"{len(trial.crops)} pictures, different vectors")


def check_repetition(trial: Trial) -> Iterator[Finding]:
    """A method gives the same numbers twice; and how long it takes."""
    start = time.perf_counter()
    again = trial.method.describe(trial.crops)
    rate = len(trial.crops) / (time.perf_counter() - start)
    advice = "switch off what is random: dropout, sampling, an unseeded generator"
    yield from trial.compare("repetition", again, "the same numbers twice", advice)
    yield success(
        "speed", f"{rate:.3g} faces/s; 100,000 take {_duration(1e5 / rate)} on one worker"
    )


def check_batches(trial: Trial) -> Iterator[Finding]:
    """One face at a time, and in another order."""
    advice = "a face must not see its neighbours: put batch normalisation into evaluation mode"
    # Batch normalisation left in training mode shows here and nowhere else.
    alone = np.concatenate([trial.method.describe(crop[None]) for crop in trial.crops])
    yield from trial.compare("batch size", alone, "1 or 8 faces a batch are the same", advice)
    order = np.random.default_rng(0).permutation(len(trial.crops))
    crops = trial.crops[order]
    crops.setflags(write=False)
    shuffled = np.empty_like(trial.vectors)
    # Put back into the first order before the comparison.
    shuffled[order] = trial.method.describe(crops)
    yield from trial.compare("order", shuffled, "another order gives the same", advice)


def check_topology(meshes: list[Mesh]) -> Iterator[Finding]:
    """All meshes have the same triangles, and no head's pose is in them."""
    first = meshes[0]
    if any(not np.array_equal(mesh.triangles, first.triangles) for mesh in meshes):
        advice = "vectors can be averaged only if all meshes share their triangles"
        yield failure("topology", "triangles change with the picture", advice)
        return
    yield success("topology", "the same triangles for all pictures")
    # A head that turns with the picture would be averaged to a smaller face.
    source, *_ = points = [np.asarray(mesh.vertices, np.float64) for mesh in meshes]
    turned = max(degrees_of(similarity_between(source, target).rotation) for target in points)
    if turned > STILL_DEGREES:
        advice = "leave the head's pose out of the mesh, else the mean of the frames is no face"
        yield failure("still", f"meshes turn by {turned:.0f} degrees with the picture", advice)
    else:
        yield success("still", "the head's pose is not in the meshes")


def check_average(trial: Trial, meshes: list[Mesh]) -> Iterator[Finding]:
    """Whether decoding the mean vector equals averaging the meshes."""
    # The pipeline averages vectors; a non-linear decoder makes that a choice to be named.
    of_mean = np.asarray(trial.method.mesh(trial.vectors.mean(0)).vertices)
    mean_of = np.mean([mesh.vertices for mesh in meshes], axis=0)
    off = float(np.linalg.norm(of_mean - mean_of, axis=1).max())
    if off <= SAME_MM:
        detail = "linear: the mean vector's mesh is the mean of the meshes"
        yield success("average", f"{detail}, within {off:.1g} mm")
    else:
        advice = "say which is meant: --set reduction.average=parameters or =meshes"
        yield warning("average", f"not linear: the two averages are {off:.2g} mm apart", advice)


def check_arrays(mesh: Mesh) -> Iterator[Finding]:
    """Shapes, types and finite numbers; what follows needs them."""
    vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or vertices.dtype.kind != "f":
        found = f"vertices are {vertices.shape} {vertices.dtype}"
        yield failure("arrays", found, "give (V, 3) of float64")
    elif triangles.ndim != 2 or triangles.shape[1:] != (3,) or triangles.dtype.kind not in "iu":
        found = f"triangles are {triangles.shape} {triangles.dtype}"
        yield failure("arrays", found, "give (F, 3) of int32")
    elif not len(triangles) or triangles.min() < 0 or triangles.max() >= len(vertices):
        yield failure("arrays", "triangles name no vertices", "count vertices from 0")
    elif not np.isfinite(vertices).all():
        bad = int((~np.isfinite(vertices).all(1)).sum())
        invalid = count_of(bad, "vertex is", "vertices are")
        yield failure("arrays", f"{invalid} not finite", "look for a division by zero")
    else:
        yield success("arrays", f"{len(vertices):,} vertices, {len(triangles):,} triangles")


def check_face(mesh: Mesh, points: Landmarks | None = None) -> Iterator[Finding]:
    """Unit, outside, landmarks, mirror image and pose of a mesh whose arrays are sound.

    Args:
        mesh: as the method gives it.
        points: landmarks given beside it.
    """
    yield from _check_unit(mesh)
    if faces_inwards(mesh):
        advice = "reverse the corners of each triangle, or undo a reflection"
        yield failure("outside", "triangles face inwards", advice)
    else:
        yield success("outside", "triangles face outwards")
    yield from _check_landmarks(mesh, points)


def check_saved(mesh: Mesh) -> Iterator[Finding]:
    """Written as a file and read again, it is the same mesh."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "face.ply"
        # PLY keeps float32 and triangles: the least that users will save meshes as.
        write_ply(mesh, path)
        again, removed = clean_mesh(load_mesh(path))
    same = len(again.vertices) == len(mesh.vertices)
    moved = float(np.abs(again.vertices - mesh.vertices).max()) if same else float("inf")
    if moved <= SAVED_MM:
        yield success("saved", f"a PLY of it holds the same to {SAVED_MM:g} mm")
    else:
        advice = "every vertex must be in a triangle with an area"
        yield warning("saved", f"a file of it loses {removed}", advice)


def degrees_of(rotation: Float64Array) -> float:
    """The angle of a rotation (3, 3)."""
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def check_surface(mesh: Mesh) -> Iterator[Finding]:
    """Nothing of it would be left out of a measurement."""
    # The same cleaning as before a measurement, so nothing is promised that is not measured.
    _, removed = clean_mesh(mesh)
    if removed:
        yield warning("surface", removed, "they are left out of every measurement")
    else:
        yield success("surface", "every vertex is in a triangle with an area")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _check_unit(mesh: Mesh) -> Iterator[Finding]:
    try:
        check_unit(mesh, "the mesh")
    except FacebenchError as error:
        yield failure("unit", error.message, "give millimetres")
    else:
        height = float(np.ptp(np.asarray(mesh.vertices), axis=0).max())
        yield success("unit", f"mm: the longest side is {height:.0f}")


def _check_landmarks(mesh: Mesh, points: Landmarks | None) -> Iterator[Finding]:
    if points is None and mesh.landmarks is None:
        advice = "name the 68 iBUG vertices: a sure start, a nose tip and a check of left and right"
        yield warning("landmarks", "none: the pose is searched", advice)
        yield from _check_pose(rotation_of_surface(mesh))
        return
    own = points.points if points is not None else _points_of(mesh)
    yield from _check_points(own, mesh)


def _check_points(own: Float64Array, mesh: Mesh) -> Iterator[Finding]:
    mean_face = Landmarks(_points_of(load_model(EMBEDDED).mesh()))
    target = mean_face.points if len(own) == 68 else mean_face.seven
    # Over the eye distance: the unit may be wrong, which is a finding of its own.
    misfit = _misfit(own, target) / mean_face.eye_distance
    # A mirrored face fits a mirrored mean: the fault can be named instead of measured.
    mirrored = _misfit(own * [-1.0, 1.0, 1.0], target) / mean_face.eye_distance
    # Right order in the wrong space: the shape fits, the place does not.
    off = float(np.max(cKDTree(np.asarray(mesh.vertices)).query(own)[0]))
    if misfit > MISFIT and mirrored <= MISFIT:
        advice = "negate x and reverse the triangles, or exchange left and right of the landmarks"
        yield failure("landmarks", "left and right are exchanged: a mirrored face", advice)
    elif misfit > MISFIT:
        advice = "give the 68 in iBUG's order, or NoW's seven, as vertices counted from 0"
        yield failure("landmarks", f"they miss a face by {misfit:.2f} eye distances", advice)
    elif off > OFF_SURFACE_MM:
        advice = "give points in the space and unit of their mesh"
        yield failure("landmarks", f"a point is {off:.0f} mm off the mesh", advice)
    else:
        yield success("landmarks", f"{len(own)}, within {misfit:.2f} eye distances of a mean face")
        yield from _check_pose(similarity_between(own, target).rotation)


def _misfit(own: Float64Array, target: Float64Array) -> float:
    return root_mean_square(similarity_between(own, target).apply(own), target)


def _check_pose(rotation: Float64Array) -> Iterator[Finding]:
    """A rotation (3, 3) that would bring the face to the front should be a small one."""
    degrees = degrees_of(rotation)
    if degrees > FRONTAL_DEGREES:
        advice = "turn it to face +z with y up and x to the subject's left; scores search the pose"
        yield warning("pose", f"turned by {degrees:.0f} degrees", advice)
    else:
        yield success("pose", "faces +z, y up, x to the subject's left")


def _points_of(mesh: Mesh) -> Float64Array:
    points: Float64Array = np.asarray(mesh.vertices, np.float64)[np.asarray(mesh.landmarks)]
    return points
