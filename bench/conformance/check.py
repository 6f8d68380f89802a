"""`check_method`: a method by name, taken through everything that the benchmark asks of it.

A method of frames goes through `frames.py`; one that comes as files is checked here: which subjects
and scenes are there, and whether each mesh is a face.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from ...errors import FacebenchError, Finding, Verdict, attempt, crash, some, success, warning
from ..dataset.interface import Item
from ..datasets.micc import VIDEO_OF_SCENE
from ..landmarks import Landmarks
from ..method.interface import FileMethod, HoldsMeshes, MethodOptions
from ..method.mesh_files import MeshPredictions, loose_name
from ..method.registry import build_method, method_card, method_origin, open_method
from .frames import check_expressions, check_frame_method, describe_elsewhere
from .predictions import check_arrays, check_card, check_digests, check_face, check_surface

_SEVERITY = (Verdict.FAILED, Verdict.WARNING, Verdict.PASSED)
ALL_SCENES = ""
_SUBJECT = re.compile(r"subject_\d\d+")


def check_method(name: str, options: MethodOptions) -> list[Finding]:
    """Every finding on a method, in the order in which they were found.

    Args:
        name: a method's name, or `NAME:SOURCE` for one that comes as files.
        options: what it is built from.

    Raises:
        FacebenchError: there is no such method, or what it is to be built from cannot be used.
    """
    base = name.partition(":")[0]
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
    return [*card, loaded, *found, *check_expressions(options, name)]


def check_file_method(method: FileMethod) -> list[Finding]:
    """Every finding on the faces of a file method; a finding on many meshes is told once."""
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
    yield success("files", f"{len(faces)} meshes of {len(scenes)} subjects: {names}")
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
