"""Whether two folders hold the same results, whatever happened on the way to them.

Each function returns what differs, one line each; nothing for the same results.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pandas as pd
import torch

from facebench.recon.network.tensor_files import read_content
from facebench.recon.training.loop import TrainingFolder
from facebench.results.run.folder import RunFolder

TIMINGS = ("images_per_s", "waiting")
"""Columns of a training's log that no two runs share."""


def training_differences(expected: Path, found: Path) -> list[str]:
    """Loss curve, validation, weights, optimiser and pictures, bit for bit."""
    first, second = TrainingFolder(expected), TrainingFolder(found)
    said = _leftovers(found)
    said += ["log.csv"] * (_untimed(first) != _untimed(second))
    for name in ("validation.csv", "fits.png"):
        if (expected / name).exists():
            said += [name] * ((expected / name).read_bytes() != (found / name).read_bytes())
    for one, other in ((first.checkpoint, second.checkpoint), (first.weights, second.weights)):
        said += _unequal(read_content(one), read_content(other), other.name)
    said += ["pictures"] * (_names(expected / "pictures") != _names(found / "pictures"))
    return said


def benchmark_differences(expected: Path, found: Path) -> list[str]:
    """Every chunk once and its sum, every subject's row, and the summary, bit for bit."""
    first, second = RunFolder(expected), RunFolder(found)
    said = _leftovers(found)
    columns = ["clip", "chunk", "last", "frames", "faces", "failed", "status", "reason"]
    ledgers = [folder.ledger.table()[columns] for folder in (first, second)]
    said += ["a chunk is there twice"] * bool(ledgers[1].duplicated(["clip", "chunk"]).any())
    said += ["chunks"] * (not ledgers[0].equals(ledgers[1]))
    for clip in ledgers[0]["clip"].unique():
        sums = [folder.ledger.total(clip).sum.tobytes() for folder in (first, second)]
        said += [f"sum of {clip}"] * (sums[0] != sums[1])
    said += _subjects(first, second)
    said += ["summary.json"] * (_unhurried(first) != _unhurried(second))
    said += ["meshes"] * (_contents(first.meshes) != _contents(second.meshes))
    return said


def table_differences(expected: Path, found: Path) -> list[str]:
    """The run of every method, and the table but for what it says about time."""
    runs = [path.parent.name for path in sorted(expected.glob("*/run.json"))]
    said = [
        f"{name}: {line}"
        for name in runs
        for line in benchmark_differences(expected / name, found / name)
    ]
    said += ["runs"] * (runs != [path.parent.name for path in sorted(found.glob("*/run.json"))])
    return said + ["table1.csv"] * (not _untimed_table(expected).equals(_untimed_table(found)))


def audit_differences(expected: Path, found: Path) -> list[str]:
    """Every file of an audit, bit for bit."""
    names = _names(expected)
    said = _leftovers(found) + ["files"] * (names != _names(found))
    both = [name for name in names if (expected / name).is_file() and (found / name).is_file()]
    for name in both:
        said += [name] * ((expected / name).read_bytes() != (found / name).read_bytes())
    return said


def tracking_differences(folder: Path, database: Path) -> list[str]:
    """One finished MLflow run of the folder, and no value of a metric twice."""
    key = json.loads((folder / "mlflow.json").read_text())["key"]
    with sqlite3.connect(database) as store:
        runs = store.execute(
            "SELECT runs.run_uuid, runs.status FROM runs JOIN tags USING (run_uuid) "
            "WHERE tags.key = 'folder_key' AND tags.value = ?",
            (key,),
        ).fetchall()
        twice = store.execute(
            "SELECT key FROM metrics WHERE run_uuid = ? GROUP BY key, step, value "
            "HAVING count(*) > 1",
            (runs[0][0] if runs else "",),
        ).fetchall()
    said = [] if [status for _, status in runs] == ["FINISHED"] else [f"MLflow runs {runs}"]
    return said + [f"metric {name} twice" for (name,) in twice]


def _leftovers(folder: Path) -> list[str]:
    return [f"left behind: {path.name}" for path in folder.rglob("*.draft")]


def _untimed_table(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "table1.csv")
    return table.drop(columns=["seconds_per_face", "training_minutes", "frames_per_second"])


def _untimed(folder: TrainingFolder) -> list[dict[str, float]]:
    rows = folder.read(folder.log)
    return [{name: row[name] for name in row if name not in TIMINGS} for row in rows]


def _unequal(first: object, second: object, where: str) -> list[str]:
    """Where two nested contents of tensors and plain values differ."""
    if isinstance(first, torch.Tensor):
        same = isinstance(second, torch.Tensor) and torch.equal(first, second)
        return [] if same else [where]
    if isinstance(first, dict) and isinstance(second, dict):
        if first.keys() != second.keys():
            return [f"keys of {where}"]
        return [line for k in first for line in _unequal(first[k], second[k], f"{where}/{k}")]
    return [] if first == second else [where]


def _subjects(first: RunFolder, second: RunFolder) -> list[str]:
    try:
        pd.testing.assert_frame_equal(first.items(), second.items(), check_exact=True)
    except AssertionError as error:
        return [f"items.parquet: {' '.join(str(error).split())[:200]}"]
    return []


def _unhurried(folder: RunFolder) -> object:
    values = json.loads((folder.root / "summary.json").read_text())
    for scene in values["scenes"].values():
        scene.pop("frames_per_second")
    return values


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
