"""From what a user asks for to what is run, checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..bench.dataset.interface import Dataset, Item, Problem
from ..bench.dataset.registry import open_dataset, shared_files, with_digests
from ..bench.meshes.checks import read_mesh
from ..bench.meshes.units import ANY_UNIT, UnitError
from ..bench.method.clip_faces import FOLLOWING
from ..bench.method.interface import AnyMethod, HoldsMeshes, MethodOptions
from ..bench.method.mesh_files import MeshPredictions, loose_name
from ..bench.method.registry import open_method
from ..bench.protocol.record import Protocol, read_settings
from ..errors import FacebenchError, some, visible
from ..recon.files.contents import ABSENT, content_hashes
from ..recon.files.stores import shown
from ..recon.files.text import is_utf8
from ..recon.morphable import PACKAGED_MODELS
from ..recon.morphable.load import load_model
from ..recon.weights.catalogue import BEST, choice_identity, portable_choice, resolve_choice
from ..results.run.folder import RunRecord
from ..results.run.record import host, now, package_versions, source_state
from .benchmark import Benchmark
from .frames import FrameJob


@dataclass(frozen=True)
class RunRequest:
    """The options of `facebench run` that decide what is run.

    Attributes:
        data: folder of the dataset.
        method: its name in the registry, or `NAME:SOURCE` for one that comes as files.
        checkpoint: trained weights, or None for those of the method.
        model: the face model, a name or a file.
        dataset: its name in the registry.
        scenes, subjects: names; none stands for all.
        exclude: names of subjects, or `published`.
        limit: frames read of each clip at most, or None.
        first: items measured at most, the first by id; None for all.
        workers: processes that encode faces, or None for one a GPU or processor.
        protocol: a preset's name or a TOML file.
        settings: changes of the protocol, `KEY=VALUE`.
        unit: of the scans' files: mm, cm or m.
        prediction_unit: of the meshes of a method that comes as files: mm, cm, m or `any`; None
            stands for `any` where the protocol takes it, else for mm.
        seed: of the intervals.
        detector: finds the face in frames, see `recon.weights.catalogue.resolve_choice`.
        tracking: whether a face is followed from frame to frame, and detected where none can be.
        listed: the part of the data for methods that read frames, where it was listed already.
    """

    data: Path
    method: str = "ours"
    checkpoint: Path | None = None
    model: str = "embedded"
    dataset: str = "micc"
    scenes: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    first: int | None = None
    workers: int | None = None
    protocol: str = "micc"
    settings: tuple[str, ...] = ()
    unit: str = "mm"
    prediction_unit: str | None = None
    seed: int = 0
    detector: str = BEST
    tracking: bool = False
    listed: Dataset | None = field(default=None, repr=False, compare=False)


_ENOUGH = 12
"""Files for which one other unit would fit: all those of a large set would take minutes to read."""
_MOST_UNREAD = 120
"""Files without a size: where nobody has predictions or all is damaged, the rows will say so."""


def prepare(request: RunRequest) -> Benchmark:
    """Find the data, build the method and the protocol; a mistake is refused before Ray starts.

    Raises:
        FacebenchError: anything that was asked for is unknown or cannot be used.
    """
    # The cheap mistakes first; reading weights and hashing data takes seconds to minutes.
    _refuse_names(request)
    protocol = read_settings(request.protocol, request.settings)
    options = method_options(request, protocol)
    method = open_method(request.method, options)
    # After the method: of files, their names may decide which items there are.
    dataset = read_dataset(request, method)
    _check_units(request, method, dataset.items)
    return Benchmark(
        dataset=dataset,
        method=method,
        mean_face=load_model(options.model).mesh(),
        protocol=protocol,
        unit=request.unit,
        job=_frame_job(request, method, options, protocol),
        prediction_unit=options.unit,
    )


def _refuse_names(request: RunRequest) -> None:
    """Refuse names that the record of the run could not hold, before anything is measured."""
    given = (request.data, request.method, request.checkpoint, request.model, request.protocol)
    for name in map(str, given):
        if not is_utf8(name):
            raise FacebenchError(
                f"{visible(name)}: no UTF-8, which the record of a run cannot hold",
                "rename it, or give a link to it that is called otherwise",
            )


def method_options(request: RunRequest, protocol: Protocol) -> MethodOptions:
    """What methods are built from, by absolute paths: workers may run in other folders."""
    packaged = request.model in PACKAGED_MODELS
    model = request.model if packaged else str(Path(request.model).absolute())
    return MethodOptions(
        request.checkpoint and request.checkpoint.absolute(),
        model,
        unit=request.prediction_unit or (ANY_UNIT if protocol.takes_any_unit else "mm"),
        expression=protocol.reduction.expression,
    )


def _frame_job(
    request: RunRequest, method: AnyMethod, options: MethodOptions, protocol: Protocol
) -> FrameJob | None:
    """How frames are read, None for a method that reads none.

    Raises:
        FacebenchError: an option was given that is for the other kind of method.
    """
    if isinstance(method, HoldsMeshes):
        _refuse_frame_options(request)
        return None
    # An option that does nothing is refused, or its user would believe that it did.
    if request.prediction_unit not in (None, "mm"):
        raise FacebenchError(
            f"method '{request.method}' gives millimetres",
            "--prediction-unit is for methods that come as files, such as meshes:DIR",
        )
    return FrameJob(
        request.method,
        options,
        method.crop_size,
        request.limit,
        request.workers,
        protocol.reduction.average,
        # Resolved once, here: workers may see other folders of weights.
        portable_choice(resolve_choice("detector", request.detector)),
        request.tracking,
    )


def _refuse_frame_options(request: RunRequest) -> None:
    given = {"--checkpoint": request.checkpoint, "--limit": request.limit}
    for option, value in given.items():
        if value is not None:
            raise FacebenchError(
                f"{option} does nothing for method '{request.method}'",
                "it comes as files, no frame is read; leave the option out",
            )


def read_dataset(request: RunRequest, method: AnyMethod) -> Dataset:
    """The part of the folder that was asked for.

    Raises:
        FacebenchError: another layout, an unknown name, nothing is left, or a method that comes as
            files has none for it.
    """
    files = isinstance(method, HoldsMeshes)
    if request.listed is not None and not files:
        dataset = with_digests(request.listed)
    else:
        dataset = open_dataset(
            request.dataset,
            request.data.absolute(),
            request.scenes,
            request.subjects,
            request.exclude,
            method.names if isinstance(method, HoldsMeshes) else None,
        )
    if request.first is not None:
        dataset = replace(dataset, items=dataset.items[: request.first])
    if isinstance(method, HoldsMeshes) and not any(map(method.files_for, dataset.items)):
        _refuse_several(method, dataset)
        raise FacebenchError(
            f"{request.method}: no prediction of any of {len(dataset.items)} items, the first "
            f"'{dataset.items[0].id}'",
            _inner(method, dataset) or f"{dataset.name}: {dataset.card.layout}",
        )
    if isinstance(method, HoldsMeshes):
        dataset = replace(dataset, problems=(*dataset.problems, *_same_files(method, dataset)))
    if not files and not dataset.clips and not any(item.reason for item in dataset.items):
        raise FacebenchError(
            f"dataset '{dataset.name}' has no videos for method '{request.method}' to read",
            "give --predictions DIR, faces that are files already",
        )
    return dataset


def _same_files(method: HoldsMeshes, dataset: Dataset) -> Iterator[Problem]:
    """That a face is several people's, or its own scan: a copy under a wrong name."""
    chosen = [(item, path) for item in dataset.items for path in method.files_for(item)[:1]]
    hashes = content_hashes(
        {path for item, face in chosen for path in (face, *(s.path for s in item.scans))}
    )
    yield from shared_files([(i.subject, path) for i, path in chosen], "prediction", hashes)
    own = ((item, hashes[face]) for item, face in chosen if hashes[face] != ABSENT)
    same = [item.id for item, sha in own if sha in {hashes[s.path] for s in item.scans}]
    if same:
        yield Problem("predictions", f"the file of the scan itself, for {some(same)}")


