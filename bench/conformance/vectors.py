"""What a method makes of crops: one vector a face, whatever else is in the batch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...recon.mesh.record import Mesh
from ..method.interface import Method
from ..surface.triangles import Float64Array
from ..surface.umeyama import similarity_between
from .face import degrees_of
from .finding import Finding, failed, passed, warning

SAME_MM = 0.01
"""Vertices that differ by less are the same: a hundredth of what tables show."""
DOUBTFUL_MM = 0.1
STILL_DEGREES = 3.0
"""A method may turn faces a little by their shape; heads in the pictures turn by far more."""

Vectors = NDArray[np.float32]


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
            yield failed(check, f"{others.shape} instead of {self.vectors.shape}", advice)
            return
        if np.array_equal(others, self.vectors):
            yield passed(check, f"{same}, bit for bit")
            return
        moved = largest_move_mm(self.method, self.vectors, others)
        if moved <= SAME_MM:
            yield passed(check, f"{same}, within {moved:.1g} mm (allowed: {SAME_MM:g})")
        elif moved <= DOUBTFUL_MM:
            yield warning(check, f"vertices move by {moved:.2g} mm (allowed: {SAME_MM:g})", advice)
        else:
            yield failed(check, f"vertices move by {moved:.2g} mm (allowed: {SAME_MM:g})", advice)


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
        yield failed("vectors", f"{found} for {len(crops)} crops", "give an array (B, D)")
    elif vectors.dtype != np.float32:
        yield failed("vectors", f"{vectors.dtype}", "give float32")
    elif not np.isfinite(vectors).all():
        bad = int((~np.isfinite(vectors).all(1)).sum())
        advice = "such faces are left out and count as failed; look for a division by zero"
        yield failed("vectors", f"{bad} of {len(vectors)} are not finite", advice)
    else:
        yield passed("vectors", f"{vectors.shape[1]} numbers a face, float32, finite")


def check_pictures(trial: Trial) -> Iterator[Finding]:
    """Different pictures should give different faces."""
    if (trial.vectors == trial.vectors[0]).all():
        advice = "right for a baseline; else it does not look at the pixels"
        yield warning("pictures", "every picture gives the same vector", advice)
    else:
        yield passed("pictures", f"{len(trial.crops)} pictures, different vectors")


def check_repetition(trial: Trial) -> Iterator[Finding]:
    """The same numbers twice, and how long it takes."""
    start = time.perf_counter()
    again = trial.method.describe(trial.crops)
    rate = len(trial.crops) / (time.perf_counter() - start)
    advice = "switch off what is random: dropout, sampling, an unseeded generator"
    yield from trial.compare("repetition", again, "the same numbers twice", advice)
    yield passed("speed", f"{rate:.3g} faces/s; 100,000 take {_duration(1e5 / rate)} on one worker")


def check_batches(trial: Trial) -> Iterator[Finding]:
    """One face at a time, and in another order."""
    advice = "a face must not see its neighbours: put batch normalisation into evaluation mode"
    alone = np.concatenate([trial.method.describe(crop[None]) for crop in trial.crops])
    yield from trial.compare("batch size", alone, "1 or 8 faces a batch are the same", advice)
    order = np.random.default_rng(0).permutation(len(trial.crops))
    crops = trial.crops[order]
    crops.setflags(write=False)
    shuffled = np.empty_like(trial.vectors)
    shuffled[order] = trial.method.describe(crops)
    yield from trial.compare("order", shuffled, "another order gives the same", advice)


def check_topology(meshes: list[Mesh]) -> Iterator[Finding]:
    """All meshes have the same triangles, and no head's pose is in them."""
    first = meshes[0]
    if any(not np.array_equal(mesh.triangles, first.triangles) for mesh in meshes):
        advice = "vectors can be averaged only if all meshes share their triangles"
        yield failed("topology", "triangles change with the picture", advice)
        return
    yield passed("topology", "the same triangles for all pictures")
    turned = max(_degrees_between(first, mesh) for mesh in meshes)
    if turned > STILL_DEGREES:
        advice = "leave the head's pose out of the mesh, else the mean of the frames is no face"
        yield failed("still", f"meshes turn by {turned:.0f} degrees with the picture", advice)
    else:
        yield passed("still", "the head's pose is not in the meshes")


def check_average(trial: Trial, meshes: list[Mesh]) -> Iterator[Finding]:
    """Whether decoding the mean vector equals averaging the meshes."""
    of_mean = np.asarray(trial.method.mesh(trial.vectors.mean(0)).vertices)
    mean_of = np.mean([mesh.vertices for mesh in meshes], axis=0)
    off = float(np.linalg.norm(of_mean - mean_of, axis=1).max())
    if off <= SAME_MM:
        detail = "linear: the mean vector's mesh is the mean of the meshes"
        yield passed("average", f"{detail}, within {off:.1g} mm")
    else:
        advice = "say which is meant: --set reduction.average=parameters or =meshes"
        yield warning("average", f"not linear: the two averages are {off:.2g} mm apart", advice)


def _degrees_between(first: Mesh, second: Mesh) -> float:
    source, target = (_points(mesh) for mesh in (first, second))
    return degrees_of(similarity_between(source, target).rotation)


def _points(mesh: Mesh) -> Float64Array:
    return np.asarray(mesh.vertices, np.float64)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
