"""From what a user asks for to what is run, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bench.dataset.interface import SCENES
from ..bench.datasets.micc import MiccDataset
from ..bench.method.interface import AnyMethod, HoldsMeshes, MethodOptions
from ..bench.method.registry import open_method
from ..bench.protocol.record import Protocol, read_settings
from ..errors import FacebenchError
from ..recon.morphable.load import EMBEDDED, load_model
from ..results.run.folder import RunRecord
from ..results.run.record import host, now, package_versions, source_state
from .benchmark import Benchmark, relevant_problems
from .frames import FrameJob


@dataclass(frozen=True)
class MiccRequest:
    """The options of `facebench micc` that decide what is run.

    Attributes:
        data: folder in MICC's layout.
        method: its name in the registry, or `NAME:SOURCE` for one that comes as files.
        checkpoint: trained weights, or None for those of the method.
        model: the face model, a name or a file.
        scenes, subjects, exclude: names; no subjects stands for all.
        limit: frames read of each clip at most, or None.
        workers: processes that describe faces, or None for one a GPU or processor.
        protocol: a preset's name or a TOML file.
        settings: changes of the protocol, `KEY=VALUE`.
        unit: of the scans' files: mm, cm or m.
        prediction_unit: of the meshes of a method that comes as files: mm, cm or m.
        seed: of the intervals.
    """

    data: Path
    method: str = "ours"
    checkpoint: Path | None = None
    model: str = "embedded"
    scenes: tuple[str, ...] = SCENES
    subjects: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    workers: int | None = None
    protocol: str = "micc"
    settings: tuple[str, ...] = ()
    unit: str = "mm"
    prediction_unit: str = "mm"
    seed: int = 0


def prepare(request: MiccRequest) -> Benchmark:
    """Find the data, build the method and the protocol; a mistake is told before Ray starts.

    Raises:
        FacebenchError: anything that was asked for is unknown or cannot be used.
    """
    dataset = read_dataset(request)
    protocol = read_settings(request.protocol, request.settings)
    options = method_options(request, protocol)
    method = open_method(request.method, options)
    return Benchmark(
        dataset=dataset,
        method=method,
        mean_face=load_model(options.model).mesh(),
        protocol=protocol,
        unit=request.unit,
        job=_frame_job(request, method, options, protocol),
    )


def method_options(request: MiccRequest, protocol: Protocol) -> MethodOptions:
    """What methods are built from, by absolute paths: workers may run in other folders."""
    model = request.model if request.model == EMBEDDED else str(Path(request.model).absolute())
    return MethodOptions(
        request.checkpoint and request.checkpoint.absolute(),
        model,
        unit=request.prediction_unit,
        expression=protocol.reduction.expression,
    )


def _frame_job(
    request: MiccRequest, method: AnyMethod, options: MethodOptions, protocol: Protocol
) -> FrameJob | None:
    """How frames are read, None for a method that reads none.

    Raises:
        FacebenchError: an option was given that is for the other kind of method.
    """
    if isinstance(method, HoldsMeshes):
        _refuse_frame_options(request)
        return None
    if request.prediction_unit != "mm":
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
    )


def _refuse_frame_options(request: MiccRequest) -> None:
    given = {"--checkpoint": request.checkpoint, "--limit": request.limit}
    for option, value in given.items():
        if value is not None:
            raise FacebenchError(
                f"{option} does nothing for method '{request.method}'",
                "it comes as files, no frame is read; leave the option out",
            )


def read_dataset(request: MiccRequest) -> MiccDataset:
    """The part of the folder that was asked for.

    Raises:
        FacebenchError: not MICC's layout, an unknown name, or nothing is left.
    """
    dataset = MiccDataset(
        request.data.absolute(), request.scenes, request.subjects or None, request.exclude
    )
    if not (dataset.subjects and dataset.scenes):
        raise FacebenchError(f"{request.data}: no subject or scene is left to measure")
    return dataset


def describe_run(
    benchmark: Benchmark,
    request: MiccRequest,
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
        scenes=dataset.scenes,
        excluded=tuple(sorted(request.exclude)),
        limit=request.limit,
        unit=request.unit,
        seed=request.seed,
        problems=relevant_problems(dataset, method),
        commit=commit,
        dirty=dirty,
        versions=package_versions(),
        host=host(),
        started=now(),
    )
