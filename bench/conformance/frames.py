"""A method that reads frames: loaded, run, saved, run again, batch by batch."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..method.interface import Method, MethodOptions
from ..method.registry import build_method
from .card import check_digests, check_parts
from .face import check_arrays, check_face, check_saved, check_surface
from .finding import Finding, Verdict, attempt, failed, passed
from .pictures import portraits
from .vectors import (
    Trial,
    Vectors,
    check_average,
    check_batches,
    check_output,
    check_pictures,
    check_repetition,
    check_topology,
)

SMALLEST_CROP, LARGEST_CROP = 16, 1024


Elsewhere = Callable[[NDArray[np.uint8]], Vectors]
"""Describes crops with the same method in another process."""


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
            other = build_method(name, replace(options, expression=expression))
            vector = other.describe(portraits(other.crop_size)[:1])[0]
            yield from (
                failed("expression", f"{expression}: {item.detail}", item.advice)
                for item in check_arrays(other.mesh(vector))
                if item.verdict is Verdict.FAILED
            )
        yield passed("expression", " and ".join(method.card.expressions))

    return attempt("expression", look)


def describe_elsewhere(name: str, options: MethodOptions, crops: NDArray[np.uint8]) -> Vectors:
    """Vectors of a method that a new process builds from its options, as every worker does."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_describe_anew, name, options, crops).result()


def _describe_anew(name: str, options: MethodOptions, crops: NDArray[np.uint8]) -> Vectors:
    return build_method(name, options).describe(crops)


def _check_size(size: int) -> Iterator[Finding]:
    if not isinstance(size, int) or not SMALLEST_CROP <= size <= LARGEST_CROP:
        advice = f"a whole number of pixels, {SMALLEST_CROP} to {LARGEST_CROP}"
        yield failed("crop size", f"{size!r}", advice)
    else:
        yield passed("crop size", f"{size} x {size} pixels")


def _describe(method: Method, crops: NDArray[np.uint8], found: list[Vectors]) -> Iterator[Finding]:
    found.append(method.describe(crops))
    yield from check_output(crops, found[0])


def _check_meshes(trial: Trial) -> list[Finding]:
    method = trial.method
    arrays = attempt("arrays", lambda: check_arrays(method.mesh(trial.vectors.mean(0))))
    if _failed(arrays):
        return arrays
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
