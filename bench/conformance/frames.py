"""A method that reads frames: loaded, run on synthetic portraits, saved, run again, in batches."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from ...errors import Finding, Verdict, attempt, failure, success
from ...recon.morphable import EMBEDDED
from ...recon.morphable.load import load_model
from ..method.interface import Method, MethodOptions
from ..method.registry import build_method
from .predictions import (
    Trial,
    Vectors,
    check_arrays,
    check_average,
    check_batches,
    check_digests,
    check_face,
    check_output,
    check_parts,
    check_pictures,
    check_repetition,
    check_saved,
    check_surface,
    check_topology,
)

SMALLEST_CROP, LARGEST_CROP = 16, 1024

Elsewhere = Callable[[NDArray[np.uint8]], Vectors]
"""Describes crops with the same method in another process."""

SUBJECTS, FRAMES = 2, 4
SEED = 20
"""Another seed than the embedded weights were trained with."""

REPEATS = 3


def check_frame_method(
    method: Method, build: Callable[[], Method], elsewhere: Elsewhere
) -> list[Finding]:
    """Every finding on a method, in the order in which they were found.

    Args:
        method: built.
        build: makes it once more.
        elsewhere: as a worker does.
    """
    size = attempt("crop size", lambda: _check_size(method.crop_size))
    # Without a usable size there is nothing to crop, so nothing else can be asked.
    if _failed(size):
        return size
    crops = portraits(method.crop_size)
    found: list[Vectors] = []
    output = attempt("vectors", lambda: _describe(method, crops, found))
    if _failed(output):
        return [*size, *output]
    trial = Trial(method, crops, found[0])
    return [*size, *output, *_check_meshes(trial), *_check_runs(trial, build, elsewhere)]


def check_expressions(options: MethodOptions, name: str) -> list[Finding]:
    """Each expression that the card promises can be built and decoded."""

    def look() -> Iterator[Finding]:
        method = build_method(name, options)
        for expression in method.card.expressions:
            # A choice of the options and not of a call: workers build their methods from options.
            other = build_method(name, replace(options, expression=expression))
            vector = other.describe(portraits(other.crop_size)[:1])[0]
            yield from (
                failure("expression", f"{expression}: {item.detail}", item.advice)
                for item in check_arrays(other.mesh(vector))
                if item.verdict is Verdict.FAILED
            )
        yield success("expression", " and ".join(method.card.expressions))

    return attempt("expression", look)


def describe_elsewhere(name: str, options: MethodOptions, crops: NDArray[np.uint8]) -> Vectors:
    """Vectors of a method that a new process builds from its options, as every worker does."""
    # A fresh interpreter as on another machine: a fork would inherit the warm state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_describe_anew, name, options, crops).result()


def _describe_anew(name: str, options: MethodOptions, crops: NDArray[np.uint8]) -> Vectors:
    return build_method(name, options).describe(crops)


def _check_size(size: int) -> Iterator[Finding]:
    if not isinstance(size, int) or not SMALLEST_CROP <= size <= LARGEST_CROP:
        advice = f"a whole number of pixels, {SMALLEST_CROP} to {LARGEST_CROP}"
        yield failure("crop size", f"{size!r}", advice)
    else:
        yield success("crop size", f"{size} x {size} pixels")


def _describe(method: Method, crops: NDArray[np.uint8], found: list[Vectors]) -> Iterator[Finding]:
    found.append(method.describe(crops))
    yield from check_output(crops, found[0])


def _check_meshes(trial: Trial) -> list[Finding]:
    method = trial.method
    arrays = attempt("arrays", lambda: check_arrays(method.mesh(trial.vectors.mean(0))))
    if _failed(arrays):
        return arrays
    # The mesh of the mean vector is what a run writes and measures.
    mesh, meshes = method.mesh(trial.vectors.mean(0)), trial.meshes()
    return [
        *arrays,
        *attempt("face", partial(check_face, mesh)),
        *attempt("surface", partial(check_surface, mesh)),
        *attempt("saved", partial(check_saved, mesh)),
        *attempt("parts", partial(check_parts, method, mesh)),
        *attempt("topology", partial(check_topology, meshes)),
        *attempt("average", partial(check_average, trial, meshes)),
    ]


def _check_runs(trial: Trial, build: Callable[[], Method], elsewhere: Elsewhere) -> list[Finding]:
    return [
        *attempt("pictures", partial(check_pictures, trial)),
        *attempt("repetition", partial(check_repetition, trial)),
        *attempt("batch size", partial(check_batches, trial)),
        *attempt("built again", lambda: _check_built_again(trial, build())),
        *attempt("other process", lambda: _check_elsewhere(trial, elsewhere)),
    ]


def _check_built_again(trial: Trial, again: Method) -> Iterator[Finding]:
    yield from check_digests(trial.method, again)
    advice = "a method is its options: what it learns while it runs must not count"
    vectors = again.describe(trial.crops)
    yield from trial.compare("built again", vectors, "the same numbers", advice)


def _check_elsewhere(trial: Trial, elsewhere: Elsewhere) -> Iterator[Finding]:
    advice = "workers must give the same numbers: seed what is random, sort what is a set"
    same = "a worker gives the same numbers"
    yield from trial.compare("other process", elsewhere(trial.crops), same, advice)


def _failed(findings: list[Finding]) -> bool:
    return any(finding.verdict is Verdict.FAILED for finding in findings)


@lru_cache(maxsize=2)
def portraits(size: int) -> NDArray[np.uint8]:
    """Crops (8, size, size, 3) RGB: two people of the embedded model, four pictures each."""
    from ...recon.synthetic.faces import FaceSampler

    sampler = FaceSampler(load_model(EMBEDDED), SEED, size)
    faces = [sampler.face(person, frame) for person in range(SUBJECTS) for frame in range(FRAMES)]
    crops = np.stack([face.image for face in faces])
    # The pipeline hands out read-only batches, so a method that writes into them fails here too.
    crops.setflags(write=False)
    return crops


def seconds_per_face(method: Method, repeats: int = REPEATS) -> float:
    """Processor seconds that describing one face takes in batches of eight, the least of some runs.

    Of all threads together, without decoding and detection, which are the same for every method.
    On a GPU it is what the processor does meanwhile: compare methods on one kind of machine.
    """
    crops = portraits(method.crop_size)
    method.describe(crops)
    found = []
    for _ in range(repeats):
        start = time.process_time()
        method.describe(crops)
        # The least of several: whatever else the machine does can only add.
        found.append(time.process_time() - start)
    return min(found) / len(crops)
