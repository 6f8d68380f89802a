"""What landmarks of both sides add to corresponding points, on people whose truth is known.

    python tests/benchmarks/landmark_pairs.py MODEL [--people N] [--seed S]

People of MODEL, scanned, and some predictions of each, measured by `correspondence` without
landmarks, with NoW's seven, with 51, and with 51 that are 1 mm off on each coordinate.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from facebench.bench.audit.people import PeopleMaker, shown_area, true_errors
from facebench.bench.audit.predictors import PREDICTORS, area_mean
from facebench.bench.landmarks import SEVEN, Landmarks
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.score import score_prediction
from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.photograph import random_stream

PREDICTIONS = ("half", "skin slid 3 mm up", "eyes 3 mm up", "mouth 3 mm down")
WAYS = ("true", "none", "7", "51", "51, noisy")
NOISE_MM = 1.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--seed", type=int, default=501)
    given = parser.parse_args()
    model, protocol = load_model(given.model), preset("correspondence")
    maker, found = PeopleMaker(model, given.seed), defaultdict(list)
    for number in range(1, given.people + 1):
        person = maker.person(number)
        area = shown_area(model, person)
        for predictor in (one for one in PREDICTORS if one.name in PREDICTIONS):
            stream = random_stream(
                given.seed, "audit", model.digest, person.subject, predictor.name
            )
            face = predictor.predict(model, person, area, stream)
            own = np.asarray(face.vertices, np.float64)[model.landmarks]
            theirs = person.scan_landmarks.points
            # Without the jaw's outline, which slides along the skin. The order of 68 stays.
            noisy = (side + NOISE_MM * stream.standard_normal(side.shape) for side in (own, theirs))
            pairs = {
                "none": (None, None),
                "7": (Landmarks(own[SEVEN]), Landmarks(theirs[SEVEN])),
                "51": (Landmarks(own), Landmarks(theirs)),
                "51, noisy": tuple(map(Landmarks, noisy)),
            }
            true = area_mean(true_errors(face.vertices, person, area, True), area)
            values = {"true": true}
            for way, (mine, scans) in pairs.items():
                labels = {"prediction_landmarks": mine, "scan_landmarks": scans}
                pair = score_prediction(face.mesh, person.scan, protocol, **labels)
                values[way] = pair.score.value_mm
            found[predictor.name].append([values[way] for way in WAYS])
    print(f"| prediction | {' | '.join(WAYS)} |")
    for name, rows in found.items():
        true, *others = np.mean(rows, axis=0)
        cells = (f"{value:.2f} ({value / true:.0%})" for value in others)
        print(f"| {name} | {true:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
