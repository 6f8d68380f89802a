"""`check_method`: a method by name, taken through everything that the benchmark asks of it.

One that reads frames is loaded, run on synthetic portraits, saved, run again, in batches; of one
that comes as files: which subjects and scenes are there, and whether each mesh is a face.
"""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from ...errors import (
    FacebenchError,
    Finding,
    Verdict,
    attempt,
    count_of,
    crash,
    failure,
    some,
    success,
    warning,
)
from ...recon.morphable import EMBEDDED
from ...recon.morphable.load import load_model
from ..dataset.interface import Item
from ..datasets.micc import VIDEO_OF_SCENE
from ..landmarks import Landmarks
from ..method.interface import FileMethod, HoldsMeshes, Method, MethodOptions
from ..method.mesh_files import MeshPredictions, loose_name
from ..method.registry import build_method, method_card, method_origin, open_method
from .predictions import (
    Trial,
    Vectors,
    check_arrays,
    check_average,
    check_batches,
    check_card,
    check_digests,
    check_face,
    check_output,
    check_parts,
    check_pictures,
    check_repetition,
    check_saved,
    check_state,
    check_surface,
    check_topology,
    process_state,
)

_SEVERITY = (Verdict.FAILED, Verdict.WARNING, Verdict.PASSED)
ALL_SCENES = ""
_SUBJECT = re.compile(r"subject_\d\d+")

SMALLEST_CROP, LARGEST_CROP = 16, 1024

Elsewhere = Callable[[NDArray[np.uint8]], Vectors]
"""Describes crops with the same method in another process."""

SUBJECTS, FRAMES = 2, 4
SEED = 20
"""Another seed than the embedded weights were trained with."""

REPEATS = 3


def check_method(name: str, options: MethodOptions) -> list[Finding]:
    """Every finding on a method, in the order in which they were found.

    Args:
        name: a method's name, or `NAME:SOURCE` for one that comes as files.
        options: what it is built from.

    Raises:
        FacebenchError: there is no such method, or what it is to be built from cannot be used.
    """
    before, base = process_state(), name.partition(":")[0]
    card = attempt("card", partial(check_card, base, method_card(base)))
    try:
        method = open_method(name, options)
    except FacebenchError:
        raise
    except Exception as error:  # a method raises whatever it likes
        return [*card, crash("loads", error)]
    loaded = success("loads", f"{method_origin(base)}, reads {method.card.kind}")
    if isinstance(method, HoldsMeshes):
        # Opened twice: a digest that changes would break resumption of every run.
        again = open_method(name, options)
        digests = attempt("digest", partial(check_digests, method, again))
        return [*card, loaded, *digests, *check_file_method(method)]
    build = partial(build_method, name, options)
    elsewhere = partial(describe_elsewhere, name, options)
    found = check_frame_method(method, build, elsewhere)
    state = attempt("state", partial(check_state, before, process_state()))
    return [*card, loaded, *found, *state, *check_expressions(options, name)]


def check_file_method(method: FileMethod) -> list[Finding]:
    """Every finding on the faces of a file method; a finding on many meshes is reported once."""
    found: dict[str, list[Finding]] = {}
    shapes: set[tuple[int, int]] = set()
    for name in method.names:
        item = Item(name, name, names=(name,))
        found[name] = attempt("file", partial(_check_one, method, item, shapes))
    return [
        *attempt("files", lambda: _check_names(method)),
        *_summarise(found),
        *_check_topology(shapes),
    ]


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


def seconds_per_face(method: Method) -> float:
    """Processor seconds that describing one face takes in batches of eight, the least of some runs.

    Of all threads together, without decoding and detection, which are the same for every method.
    On a GPU it is what the processor does meanwhile: compare methods on one kind of machine.
    """
    crops = portraits(method.crop_size)
    method.describe(crops)
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        method.describe(crops)
        # The least of several: whatever else the machine does can only add.
        found.append(time.process_time() - start)
    return min(found) / len(crops)


