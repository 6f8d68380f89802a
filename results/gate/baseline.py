"""What a run is held against: the error of every subject in every scene, small enough to commit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import FacebenchError
from ...recon.files.field_types import checked
from ...recon.files.text import json_of
from ..files import write_json
from ..run.folder import RunFolder
from ..tables.basis import Basis
from ..tables.subject_errors import scene_column

FORMAT = 1
_DIGITS = 6


@dataclass(frozen=True)
class Baseline:
    """The numbers of an earlier run.

    Attributes:
        method: its name.
        basis: what the numbers stand on.
        commit: of the code that measured it, or empty.
        measured: when, UTC.
        frames_per_second: of the whole run, NaN when no frames were read.
        errors_mm: scene to subject to the protocol's statistic, mm; without what failed.
    """

    method: str
    basis: Basis
    commit: str
    measured: str
    frames_per_second: float
    errors_mm: Mapping[str, Mapping[str, float]]

    @classmethod
    def of_run(cls, run: RunFolder) -> Baseline:
        """That of a run that has its scores.

        Raises:
            FacebenchError: it has no summary.
        """
        record, subjects = run.record(), run.subjects()
        rates = (cell.frames_per_second for cell in run.summary().values())
        return cls(
            method=record.method,
            basis=Basis.of(record),
            commit=record.commit,
            measured=record.ended,
            frames_per_second=next(rates, math.nan),
            errors_mm={scene: scene_column(subjects, scene) for scene in record.scenes},
        )

    def write(self, path: Path) -> None:
        """Write the JSON file, one subject a line, errors to a millionth of a millimetre."""
        errors = {
            scene: {subject: round(value, _DIGITS) for subject, value in sorted(column.items())}
            for scene, column in self.errors_mm.items()
        }
        rate = round(self.frames_per_second, 2)
        values = {**asdict(self), "frames_per_second": rate, "errors_mm": errors}
        write_json(path, {"facebench_baseline": FORMAT, **values})

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Read such a file.

        Raises:
            FacebenchError: it is not one.
        """
        values = _json(path)
        if not isinstance(values, dict) or values.pop("facebench_baseline", None) != FORMAT:
            raise FacebenchError(
                f"{path} is not a baseline of this version", "write one with --update-baseline"
            )
        try:
            return _parsed(values)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            said = f"{type(error).__name__}: {error}"
            raise FacebenchError(f"{path} is damaged ({said})", "write it anew") from error


def _parsed(values: dict[str, Any]) -> Baseline:
    basis = values.pop("basis")
    basis |= {name: tuple(basis[name]) for name in ("subjects", "scenes")}
    rate = values.pop("frames_per_second")
    errors = {
        str(scene): {str(subject): _finite(value) for subject, value in column.items()}
        for scene, column in values.pop("errors_mm").items()
    }
    return checked(
        Baseline(
            **values,
            basis=checked(Basis(**basis)),
            frames_per_second=math.nan if rate is None else float(rate),
            errors_mm=errors,
        )
    )


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value} is not a finite number")
    return number


def _json(path: Path) -> Any:
    try:
        return json_of(path)
    except FileNotFoundError:
        raise FacebenchError(
            f"{path}: no such baseline", "write it with --update-baseline"
        ) from None
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path} cannot be read as JSON: {error}") from error
