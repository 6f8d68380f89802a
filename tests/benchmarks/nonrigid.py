"""How near the correspondence estimator comes to the true error, beside nearest points.

Run: python tests/benchmarks/nonrigid.py [--people N] [--model MODEL.npz] [--plain] [--laid]
People are drawn from a face model and scanned; predictions of graded quality are aligned by the
default protocol. The true error of a vertex is the distance to the same vertex of the person.
People with shape beyond the model's, hair and shoulders are judged by the protocol as a whole:
facebench audit --data SET --model MODEL.npz --protocols micc,correspondence
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facebench.bench.protocol.record import preset
from facebench.bench.registration.dense import align
from facebench.bench.registration.nonrigid import correspond
from facebench.bench.surface.overlap import Correspondences, match_prediction
from facebench.bench.surface.region import Sphere
from facebench.bench.surface.similarity import Similarity, similarity_between
from facebench.bench.surface.surface import Surface
from facebench.bench.synthetic.scan import scan_surface
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel

SEVEN = np.array([37, 40, 43, 46, 34, 49, 55]) - 1
SKIN = ("forehead", "left_brow", "right_brow", "left_eye_socket", "right_eye_socket", "nose")
SKIN += ("left_cheek", "right_cheek", "upper_lip", "lower_lip", "jaw")
ESTIMATES = ("nearest", "registered", "with 7 landmarks")
MICC = preset("micc")


@dataclass(frozen=True)
class Case:
    """One prediction of one person.

    Attributes:
        kind: how the prediction came about.
        person: number.
        truth: (N,) true error of the skin's vertices that all estimates count.
        estimates: (3, N) by each of `ESTIMATES`.
        seconds: of processor time of one registration without landmarks.
    """

    kind: str
    person: int
    truth: NDArray[np.float64]
    estimates: NDArray[np.float64]
    seconds: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--plain", action="store_true", help="the person's own mesh as the scan")
    parser.add_argument(
        "--laid", action="store_true", help="errors where corresponding points put the face"
    )
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    cases = [
        case for person in range(arguments.people) for case in measure(model, person, arguments)
    ]
    report(model, cases)


def measure(model: MorphableModel, person: int, arguments: argparse.Namespace) -> Iterator[Case]:
    """All predictions of one person."""
    rng = np.random.default_rng(1000 + person)
    n_modes = model.identity_basis.shape[2]
    own, other = rng.standard_normal((2, n_modes))
    truth = model.mesh(identity=own)
    vertices = np.asarray(truth.vertices, np.float64)
    scan = Surface(truth if arguments.plain else scanned(rng, truth))
    crop = Sphere(vertices[model.landmarks[30]], MICC.crop.radius_mm)
    kinds = {f"{share}% of the person": share / 100 * own for share in (0, 25, 50, 75, 100)}
    for kind, identity in {**kinds, "another person": other}.items():
        prediction = model.mesh(identity=identity)
        case = judge(model, kind, person, prediction, vertices, scan, crop, arguments.laid)
        yield case


def scanned(rng: np.random.Generator, mesh: Mesh) -> Mesh:
    """As a scanner delivers it: resampled, noisy, with holes."""
    vertices = np.asarray(mesh.vertices, np.float64)
    assert mesh.landmarks is not None
    triangles = np.asarray(mesh.triangles, np.int64)
    scan = scan_surface(rng, vertices, triangles, vertices[mesh.landmarks])
    return Mesh(scan.vertices, scan.triangles)


def judge(
    model: MorphableModel,
    kind: str,
    person: int,
    prediction: Mesh,
    truth: NDArray[np.float64],
    scan: Surface,
    crop: Sphere,
    laid: bool,
) -> Case:
    """Estimates beside the truth."""
    rules, face = MICC.intersection, Surface(prediction)
    found = align(face, scan, Similarity.identity(), rules, crop, MICC.alignment).transform
    vertices = found.apply(np.asarray(prediction.vertices, np.float64))
    moved = Surface(Mesh(vertices, prediction.triangles))
    landmarks = (vertices[model.landmarks[SEVEN]], truth[model.landmarks[SEVEN]])
    index = np.arange(len(moved.vertices))
    still = Similarity.identity()
    nearest = match_prediction(moved, scan, still, rules, crop, index, moved.areas)
    start = time.process_time()
    registered = correspond(moved, scan, crop, rules)
    seconds = time.process_time() - start
    aided = correspond(moved, scan, crop, rules, landmarks)
    skin = model.vertices_of(*SKIN)
    skin = skin[moved.vertex_of[skin] >= 0]
    if laid:
        registered, aided = relaid(registered), relaid(aided)
    sides: tuple[Correspondences, ...] = (nearest, registered, aided)
    at = moved.vertex_of[skin]
    counted = np.all([side.inliers[at] for side in sides], axis=0)
    ours, theirs = vertices[skin][counted], truth[skin][counted]
    best = similarity_between(ours, theirs, None) if laid else Similarity.identity()
    true = np.linalg.norm(best.apply(ours) - theirs, axis=1)
    estimates = np.stack([side.distances[at][counted] for side in sides])
    return Case(kind, person, true, estimates, seconds)


def relaid(matches: Correspondences) -> Correspondences:
    """The matches where a similarity brings corresponding points closest, as the protocol does."""
    kept = matches.inliers
    best = similarity_between(matches.on_prediction[kept], matches.on_scan[kept], None)
    points = best.apply(matches.on_prediction)
    distances = np.linalg.norm(points - matches.on_scan, axis=1)
    return replace(matches, on_prediction=points, distances=distances)


def report(model: MorphableModel, cases: list[Case]) -> None:
    """Print the means, the bias and the correlations over vertices and over subjects."""
    print(f"{model.name}: {model.n_vertices} vertices, {len({c.person for c in cases})} people")
    columns = "".join(f"{name:>18}" for name in ESTIMATES)
    print(f"{'mean error, mm':24}{'true':>8}{columns}")
    for kind in dict.fromkeys(case.kind for case in cases):
        chosen = [case for case in cases if case.kind == kind]
        print_row(kind, np.mean([case.truth.mean() for case in chosen]), means(chosen).mean(0))
    graded = [case for case in cases if not case.kind.startswith("100")]
    true = np.array([case.truth.mean() for case in graded])
    print_row("all but 100%", true.mean(), means(graded).mean(0))
    print_row("bias", np.nan, means(graded).mean(0) - true.mean())
    correlation = [[np.corrcoef(c.truth, row)[0, 1] for row in c.estimates] for c in graded]
    print_row("r over vertices", np.nan, np.mean(correlation, axis=0))
    over = [
        [within_kind(graded, kind, i) for i in range(3)]
        for kind in dict.fromkeys(c.kind for c in graded)
    ]
    print_row("r over subjects", np.nan, np.mean(over, axis=0))
    seconds = [case.seconds for case in cases]
    print(f"processor seconds a registration {np.median(seconds):.2f}  most {max(seconds):.2f}")


def means(cases: list[Case]) -> NDArray[np.float64]:
    """Mean (C, 3) of each estimate of each case."""
    return np.array([case.estimates.mean(1) for case in cases])


def within_kind(cases: list[Case], kind: str, estimate: int) -> float:
    """Correlation of the subjects' means among predictions of one kind."""
    chosen = [case for case in cases if case.kind == kind]
    true = [case.truth.mean() for case in chosen]
    return float(np.corrcoef(true, means(chosen)[:, estimate])[0, 1])


def print_row(label: str, true: float, values: NDArray[np.float64]) -> None:
    """One line of the table."""
    shown = "" if np.isnan(true) else f"{true:.2f}"
    print(f"{label:24}{shown:>8}" + "".join(f"{value:18.2f}" for value in values))


if __name__ == "__main__":
    main()
