"""A run becomes the new baseline, if it is one that others can repeat."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ...errors import FacebenchError
from ..run.folder import RunFolder
from ..tracking.open_runs import place_of
from .baseline import Baseline


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

    None where there is no checkout.
    """
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
    lacking = [
        f"{subject}/{scene}"
        for scene in record.scenes
        for subject in record.subjects
        if subject not in baseline.errors_mm[scene]
    ]
    if not record.finished:
        raise FacebenchError(
            f"{place_of(run)} is unfinished", f"continue it with: {record.command}"
        )
    if lacking or not any(baseline.errors_mm.values()):
        raise FacebenchError(
            f"{place_of(run)} covers only a part: {len(lacking)} of "
            f"{len(record.scenes) * len(record.subjects)} have no score, {lacking[0]} is the first",
            "a baseline needs every subject in every scene; --exclude leaves a subject out openly",
        )
