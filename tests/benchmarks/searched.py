"""How often a prediction without landmarks is laid on a scan as its landmarks would lay it.

    python tests/benchmarks/searched.py --model ict_facekit_light.npz --pairs 60

Random people of the human model, of the embedded one and of those given, each predicted by a random
other person of any of these: whole heads and faces cut at 95, 80 and 65 mm, 0.9 to 1.12 times their
size, in any pose, on scans from the front and sides and on whole closed heads. Nothing of it has
landmarks. Prints each pair that is laid wrong, and what its row says of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from facebench.bench.landmarks import Landmarks
from facebench.bench.meshes.clean import keep_vertices
from facebench.bench.protocol.record import preset
from facebench.bench.registration.nose_tip import NOSE_TIP
from facebench.bench.scoring.diagnosis import warnings
from facebench.bench.scoring.score import score_prediction
from facebench.bench.surface.similarity import Similarity
from facebench.bench.synthetic.scan import scan_surface
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel

Points = NDArray[np.float64]

CUTS_MM = (None, None, 95.0, 80.0, 65.0)
# Between the two registrations: nose tips, and turns. The crop: from the true nose tip.
TIP_MM, TURN_DEG, CROP_MM = 12.0, 15.0, 10.0


@dataclass(frozen=True)
class Side:
    """A mesh without landmarks, and where they would be.

    Attributes:
        mesh: in a pose of its own, mm.
        landmarks: (68, 3) there.
        what: of which model, and what of it.
    """

    mesh: Mesh
    landmarks: Points
    what: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="number of the first pair")
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--model", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    models = [*map(load_model, arguments.model), load_model("human"), load_model("embedded")]
    wrong, silent, measured, seconds = 0, 0, 0, 0.0
    for number in range(arguments.first, arguments.first + arguments.pairs):
        rng = np.random.default_rng([arguments.seed, number])
        scan, prediction = scan_of(models, rng), prediction_of(models, rng)
        start = time.process_time()
        try:
            fault, told = judge(prediction, scan)
        except FacebenchError as error:
            print(f"{number}: not to be measured with landmarks either: {error}")
            continue
        seconds += time.process_time() - start
        measured += 1
        wrong, silent = wrong + bool(fault), silent + bool(fault and not told)
        if fault:
            print(f"{number}: {prediction.what} on {scan.what}: {fault}; its row: {told}")
    print(f"{measured} pairs, {wrong} wrong, {silent} of them in silence")
    print(f"processor seconds a pair, measured both ways: {seconds / max(measured, 1):.1f}")


def scan_of(models: Sequence[MorphableModel], rng: np.random.Generator) -> Side:
    """Somebody scanned, or a whole closed head."""
    mesh, landmarks, name = _someone(models, rng)
    closed = rng.random() < 1 / 3
    if not closed:
        mesh = scan_surface(rng, mesh.vertices.astype(np.float64), mesh.triangles, landmarks)
    return _anywhere(mesh, landmarks, 1.0, f"{name}, {'closed' if closed else 'scanned'}", rng)


def prediction_of(models: Sequence[MorphableModel], rng: np.random.Generator) -> Side:
    """Somebody else, whole or cut, of another size."""
    mesh, landmarks, name = _someone(models, rng)
    cut = CUTS_MM[rng.integers(len(CUTS_MM))]
    if cut is not None:
        away = np.linalg.norm(mesh.vertices - landmarks[NOSE_TIP], axis=1)
        mesh = keep_vertices(mesh, away <= cut)
    size = float(np.exp(rng.uniform(np.log(0.9), np.log(1.12))))
    return _anywhere(mesh, landmarks, size, f"{name}, {f'{cut:g} mm' if cut else 'whole'}", rng)


def _someone(
    models: Sequence[MorphableModel], rng: np.random.Generator
) -> tuple[Mesh, Points, str]:
    model = models[rng.integers(len(models))]
    mesh = model.mesh(identity=rng.standard_normal(model.identity_basis.shape[2]))
    return mesh, np.asarray(mesh.vertices[model.landmarks], np.float64), model.name


def _anywhere(
    mesh: Mesh, landmarks: Points, size: float, what: str, rng: np.random.Generator
) -> Side:
    pose = Similarity(size, Rotation.random(rng=rng).as_matrix(), rng.normal(0, 200, 3))
    moved = pose.apply(np.asarray(mesh.vertices, np.float64))
    return Side(Mesh(moved, mesh.triangles), pose.apply(landmarks), what)


def judge(prediction: Side, scan: Side) -> tuple[str, str]:
    """How far a search is off landmarks, empty where it is not, and what the row says of it."""
    micc = preset("micc")
    by_landmarks = score_prediction(
        prediction.mesh,
        scan.mesh,
        micc,
        prediction_landmarks=Landmarks(prediction.landmarks),
        scan_landmarks=Landmarks(scan.landmarks),
    )
    try:
        searched = score_prediction(prediction.mesh, scan.mesh, micc)
    except FacebenchError as error:
        return "no number", str(error)
    one, other = searched.alignment.transform, by_landmarks.alignment.transform
    tip = prediction.landmarks[NOSE_TIP][None]
    apart = float(np.linalg.norm(one.apply(tip) - other.apply(tip)))
    cosine = (np.trace(one.rotation.T @ other.rotation) - 1) / 2
    turn = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    crop = float(np.linalg.norm(searched.nose_tip.position - scan.landmarks[NOSE_TIP]))
    told = warnings(searched.score, micc)
    if apart <= TIP_MM and turn <= TURN_DEG and crop <= CROP_MM:
        return "", told
    means = f"{searched.score.mean_mm:.2f} for {by_landmarks.score.mean_mm:.2f} mm"
    return f"{apart:.0f} mm and {turn:.0f} degrees off, crop {crop:.0f} mm, {means}", told


if __name__ == "__main__":
    main()
