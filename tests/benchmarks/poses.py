"""How often a face is registered to a scan of any pose and size without landmarks.

Run: python tests/benchmarks/poses.py --model MODEL.npz [--poses 200] [--first 0] [--seed 0]
Scans of random people of the model, pitched 45° down as a scanner's are and then turned anywhere;
the prediction is the model's mean, 0.8 to 1.25 times its size. Prints the share whose score is
that of the landmark-started alignment within 0.05 mm, whether every failure is flagged, and how
far the nose tip is off.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from facebench.bench.landmarks import Landmarks
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.diagnosis import diagnose
from facebench.bench.scoring.score import score_prediction
from facebench.bench.surface.similarity import Similarity
from facebench.bench.synthetic.scan import random_placement, scan_surface
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.load import load_model
from facebench.recon.morphable.model import MorphableModel
from facebench.recon.morphable.procedural import procedural_model

SAME_MM, TIP_MM = 0.05, 3.0


@dataclass(frozen=True)
class Outcome:
    """One pose.

    Attributes:
        number: of the pose.
        scale: the true factor from the prediction to the scan.
        apart_mm: between the score from the search and the one from landmarks; infinite without.
        tip_mm: between the nose tip found and the true one; infinite without.
        flagged: why the searched score is not to be trusted, else empty.
        seconds: of processor time for the searched score.
    """

    number: int
    scale: float
    apart_mm: float
    tip_mm: float
    flagged: str
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether the search found what the landmarks say."""
        return self.apart_mm <= SAME_MM


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first pose")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="default: the embedded model, 17,000 vertices")
    arguments = parser.parse_args()
    model = load_model(arguments.model) if arguments.model else procedural_model(0, 17_000)
    numbers = range(arguments.first, arguments.first + arguments.poses)
    outcomes = []
    for outcome in try_poses(model, numbers, arguments.seed):
        outcomes.append(outcome)
        if not outcome.succeeded or outcome.tip_mm > TIP_MM:
            print(outcome, flush=True)
    report(model, outcomes)


def try_poses(model: MorphableModel, numbers: Iterable[int], seed: int) -> Iterator[Outcome]:
    """The outcome of each pose, each by a stream of its own."""
    for number in numbers:
        yield try_pose(model, number, np.random.default_rng((seed, number)))


def try_pose(model: MorphableModel, number: int, rng: np.random.Generator) -> Outcome:
    """Scan someone, register the mean face to the scan by landmarks and without, compare."""
    person = model.mesh(identity=rng.standard_normal(model.identity_basis.shape[2]))
    landmarks = person.vertices[person.landmarks]
    scanned = scan_surface(rng, person.vertices, person.triangles, landmarks)
    pitched, anywhere = random_placement(rng), Rotation.random(rng=rng).as_matrix()

    def place(points: np.ndarray) -> np.ndarray:
        return pitched.apply(points) @ anywhere.T

    scan = Mesh(place(scanned.vertices), scanned.triangles)
    scale = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25))))
    face = model.mesh()
    elsewhere = Similarity(
        1 / scale, Rotation.random(rng=rng).as_matrix(), rng.uniform(-500, 500, 3)
    )
    face = replace(face, vertices=elsewhere.apply(face.vertices))
    micc = preset("micc")
    start = time.process_time()
    try:
        pair = score_prediction(face, scan, micc)
    except FacebenchError as error:
        return Outcome(number, scale, np.inf, np.inf, str(error), time.process_time() - start)
    seconds = time.process_time() - start
    truth = score_prediction(face, scan, micc, scan_landmarks=Landmarks(place(landmarks)))
    tip = place(landmarks[30][None])[0]
    return Outcome(
        number,
        scale,
        abs(pair.score.mean_mm - truth.score.mean_mm),
        float(np.linalg.norm(pair.nose_tip.position - tip)),
        "; ".join(one.text for one in diagnose(pair.score, micc) if one.doubtful),
        seconds,
    )


def report(model: MorphableModel, outcomes: list[Outcome]) -> None:
    """Print the shares."""
    failed = [outcome for outcome in outcomes if not outcome.succeeded]
    silent = [outcome.number for outcome in failed if not outcome.flagged]
    tips = np.array([outcome.tip_mm for outcome in outcomes])
    seconds = np.array([outcome.seconds for outcome in outcomes])
    print(f"{model.name}: {len(outcomes)} random poses, sizes 0.8 to 1.25")
    print(f"same score as from landmarks     {1 - len(failed) / len(outcomes):.1%}")
    print(f"failed in silence                {len(silent)} {silent}")
    print(
        f"flagged although right           {sum(o.succeeded and bool(o.flagged) for o in outcomes)}"
    )
    print(f"nose tip within {TIP_MM:g} mm            {(tips <= TIP_MM).mean():.1%}")
    shown = ", ".join(f"{off:.2f}" for off in np.quantile(tips, [0.5, 0.9, 0.99, 1.0]))
    print(f"nose tip off, 50/90/99/100 %     {shown} mm")
    print(f"processor seconds                {np.median(seconds):.2f}, most {seconds.max():.2f}")


if __name__ == "__main__":
    main()
