"""`correspondence` on people whose true error is known, without the search that an audit makes.

    python tests/benchmarks/known_people.py human ict_facekit_light.npz --people 9 --seed 20261201

The audit's people and its predictors of identity. Each prediction is initialised by the true
landmarks and aligned as by `micc`; the non-rigid registration is not given them. An audit finds
every pose by itself and takes four times as long.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from facebench.bench.audit.measure import correlation
from facebench.bench.audit.people import PeopleMaker, shown_area, true_errors
from facebench.bench.audit.predictors import PREDICTORS
from facebench.bench.landmarks import Landmarks
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.score import initialise_pair, score_pair
from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.photograph import random_stream

NAMES = (
    *("the model's best", "three quarters", "half", "a little off"),
    *("half and off", "mean face", "another person"),
)


@dataclass(frozen=True)
class Row:
    """A prediction: its number beside its true mean error, mm."""

    model: str
    predictor: str
    value_mm: float
    true_mm: float
    deviation_mm: float
    r_skin: float


def rows_of(path: str, people: int, seed: int) -> Iterator[Row]:
    """Of each person of a model, each predictor."""
    model, ruler = load_model(path), preset("correspondence")
    maker = PeopleMaker(model, seed)
    chosen = [predictor for predictor in PREDICTORS if predictor.name in NAMES]
    for number in range(1, people + 1):
        person = maker.person(number)
        area = shown_area(model, person)
        for predictor in chosen:
            stream = random_stream(seed, "audit", model.digest, person.subject, predictor.name)
            face = predictor.predict(model, person, area, stream)
            marks = Landmarks(np.asarray(face.vertices, np.float64)[model.landmarks])
            pair = initialise_pair(
                face.mesh,
                person.scan,
                ruler,
                prediction_landmarks=marks,
                scan_landmarks=person.scan_landmarks,
            )
            pair = replace(pair, start=replace(pair.start, pairs=None))
            found = score_pair(face.mesh, pair, ruler)
            counted = np.where(face.covered, area, 0.0)
            errors = true_errors(face.vertices, person, counted, True)
            known = np.isfinite(errors)
            true = float(np.average(errors[known], weights=counted[known]))
            own = face.origin
            r_skin = correlation(found.vertex_errors, errors[own], counted[own])
            score = found.score
            yield Row(model.name, predictor.name, score.value_mm, true, score.deviation_mm, r_skin)


def show(name: str, rows: list[Row]) -> None:
    """A line of the table."""
    values, true, deviations, skin = (
        np.array([getattr(row, column) for row in rows])
        for column in ("value_mm", "true_mm", "deviation_mm", "r_skin")
    )
    off = np.abs(values - true)
    groups = {(row.model, row.predictor) for row in rows}
    member = np.array([(row.model, row.predictor) for row in rows])
    over_people = [
        np.corrcoef(values[own], true[own])[0, 1]
        for own in ((member == group).all(1) for group in groups)
    ]
    mean, right = values.mean(), true.mean()
    print(
        f"| {name} | {mean:.2f} of {right:.2f} | {mean / right - 1:+.0%}"
        f" | {np.sqrt((off**2).mean()):.2f} | {np.mean(over_people):.2f}"
        f" | {np.corrcoef(values, true)[0, 1]:.2f} | {np.nanmean(skin):.2f}"
        f" | {np.mean(off < deviations):.0%}, {np.mean(off < 2 * deviations):.0%} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--people", type=int, default=3, help="of each model")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows = [row for path in given.models for row in rows_of(path, given.people, given.seed)]
    print("| | measured | bias | rms, mm | r people | r pooled | r skin | within 1, 2 deviations |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    parts: list[tuple[str, Callable[[Row], bool]]] = [("all", lambda row: True)]
    parts += [(m, lambda row, m=m: row.model == m) for m in dict.fromkeys(r.model for r in rows)]
    parts += [(n, lambda row, n=n: row.predictor == n) for n in NAMES]
    for name, belongs in parts:
        show(name, [row for row in rows if belongs(row)])


if __name__ == "__main__":
    main()
