"""Every combination of detector, landmark network, face model and method on photographs.

Each is what `facebench check-photographs` measures with these choices, a line each of one table in
Markdown. Networks that were not fetched are told and left out; each detector looks once at a
photograph.

    python tests/benchmarks/combinations.py photographs --reference R.json
    python tests/benchmarks/combinations.py photographs --reference R.json --model bfm.npz
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facebench.bench.photographs.check import Networks, check_photographs
from facebench.bench.photographs.reference import ReferencePhotograph, read_reference
from facebench.errors import FacebenchError, error_line
from facebench.recon.face.crop import Box
from facebench.recon.morphable import EMBEDDED, HUMAN
from facebench.recon.morphable.load import load_model
from facebench.recon.portraits.reconstructor import (
    ReconstructionMethod,
    choose_method,
    make_reconstructor,
)
from facebench.recon.vision.detect import ManyFacesDetector, make_detector
from facebench.recon.vision.landmarks import make_landmark_detector
from facebench.recon.vision.recognition import make_identity_features
from facebench.recon.weights.catalogue import NONE, resolve_choice
from facebench.results.tables.photographs import check_numbers

DETECTORS, LANDMARKS = ("embedded", "mtcnn"), ("embedded", "face-api-68")
HEAD = (
    *("method", "model", "detector", "landmarks", "found", "false"),
    *("network, inner 51, %", "projected, inner 51, %", "above 10 %"),
    *("mouth", "blink", "yaw"),
)


class OneLook:
    """A detector that remembers what it found; a `ManyFacesDetector`.

    Args:
        detector: looks at each picture once.
    """

    def __init__(self, detector: ManyFacesDetector) -> None:
        self._detector = detector
        self._found: dict[int, list[Box]] = {}

    def detect(self, frame: NDArray[np.uint8]) -> Box | None:
        """The largest face."""
        return next(iter(self.detect_all(frame)), None)

    def detect_all(self, frame: NDArray[np.uint8]) -> list[Box]:
        """Boxes of all faces."""
        key = hash((frame.shape, frame.tobytes()))
        if key not in self._found:
            self._found[key] = self._detector.detect_all(frame)
        return self._found[key]


def combinations(models: list[str]) -> Iterator[tuple[str, str, str]]:
    """Method, model and landmarks."""
    for landmarks, model in product(LANDMARKS, models):
        yield "fitting", model, landmarks
    # The package has weights for these two.
    for landmarks, model in product((NONE, *LANDMARKS), (HUMAN, EMBEDDED)):
        yield "ours", model, landmarks


def main() -> None:
    """Print the table, a line as soon as it is measured."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--reference", type=Path, required=True)
    arguments.add_argument("--model", action="append", default=[], help="Also fit this one.")
    arguments.add_argument("--limit", type=int)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    photographs, missing = read_reference(given.reference, given.folder)
    if missing:
        print(f"{len(missing)} photographs are not there, {missing[0]} for one", file=sys.stderr)
    photographs = photographs[: given.limit]
    print("|".join(("", *HEAD, "")), "|".join(("", *["---"] * len(HEAD), "")), sep="\n")
    for name in DETECTORS:
        try:
            detector = OneLook(make_detector(resolve_choice("detector", name), tilted=True))
        except FacebenchError as error:
            print(error_line(error), file=sys.stderr)
            continue
        for method, model, landmarks in combinations([HUMAN, EMBEDDED, *given.model]):
            try:
                choice = choose_method(method, model, None, landmarks)
                numbers = measure(photographs, detector, choice)
            except FacebenchError as error:
                print(error_line(error), file=sys.stderr)
                continue
            told = (method, choice.model, name, landmarks, *cells(numbers))
            print("|".join(("", *told, "")), flush=True)


def measure(
    photographs: list[ReferencePhotograph],
    detector: ManyFacesDetector,
    choice: ReconstructionMethod,
) -> dict[str, Any]:
    """All numbers of one combination."""
    points = "embedded" if choice.landmarks == NONE else choice.landmarks
    networks: Networks = (
        detector,
        make_landmark_detector(points),
        make_reconstructor(load_model(choice.model), choice)[0],
        make_identity_features("embedded"),
    )
    return check_numbers(check_photographs(photographs, networks))


def cells(numbers: dict[str, Any]) -> tuple[str, ...]:
    """The columns from `found` on."""
    errors, following = numbers["errors"], numbers["following"]["reconstruction"]
    own = errors["reconstruction"]["inner 51"]
    slopes = (following[name] for name in ("mouth opening", "blink", "yaw"))
    return (
        f"{sum(numbers['found'].values())} of {sum(numbers['faces'].values())}",
        str(len(numbers["false"])),
        percent(errors["landmarks"]["inner 51"]["median"]),
        percent(own["median"]),
        percent(own["share_above_10_percent"]),
        *(f"{number(one['slope'])} ({number(one['r'])})" for one in slopes),
    )


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