def _check_one(method: FileMethod, item: Item, shapes: set[tuple[int, int]]) -> Iterator[Finding]:
    mesh = method.mesh_for(item)
    shapes.add((len(mesh.vertices), len(mesh.triangles)))
    yield success("file", "read")
    arrays = list(check_arrays(mesh))
    yield from arrays
    # Geometry of broken arrays would only raise, and hide what is wrong behind a traceback.
    if any(finding.verdict is Verdict.FAILED for finding in arrays):
        return
    points, found = _landmarks(method, item)
    yield from found
    yield from attempt("face", partial(check_face, mesh, points))
    if isinstance(method, MeshPredictions):
        yield from check_surface(method.mesh_in_file(item))


def _landmarks(method: FileMethod, item: Item) -> tuple[Landmarks | None, list[Finding]]:
    """The landmarks beside a mesh, or what is wrong with them."""
    try:
        return method.landmarks_for(item), []
    except Exception as error:  # a method raises whatever it likes
        return None, [crash("landmarks", error)]


def _check_names(method: FileMethod) -> Iterator[Finding]:
    """Which subjects and scenes there are, and what was not understood."""
    # No scene stands for all of them.
    faces = [name.partition("/")[::2] for name in method.names]
    scenes: dict[str, set[str]] = {}
    for subject, scene in faces:
        scenes.setdefault(subject, set()).add(scene)
    names = ", ".join(sorted({scene or "all scenes" for _, scene in faces}))
    yield success(
        "files",
        f"{count_of(len(faces), 'mesh', 'meshes')} of {count_of(len(scenes), 'subject')}: {names}",
    )
    yield from _not_of_micc(faces)
    # A mesh for all scenes needs no mesh per scene.
    several = {scene for held in scenes.values() for scene in held} - {ALL_SCENES}
    lacking = [s for s, held in scenes.items() if ALL_SCENES not in held and several - held]
    if lacking:
        advice = "each missing face becomes a failed row"
        yield warning("scenes", f"not all scenes of {some(lacking)}", advice)
    if isinstance(method, MeshPredictions) and method.folder.strangers:
        strange = [str(path.relative_to(method.folder.root)) for path in method.folder.strangers]
        advice = "a mesh is SUBJECT/SCENE.obj or SUBJECT.obj, its landmarks the same with .txt"
        yield warning("names", f"not understood: {some(strange)}", advice)


def _not_of_micc(faces: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Names that MICC's set would not ask for: right for another dataset, a mistake for that."""
    # Not an error: the same folder layout serves other datasets.
    strange = sorted({subject for subject, _ in faces if not _SUBJECT.fullmatch(subject.lower())})
    if strange:
        advice = "MICC's are subject_01, subject_02 …; right for another dataset"
        yield warning("subjects", f"not MICC's: {some(strange)}", advice)
    videos = {loose_name(video) for video in VIDEO_OF_SCENE.values()}
    known = {*VIDEO_OF_SCENE, ALL_SCENES}
    unknown = sorted(
        f"{subject}/{scene}"
        for subject, scene in faces
        if scene.lower() not in known and loose_name(scene) not in videos
    )
    if unknown:
        advice = f"MICC's are {', '.join(VIDEO_OF_SCENE)}; right for another dataset"
        yield warning("scenes", f"not MICC's: {some(unknown)}", advice)


def _summarise(found: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """For each check its worst finding, with how many of the meshes have it."""
    by_check: dict[str, list[tuple[str, Finding]]] = {}
    for where, findings in found.items():
        for finding in findings:
            by_check.setdefault(finding.check, []).append((where, finding))
    return [_worst(items) for items in by_check.values()]


def _worst(items: Sequence[tuple[str, Finding]]) -> Finding:
    # Hundreds of meshes with one fault are one finding with a count.
    where, worst = min(items, key=lambda item: _SEVERITY.index(item[1].verdict))
    same = sum(finding.verdict is worst.verdict for _, finding in items)
    if worst.verdict is Verdict.PASSED:
        return success(worst.check, f"all {same}: {worst.detail}")
    detail = f"{same} of {len(items)}, as {where}: {worst.detail}"
    return Finding(worst.check, worst.verdict, detail, worst.advice)


def _check_topology(shapes: set[tuple[int, int]]) -> list[Finding]:
    if len(shapes) == 1:
        ((n_vertices, n_triangles),) = shapes
        return [success("topology", f"one: {n_vertices:,} vertices, {n_triangles:,} triangles")]
    advice = "fine for scores; heat maps of different subjects cannot be averaged"
    return [warning("topology", f"{len(shapes)} different ones", advice)] if shapes else []


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
