"""What a run is held against: the error of every subject in every scene, small enough to commit."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import FacebenchError
from ...recon.files.text import check_fields, read_json, write_json
from ..run.folder import RunFolder
from ..tables.basis import Basis, command_of, place_of
from ..tables.series import ERROR_COLUMNS, scene_column

FORMAT = 1
_DIGITS = 6


@dataclass(frozen=True)
class Baseline:
    """The numbers of an earlier run.

    Attributes:
        method: what tables call it.
        basis: what the numbers stand on.
        commit: of the code that measured it, or empty.
        measured: when, UTC.
        frames_per_second: of the whole run, NaN when no frames were read.
        errors_mm: scene to subject to the protocol's statistic, mm; without what failed.
        completeness: scene to the mean share of the scans that was covered, where it is known.
        shares: scene to subject to the share of its scan that was covered, where it is known.
    """

    method: str
    basis: Basis
    commit: str
    measured: str
    frames_per_second: float
    errors_mm: Mapping[str, Mapping[str, float]]
    completeness: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of_run(cls, run: RunFolder) -> Baseline:
        """That of a run that has its scores.

        Raises:
            FacebenchError: it has no summary.
        """
        record, subjects = run.record(), run.items((*ERROR_COLUMNS, "completeness"))
        summary = run.summary()
        # The speed is the run's and the same in every scene; the first stands for it.
        rates = (cell.frames_per_second for cell in summary.values())
        means = {scene: cell.completeness for scene, cell in summary.items()}
        return cls(
            method=record.label,
            basis=Basis.of(record),
            commit=record.commit,
            measured=record.ended,
            frames_per_second=next(rates, math.nan),
            errors_mm={scene: scene_column(subjects, scene) for scene in record.scenes},
            completeness={s: share for s, share in means.items() if math.isfinite(share)},
            shares={s: scene_column(subjects, s, "completeness") for s in record.scenes},
        )

    def write(self, path: Path) -> None:
        """Write the JSON file, one subject a line, errors to a millionth of a millimetre."""
        # No more digits than mean something: the file is read in pull requests.
        rate = round(self.frames_per_second, 2)
        values = {**asdict(self), "frames_per_second": rate}
        columns = {"errors_mm": _rounded(self.errors_mm), "shares": _rounded(self.shares)}
        write_json(path, {"facebench_baseline": FORMAT, **values, **columns})

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
            return _parse(values)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            said = f"{type(error).__name__}: {error}"
            raise FacebenchError(f"{path} is damaged ({said})", "write it anew") from error


def _rounded(columns: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {
        scene: {subject: round(value, _DIGITS) for subject, value in sorted(column.items())}
        for scene, column in columns.items()
    }


def _parse(values: dict[str, Any]) -> Baseline:
    basis = values.pop("basis")
    # JSON has lists only, and a basis is compared by equality.
    basis |= {name: tuple(basis[name]) for name in ("subjects", "scenes")}
    rate = values.pop("frames_per_second")
    errors = _columns(values.pop("errors_mm"))
    # A file of before shares were kept has none: then only the means can be compared.
    shares = _columns(values.pop("shares", {}))
    means = {str(scene): _finite(value) for scene, value in values.pop("completeness", {}).items()}
    return check_fields(
        Baseline(
            **values,
            basis=check_fields(Basis(**basis)),
            frames_per_second=math.nan if rate is None else float(rate),
            errors_mm=errors,
            completeness=means,
            shares=shares,
        )
    )


def _columns(values: Any) -> dict[str, dict[str, float]]:
    return {
        str(scene): {str(subject): _finite(value) for subject, value in column.items()}
        for scene, column in values.items()
    }


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value} is not a finite number")
    return number


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise FacebenchError(
            f"{path}: no such baseline", "write it with --update-baseline"
        ) from None
    except (OSError, ValueError) as error:
        raise FacebenchError(f"{path} cannot be read as JSON: {error}") from error


def update_baseline(run: RunFolder, path: Path) -> Baseline:
    """Write a run's errors as the baseline that later runs are held against.

    Args:
        run: finished, with every subject scored in every scene, measured by unchanged code.
        path: the JSON file; whatever else lies in its git checkout must be committed.

    Raises:
        FacebenchError: one of this is not so.
    """
    baseline = Baseline.of_run(run)
    _refuse_partial(run, baseline)
    record = run.record()
    # It could not be measured again: the code that did is in no commit.
    if record.dirty:
        raise FacebenchError(
            f"{place_of(run)} was measured by changed code on top of commit {record.commit[:8]}",
            "commit the changes and measure again, so that the baseline can be repeated",
        )
    if changed := uncommitted(path):
        raise FacebenchError(
            f"the git tree of {path} is dirty: {changed[0]} is not committed",
            "commit or drop the changes first",
        )
    baseline.write(path)
    return baseline


def uncommitted(path: Path) -> list[str]:
    """Changed tracked files of the git checkout around a path, without that file itself.

    Empty where there is no checkout, or git gives no answer.
    """
    # The file and its folder may not be there yet.
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    own = path.absolute().relative_to(folder).as_posix()
    command = ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no", "--"]
    try:
        done = subprocess.run(
            [*command, ":/", f":(exclude){own}"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line[3:] for line in done.stdout.splitlines()] if done.returncode == 0 else []


def _refuse_partial(run: RunFolder, baseline: Baseline) -> None:
    record = run.record()
    rows = run.items()
    scored = set(rows.loc[rows["value_mm"].notna(), "item"])
    lacking = [item for item in record.items if item not in scored]
    if not record.finished:
        raise FacebenchError(
            f"{place_of(run)} is unfinished", f"continue it with: {command_of(run)}"
        )
    # A baseline with gaps would let a later run fail on the same people unseen.
    if lacking:
        raise FacebenchError(
            f"{place_of(run)} covers only a part: {len(lacking)} of "
            f"{len(record.items)} have no score, {lacking[0]} is the first",
            "a baseline needs every subject in every scene; --exclude leaves a subject out openly",
        )
    if not any(baseline.errors_mm.values()):
        raise FacebenchError(f"{place_of(run)} was asked for nothing", "give a run with subjects")
