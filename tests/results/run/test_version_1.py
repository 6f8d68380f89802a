"""A run folder that facebench 0.1 wrote is read, compared, and never continued."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facebench.errors import FacebenchError
from facebench.results.compare import compare
from facebench.results.run.folder import RunFolder
from facebench.results.run.items import schema

KEPT = Path(__file__).parent / "version_1"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    shutil.copytree(KEPT, tmp_path / "old")
    return RunFolder.existing(tmp_path / "old")


def _plain(value: object) -> object:
    """A list for an array: both print every digit."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_its_numbers_are_read_to_the_last_digit(run: RunFolder) -> None:
    before, now = pd.read_parquet(KEPT / "subjects.parquet"), run.items()
    assert list(now.columns) == schema().names and run.is_old
    assert now["item"].tolist() == [f"{s}/cooperative" for s in before["subject"]]
    for name in before.columns:
        left, right = (list(map(_plain, table[name])) for table in (before, now))
        assert repr(left) == repr(right), name
    assert run.record().items == tuple(now["item"]) and run.record().data == "people"
    assert run.mesh_path("subject_01/cooperative").name == "subject_01_cooperative.ply"


def test_it_can_be_compared(run: RunFolder) -> None:
    assert compare([run]) is not None
    assert run.summary()["cooperative"].n_subjects == 2


def test_it_is_never_continued(run: RunFolder) -> None:
    with pytest.raises(FacebenchError, match=r"begun by facebench 0\.1.*choose another --out"):
        run.begin(replace(run.record(), started="now"))


def test_damage_of_it_is_told(run: RunFolder) -> None:
    table = pd.read_parquet(KEPT / "subjects.parquet").astype({"p90_mm": str})
    table.assign(p90_mm="x").to_parquet(run.root / "subjects.parquet", index=False)
    with pytest.raises(FacebenchError, match="column p90_mm is damaged"):
        run.items()