def _refuse_several(method: AnyMethod, dataset: Dataset) -> None:
    """Refuse a folder that holds each face several times, as `a.obj` beside `a.ply`."""
    if isinstance(method, MeshPredictions):
        meshes = method.folder.meshes.items()
        twice = {loose_name(name) for name, files in meshes if len(files) > 1}
        for item in dataset.items:
            if twice & set(map(loose_name, item.names)):
                method.folder.find(item)  # which says so


def _check_units(request: RunRequest, method: AnyMethod, items: Sequence[Item]) -> None:
    """Refuse a unit in which no scan, or no prediction, is as large as a face.

    Else each would be measured and become a row with that reason, the last of them after minutes.
    """
    scans = dict.fromkeys(scan.path for item in items for scan in item.scans)
    _check_size([partial(read_mesh, path, request.unit, points=True) for path in scans], "scans")
    if isinstance(method, HoldsMeshes):
        _check_size([partial(method.mesh_for, item) for item in items], "predictions")


def _check_size(read: Sequence[Callable[[], object]], what: str) -> None:
    # By message, which names the file: one face may be of several scenes.
    wrong: dict[str, UnitError] = {}
    unread = 0
    # From all over the list, by steps of the golden ratio: the first people may have been scanned
    # with another device than the rest.
    for number in sorted(range(len(read)), key=lambda number: number * 0.618034 % 1.0):
        if unread >= _MOST_UNREAD:
            return  # too few were seen to hold them against the rest
        if len(wrong) >= _ENOUGH and len({error.hint for error in wrong.values()}) == 1:
            what += " looked at"
            break
        try:
            read[number]()
        except UnitError as error:
            wrong[error.message] = error
        except Exception:  # of one file: its row will have the reason
            unread += 1
        else:
            return  # one fits: of a right run nothing more is read
    if wrong:
        first = next(iter(wrong.values()))
        many = f"none of {len(wrong)} {what} is as large as a face: " if len(wrong) > 1 else ""
        raise FacebenchError(f"{many}{first.message}", first.hint)


