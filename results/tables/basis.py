"""What makes numbers comparable: finished runs of one protocol on the same data."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...bench.protocol.values import flatten
from ...errors import FacebenchError
from ...recon.files.stores import is_address, shown

if TYPE_CHECKING:
    # Listing protocols needs a digest in short, and neither pandas nor the meshes of a run.
    from ..run.folder import RunFolder, RunRecord

DIGEST_LENGTH = 8
ABSENT = "not stated"
_LISTED = 6

MLFLOW_ID = re.compile(r"[0-9a-f]{32}")
"""What MLflow calls its runs."""

Kind = Literal["protocol", "dataset"]


@dataclass(frozen=True)
class Basis:
    """What a number of a run stands on.

    Attributes:
        protocol, protocol_digest, protocol_settings: how it was measured.
        dataset, dataset_digest: on what; the digest is of the files of these subjects and scenes.
        subjects, scenes: that were asked for.
        limit: frames read of each clip at most, or None for all.
        unit: of the scans' files.
    """

    protocol: str
    protocol_digest: str
    protocol_settings: Mapping[str, Any]
    dataset: str
    dataset_digest: str
    subjects: tuple[str, ...]
    scenes: tuple[str, ...]
    limit: int | None
    unit: str

    @classmethod
    def of(cls, record: RunRecord) -> Basis:
        """That of a run."""
        return cls(**{name: getattr(record, name) for name in cls.__dataclass_fields__})

    @property
    def key(self) -> tuple[str, str]:
        """Equal for numbers that may share a column."""
        return self.protocol_digest, self.dataset_digest

    @property
    def title(self) -> str:
        """Protocol and dataset with their short digests."""
        protocol = f"protocol {self.protocol} ({short_digest(self.protocol_digest)})"
        return f"{protocol}, dataset {self.dataset} ({short_digest(self.dataset_digest)})"


@dataclass(frozen=True)
class FieldDifference:
    """A field that is not the same for all.

    Attributes:
        kind: of what it is a field.
        name: for example `crop.radius_mm`.
        values: one text each, in the order of the bases.
    """

    kind: Kind
    name: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {' / '.join(self.values)}"


def short_digest(digest: str) -> str:
    """The first digits of a digest, as shown to people."""
    return digest[:DIGEST_LENGTH]


def differing_fields(bases: Sequence[Basis]) -> tuple[FieldDifference, ...]:
    """Every field in which bases differ, those of the protocol first.

    Protocols of one digest are one, whatever they are called.
    """
    # A name alone is no difference: a preset and a file of it measure the same.
    same = len({basis.protocol_digest for basis in bases}) < 2
    protocol = [] if same else _differences("protocol", bases)
    return (*protocol, *_differences("dataset", bases))


def differences_text(differences: Sequence[FieldDifference]) -> str:
    """Differing fields in one line, the first of many."""
    shown = "; ".join(map(str, differences[:_LISTED]))
    hidden = len(differences) - _LISTED
    return f"{shown}; and {hidden} more" if hidden > 0 else shown


def refuse_unfinished(run: RunFolder) -> None:
    """A run can be compared when it has a summary and the scores behind it.

    Raises:
        FacebenchError: it has not.
    """
    if not (run.root / "summary.json").is_file():
        raise FacebenchError(
            f"{place_of(run)} is unfinished, it has no summary",
            f"continue it with: {command_of(run)}",
        )
    try:
        run.summary()
        empty = run.items().empty
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise FacebenchError(f"{place_of(run)} cannot be read: {reason[0]}") from error
    if empty:
        raise FacebenchError(f"{place_of(run)} has no scores of subjects", "measure it again")


def refuse_repeated(runs: Sequence[RunFolder]) -> None:
    """Refuse no runs, and one that is given twice."""
    if not runs:
        raise FacebenchError("no runs to compare", "give at least one run folder")
    # By what a path leads to: a link to a run is the same run.
    places = [run.root.resolve() for run in runs]
    for run, place in zip(runs, places, strict=True):
        if places.count(place) > 1:
            raise FacebenchError(f"{run.root} is given twice", "give each run once")


def place_of(run: RunFolder) -> str:
    """What the run was asked for by: an MLflow run's id, or the folder."""
    return run.root.name if MLFLOW_ID.fullmatch(run.root.name) else shown(run.root)


def command_of(run: RunFolder) -> str:
    """The command that continues a run, in the folder where it is now: it may be a copy of that
    which the command began."""
    record, place = run.record(), place_of(run)
    began = str(record.arguments.get("out") or "")
    if not began or is_address(began) or MLFLOW_ID.fullmatch(place):
        return record.command
    if Path(began).resolve() == run.root.resolve():
        return record.command
    return record.command.replace(
        f"--out {shlex.quote(began)}", f"--out {shlex.quote(place)}"
    ).replace(f"out={began!r}", f"out={place!r}")


def _differences(kind: Kind, bases: Sequence[Basis]) -> list[FieldDifference]:
    rows = [_protocol_fields(b) if kind == "protocol" else _dataset_fields(b) for b in bases]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [(name, tuple(row.get(name, ABSENT) for row in rows)) for name in names]
    return [FieldDifference(kind, name, values) for name, values in columns if len({*values}) > 1]


def _protocol_fields(basis: Basis) -> dict[str, str]:
    # The settings' own name is left out: it stands in front already.
    settings = {key: str(v) for key, v in flatten(basis.protocol_settings) if key != "name"}
    digest = short_digest(basis.protocol_digest)
    return {"protocol": basis.protocol, "protocol digest": digest, **settings}


def _dataset_fields(basis: Basis) -> dict[str, str]:
    return {
        "dataset": basis.dataset,
        "dataset digest": short_digest(basis.dataset_digest),
        "subjects": _names(basis.subjects),
        "scenes": _names(basis.scenes),
        "limit": "all frames" if basis.limit is None else f"{basis.limit} frames",
        "unit": basis.unit,
    }


def _names(names: Sequence[str]) -> str:
    """All of few names, else how many and which are first and last."""
    if len(names) <= 3:
        return ", ".join(names)
    return f"{len(names)} ({names[0]} … {names[-1]})"
