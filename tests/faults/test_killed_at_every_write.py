"""A training that stops in the middle of any write ends, resumed, as one that never stopped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from same_results import training_differences
from training_faces import small_recipe, write_training_faces

from facebench.recon.training.loop import TrainingFolder
from facebench.recon.training.optimise import Row
from facebench.recon.training.run import TrainingJob, train_worker
from facebench.recon.training.workers import Worker

SETTINGS = ("training.steps=2", "training.checkpoint_every=1", "training.validate_every=1")


class KilledError(BaseException):
    """What nobody catches."""


@contextmanager
def killed_at(write: int) -> Iterator[None]:
    """Inside the block the given write, counted from 1, is the last thing that happens.

    A file that is replaced is lost before its new content takes its place, of a line of a table
    half is written; what would tidy up afterwards does nothing.
    """
    left, replace, append = write, os.replace, TrainingFolder.append

    def last() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def replaced(source: Any, target: Any) -> None:
        if last():
            patched.setattr(Path, "unlink", lambda self, missing_ok=False: None)
            raise KilledError
        replace(source, target)

    def appended(folder: TrainingFolder, table: Path, row: Row) -> None:
        if table.is_file() and last():
            with table.open("a") as file:
                file.write(",".join(map(repr, row.values()))[:-3] + "e-")
            raise KilledError
        append(folder, table, row)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "replace", replaced)
        patched.setattr(TrainingFolder, "append", appended)
        yield


def train(folder: Path, out: str) -> None:
    """What the command does in its folder."""
    model, faces = str(folder / "model.npz"), folder / "faces"
    job = TrainingJob(faces, small_recipe(*SETTINGS), model, folder / out, validation=faces)
    with job.folder.locked():
        train_worker(job, Worker(), lambda row: None)


def test_whichever_write_it_dies_at(tmp_path: Path) -> None:
    """Checkpoints, log, validation, pictures, weights: each replaced or appended to by half."""
    write_training_faces(tmp_path, subjects=2)
    train(tmp_path, "whole")
    for write in count(1):
        out = f"killed-{write}"
        try:
            with killed_at(write):
                train(tmp_path, out)
            break
        except KilledError:
            pass
        train(tmp_path, out)
        assert training_differences(tmp_path / "whole", tmp_path / out) == [], out
    assert write > 9