def _inner(method: AnyMethod, dataset: Dataset) -> str:
    """Whether a folder inside the one that was given holds the predictions; else empty."""
    if not isinstance(method, MeshPredictions):
        return ""
    tops = {name.partition("/")[0] for name in method.names if "/" in name}
    wanted = {name.lower() for item in dataset.items for name in item.names}
    for top in sorted(tops):
        if any(name.lower().removeprefix(f"{top.lower()}/") in wanted for name in method.names):
            return f"did you mean {method.folder.root / top}?"
    return ""


def describe_run(
    benchmark: Benchmark,
    request: RunRequest,
    command: str,
    given: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> RunRecord:
    """The record of a run that starts now."""
    commit, dirty = source_state()
    dataset, method, protocol = benchmark.dataset, benchmark.method, benchmark.protocol
    return RunRecord(
        command=command,
        given=dict(given),
        arguments=dict(arguments),
        card=method.card,
        method_digest=method.digest,
        model_digest=method.model_digest,
        checkpoint_digest=method.checkpoint_digest,
        protocol=protocol.name,
        protocol_settings=protocol.to_dict(),
        protocol_digest=protocol.digest,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        subjects=dataset.subjects,
        scenes=dataset.table_scenes,
        excluded=tuple(sorted(dataset.excluded)),
        limit=request.limit,
        unit=request.unit,
        seed=request.seed,
        # Methods that come as files read no frames: nothing found a face in them.
        detector=choice_identity("detector", resolve_choice("detector", request.detector))
        if benchmark.job
        else "",
        tracking=FOLLOWING if benchmark.job is not None and benchmark.job.tracking else 0,
        problems=benchmark.problems(),
        commit=commit,
        dirty=dirty,
        versions=package_versions(),
        host=host(),
        started=now(),
        items=tuple(item.id for item in dataset.items),
        data=shown(dataset.root),
        commits=(f"{commit}{'+' * dirty}",) if commit else (),
    )
