"""Labels fitted by Ray's workers are those fitted here, and a training begins with them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from training_faces import SETTINGS, write_training_faces

from facebench.cli.train import command
from facebench.distributed.train import fit_labels
from facebench.recon.training.methods import labels
from facebench.recon.training.methods.labels import Labelling, label_minutes

pytestmark = pytest.mark.usefixtures("ray_running")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_training_faces(tmp_path_factory.mktemp("label"), subjects=3)


def fits(folder: Path) -> list[object]:
    return [
        pq.read_table(path, columns=["coefficients", "weight"]).to_pydict()
        for path in sorted(folder.glob("rows-*.parquet"))
    ]


def test_workers_fit_what_this_process_fits(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(faces.parent / "model.npz")
    here, there = (Labelling.claim(faces, model, tmp_path / name, None) for name in "ab")
    assert list(fit_labels(here, parallel=False, cluster=False, threads=1)) == [0]
    assert list(fit_labels(there, parallel=True, cluster=False, threads=1)) == [0]
    assert fits(here.folder) == fits(there.folder)
    assert list(fit_labels(there, parallel=True, cluster=False, threads=1)) == []


def test_the_command_fits_first_and_goes_on_from_what_is_fitted(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "PIECE", 4)
    out = tmp_path / "out"
    settings = [f"--set={one}" for one in SETTINGS if not one.startswith("loss.")]
    fixed = ["--data", str(faces), "--model", str(faces.parent / "model.npz"), "--out", str(out)]
    arguments = [*fixed, "--recipe", "tran-ict", *settings, "--json"]
    first = CliRunner().invoke(command, [*arguments, "--steps", "2"])
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["log"]["identity"] > 0
    pieces = sorted((out / "labels").glob("rows-*.parquet"))
    assert [path.name[5:12] for path in pieces] == ["0000000", "0000004"]
    assert label_minutes(out / "labels") > 0
    kept = pieces[0].stat().st_mtime_ns
    pieces[1].unlink()
    again = CliRunner().invoke(command, [*arguments, "--steps", "4"])
    assert again.exit_code == 0, again.output
    assert pieces[0].stat().st_mtime_ns == kept and pieces[1].is_file()
