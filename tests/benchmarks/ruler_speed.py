"""What one measurement costs beside a plain implementation.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/ruler_speed.py [--repeats 3]
One pair: the embedded model's mean at 35,708 vertices, and a scan of someone with about 35,000
points within 95 mm of the nose tip. Ours: from two meshes to the final distances, by protocol
`micc`, and once more by all points and with nothing left out, so that the same is made least as by
the plain one. Plain: 60 iterations of point-to-point similarity ICP over all points of both
directions, closest points by Open3D, Umeyama's solution each time. All start at the same landmarks.
All ends are judged by the same measures over the same points: the root mean square of the distances
of every point that plain ICP counts, which it makes least; and over the overlap region of
`micc` the same and the root mean of their biweight (Tukey's, 10 mm), which grows less with a
distance that is no face's and is what the protocol's weights make least.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import open3d as o3d

from facebench.bench.protocol.record import Points, Protocol, preset
from facebench.bench.registration.dense import align
from facebench.bench.registration.initialise import Initialisation
from facebench.bench.registration.nose_tip import NoseTip
from facebench.bench.registration.prepared_mesh import PreparedMesh
from facebench.bench.scoring.register import InitialisedPair, register_pair
from facebench.bench.surface.overlap import match_symmetric
from facebench.bench.surface.region import Sphere
from facebench.bench.surface.similarity import Similarity, similarity_between
from facebench.bench.surface.surface import Surface
from facebench.recon.mesh import Mesh

MICC, CORRESPONDENCE = preset("micc"), preset("correspondence")
ALL = MICC
for setting, value in (
    ("alignment.points", "inf"),
    ("intersection.max_distance_mm", "inf"),
    ("intersection.max_angle_deg", "180"),
    ("intersection.boundary", "counted"),
):
    ALL = ALL.with_setting(setting, value)
ITERATIONS = 60
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pair:
    """A prediction, a scan, where they start and what is measured."""

    prediction: Mesh
    scan: Mesh
    start: Similarity
    crop: Sphere


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    # In a process of its own: what making it took is no memory of the measurement.
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        pair = other.submit(make_pair).result()
    before = memory_mb("VmRSS")
    forget_peak_memory()
    seconds, (ours_micc, steps) = quickest(lambda: ours(pair, MICC), repeats)
    memory = memory_mb("VmHWM")
    forget_peak_memory()
    corresponding_seconds, registration = quickest(lambda: corresponding(pair), repeats)
    corresponding_memory = memory_mb("VmHWM")
    all_seconds, (ours_all, _) = quickest(lambda: ours(pair, ALL), repeats)
    plain_seconds, plainly = timed(lambda: plain(pair))
    count = len(pair.crop.vertices_of(Surface(pair.scan)))
    print(f"{len(pair.prediction.vertices)} vertices on {count} points of the scan, symmetric")
    print("                    processor s   ratio   rms of all   rms, region   biweight, region")
    ends = (ours_micc, ours_all, plainly)
    spent = (seconds, all_seconds, plain_seconds)
    everything = [each[1] for each in residuals(pair, ends, ALL)]
    for name, own, square, (robust, inside) in zip(
        ("ours, micc", "ours, all points", "plain, 60 steps"),
        spent,
        everything,
        residuals(pair, ends, MICC),
        strict=True,
    ):
        ratio = plain_seconds / own
        print(f"{name:17} {own:13.2f} {ratio:7.1f} {square:12.5f} {inside:13.5f} {robust:18.5f}")
    print(f"steps of micc by the protocol's points {steps}")
    print(f"memory {memory:.0f} MB at the peak, {before:.0f} before: Python, libraries, two meshes")
    print(
        f"correspondence {corresponding_seconds:.2f} s, of which {registration:.2f} s from the "
        f"aligned pair to corresponding points; memory {corresponding_memory:.0f} MB"
    )


def quickest(call: Callable[[], Result], repeats: int) -> tuple[float, Result]:
    """The run of the least processor time."""
    return min((timed(call) for _ in range(repeats)), key=lambda run: run[0])


def make_pair() -> Pair:
    """A mean face and a dense scan of someone, cut as frontal scans are."""
    from facebench.bench.synthetic import scan as synthetic_scan
    from facebench.bench.synthetic.scan import random_placement, scan_surface
    from facebench.recon.morphable.procedural import procedural_model

    model, rng = procedural_model(0, 35_709), np.random.default_rng(3)
    person = model.mesh(identity=0.6 * rng.standard_normal(model.identity_basis.shape[2]))
    landmarks = person.vertices[person.landmarks]
    synthetic_scan.SPACING_MM = 0.8
    scanned = scan_surface(rng, person.vertices, person.triangles, landmarks)
    near = np.linalg.norm(scanned.vertices - landmarks[30], axis=1) < 115
    used, triangles = np.unique(
        scanned.triangles[near[scanned.triangles].all(1)], return_inverse=True
    )
    place = random_placement(rng)
    scan = Mesh(place.apply(scanned.vertices[used]), triangles.reshape(-1, 3))
    face = model.mesh()
    start = similarity_between(face.vertices[face.landmarks], place.apply(landmarks))
    return Pair(face, scan, start, Sphere(place.apply(landmarks[30][None])[0], 95.0))


def ours(pair: Pair, protocol: Protocol) -> tuple[Similarity, int]:
    """From two meshes to the final distances."""
    prediction, scan = Surface(pair.prediction), Surface(pair.scan)
    if protocol is ALL:
        # Plain ICP counts points: the same is then made least.
        prediction.areas = np.ones(len(prediction.vertices))
        scan.areas = np.ones(len(scan.vertices))
    found = align(
        prediction, scan, pair.start, protocol.intersection, pair.crop, protocol.alignment
    )
    return found.transform, found.iterations


def corresponding(pair: Pair) -> float:
    """From two meshes to corresponding points, their distances and the deviation of the mean, as a
    score is made; gives the seconds of all but the rigid registration."""
    as_they_are = Points(longest_edge_mm=float("inf"))
    initialised = InitialisedPair(
        PreparedMesh(pair.prediction, None, as_they_are),
        PreparedMesh(pair.scan, None, as_they_are),
        pair.crop,
        NoseTip(pair.crop.centre, "label"),
        Initialisation(pair.start, "given"),
        CORRESPONDENCE,
        pair.prediction,
    )
    initialised.alignment  # noqa: B018  It is made when it is asked for.
    return timed(lambda: register_pair(initialised, CORRESPONDENCE))[0]


def plain(pair: Pair) -> Similarity:
    """Point-to-point similarity ICP as one would write it."""
    own, theirs = np.asarray(pair.prediction.vertices), np.asarray(pair.scan.vertices)
    theirs = theirs[pair.crop.holds(theirs)]
    on_prediction, on_scan = scene(pair.prediction), scene(pair.scan)
    transform = pair.start
    for _ in range(ITERATIONS):
        moved = transform.apply(own)
        targets = closest(on_scan, moved)
        inside = pair.crop.holds(targets)
        sources = closest(on_prediction, transform.inverse().apply(theirs))
        transform = similarity_between(
            np.concatenate([own[inside], sources]), np.concatenate([targets[inside], theirs])
        )
    return transform


def scene(mesh: Mesh) -> o3d.t.geometry.RaycastingScene:
    """A mesh to ask for closest points."""
    made = o3d.t.geometry.RaycastingScene(nthreads=1)
    made.add_triangles(
        o3d.core.Tensor(np.asarray(mesh.vertices, np.float32)),
        o3d.core.Tensor(np.asarray(mesh.triangles, np.uint32)),
    )
    return made


def closest(made: o3d.t.geometry.RaycastingScene, points: np.ndarray) -> np.ndarray:
    """Closest points (N, 3)."""
    query = o3d.core.Tensor(np.ascontiguousarray(points, np.float32))
    return made.compute_closest_points(query, nthreads=1)["points"].numpy().astype(np.float64)


def residuals(
    pair: Pair, ends: tuple[Similarity, ...], protocol: Protocol
) -> list[tuple[float, float]]:
    """Biweight residual and root mean square of each end, mm, over all that counts in any."""
    prediction, scan = Surface(pair.prediction), Surface(pair.scan)
    matches = [
        match_symmetric(prediction, scan, end, protocol.intersection, pair.crop) for end in ends
    ]
    region = [
        np.any([side.inliers for side in sides], axis=0) for sides in zip(*matches, strict=True)
    ]
    # Every point alike where plain ICP is asked for what it makes least, else by area.
    counted = protocol is ALL
    weights = [
        np.ones(kept.sum()) if counted else side.areas[kept]
        for side, kept in zip(matches[0], region, strict=True)
    ]
    distances = [
        [side.distances[kept] for side, kept in zip(sides, region, strict=True)]
        for sides in matches
    ]
    return [
        (root_of_mean(map(biweight, both), weights), root_of_mean(map(np.square, both), weights))
        for both in distances
    ]


def biweight(distances: np.ndarray) -> np.ndarray:
    """Tukey's loss, like the square for small distances and constant from the limit on."""
    limit = MICC.intersection.max_distance_mm
    inside = np.clip(1 - (distances / limit) ** 2, 0.0, 1.0)
    return limit**2 / 3 * (1 - inside**3)


def root_of_mean(squares: Iterable[np.ndarray], weights: list[np.ndarray]) -> float:
    """Of both directions, each with half of the weight."""
    sides = zip(squares, weights, strict=True)
    return float(np.sqrt(np.mean([np.average(side, weights=own) for side, own in sides])))


def forget_peak_memory() -> None:
    """Let the process's peak memory (Linux) begin again at what it holds now."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_mb(field: str) -> float:
    """A field of the process's status, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of processor time and the result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
