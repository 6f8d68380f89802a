"""Where a benchmark run is kept: the run folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...bench.scoring.result import SCORED, UNSCORED
from ...errors import FacebenchError, error_line
from ...recon.export.mesh_files import write_ply
from ...recon.files.text import read_json, write_json
from ...recon.files.writing import lock_folder
from .items import ItemsTable, PointErrors
from .ledger import Ledger
from .record import SETTINGS, RunRecord
from .summary import SceneSummary

if TYPE_CHECKING:
    # Who reads a run measures nothing: Open3D takes seconds to import.
    from ...bench.scoring.measure import Measured
    from ...bench.scoring.reduce import PointDistances

__all__ = ["SCORED", "SETTINGS", "UNSCORED", "RunFolder", "RunRecord"]


AGAIN = "its chunks are computed again"

_LABELS = ("method", "protocol", "protocol_digest", "global_scale")


class RunFolder:
    """A run on disk; every file is replaced in one step, so each is whole at any moment.

    `run.json`, `chunks.parquet/` (`ledger`), `items.parquet`, `summary.json`, `distances/`
    (`point_errors`), `meshes/`, `scans/`, `pictures/`, `report.html`; `first_pass.parquet` where
    the protocol asks for one scale factor for all. Folders of version 1 (facebench 0.1), with
    `subjects.parquet`, are read as they are and never continued.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = Ledger(root / "chunks.parquet")
        self.scores = ItemsTable(root / "items.parquet", root / "subjects.parquet")
        self.first_pass = ItemsTable(root / "first_pass.parquet")
        self.point_errors = PointErrors(root / "distances")
        self.meshes = root / "meshes"
        self.scans = root / "scans"
        self.pictures = root / "pictures"
        self.report = root / "report.html"

    @classmethod
    def existing(cls, root: Path) -> RunFolder:
        """A folder that holds a run.

        Raises:
            FacebenchError: there is no `run.json`.
        """
        if not (root / "run.json").is_file():
            raise FacebenchError(f"{root} is not a run folder", "it holds no run.json")
        return cls(root)

    @contextmanager
    def locked(self) -> Iterator[tuple[str, ...]]:
        """Keep other commands off the folder while this one writes it.

        Yields:
            What was found damaged and will be computed again, a line each.

        Raises:
            FacebenchError: another command holds it.
        """
        with lock_folder(self.root, "run", ("run.json", "chunks.parquet")):
            yield tuple(f"{path} is damaged: {AGAIN}" for path in self.ledger.tidy())

    def begin(self, record: RunRecord) -> RunRecord:
        """Keep a new run's record, or resume: the earlier start stays, the rest is of today.

        Raises:
            FacebenchError: the folder holds a run of other settings.
        """
        if (self.root / "run.json").is_file():
            # Before the settings: version 1 has other digests, and would be said to differ in them.
            self._refuse_old()
            earlier = self._earlier()
            self._refuse_other(earlier, record)
            # Who reads the numbers must see that two states of the code made them.
            commits = tuple(dict.fromkeys((*earlier.commits, *record.commits)))
            record = replace(record, started=earlier.started, commits=commits)
        self.write_record(record)
        return record

    def record(self) -> RunRecord:
        """Read `run.json`."""
        return RunRecord.from_json(self._json("run.json"))

    def write_record(self, record: RunRecord) -> None:
        """Write `run.json`."""
        write_json(self.root / "run.json", asdict(record))

    def items(self, columns: Sequence[str] = ()) -> pd.DataFrame:
        """Read `items.parquet`, a row per item; without rows before the first result.

        All columns by default; of a hundred thousand subjects they take 0.9 GB.
        """
        return self.scores.read(columns)

    def summary(self) -> dict[str, SceneSummary]:
        """Read `summary.json`, scene to summary in table order.

        Raises:
            FacebenchError: there is none, or it holds something else.
        """
        values = self._json("summary.json")
        try:
            scenes = values["scenes"].items()
            return {scene: SceneSummary.from_json(row) for scene, row in scenes}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FacebenchError(
                f"{self.root / 'summary.json'} is damaged: {error_line(error)}", "measure it again"
            ) from error

    def write_summary(self, scenes: dict[str, SceneSummary]) -> None:
        """Write `summary.json` with the labels a reader needs beside the numbers."""
        record = self.record()
        # A summary is read without its record, and must say by which protocol it was measured.
        labels = {name: getattr(record, name) for name in _LABELS}
        rows = {scene: asdict(summary) for scene, summary in scenes.items()}
        write_json(self.root / "summary.json", {**labels, "scenes": rows})

    def mesh_path(self, item: str) -> Path:
        """Where an item's aligned prediction is kept, with its error per vertex."""
        return self.meshes / f"{self._file_name(item)}.ply"

    def scan_path(self, item: str) -> Path:
        """Where the thinned scan that an item was measured on is kept, with its error."""
        return self.scans / f"{self._file_name(item)}.ply"

    def distances(self, item: str) -> PointDistances:
        """The single distances (N,), (M,) of an item, see `PointErrors.read`."""
        return self.point_errors.read(self._file_name(item))

    def keep_arrays(self, item: Measured) -> None:
        """Write an item's mesh and distances, before its row."""
        name = item.result.item
        path, scan_path = self.mesh_path(name), self.scan_path(name)
        if item.aligned is None:
            # An earlier command's face would stand beside a row that says there is none.
            path.unlink(missing_ok=True)
            scan_path.unlink(missing_ok=True)
            self.point_errors.remove(name)
            return
        # The row is written last: a row whose distances are missing could not be pooled.
        self.point_errors.write(name, item.distances)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_ply(item.aligned, path, {"error": item.vertex_errors.astype(np.float32)})
        if item.scan is not None:
            scan_path.parent.mkdir(parents=True, exist_ok=True)
            scan, errors = item.scan
            write_ply(scan, scan_path, {"error": errors.astype(np.float32)})

    def has_arrays(self, item: str) -> bool:
        """Whether what `keep_arrays` writes of a scored item is there: somebody may have removed it
        to make room, and then points cannot be pooled nor runs compared on common ground."""
        kept = (self.mesh_path(item), self.scan_path(item))
        return all(path.is_file() for path in kept) and self.point_errors.has(self._file_name(item))

    @property
    def is_old(self) -> bool:
        """Whether version 1 wrote it."""
        return self.scores.is_old

    def _file_name(self, item: str) -> str:
        # Version 1 joined subject and scene by a line; ids of other sets would then meet.
        return item.replace("/", "_") if self.is_old else item

    def _earlier(self) -> RunRecord:
        try:
            return self.record()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FacebenchError(
                f"{self.root / 'run.json'} is not the record of a run", "choose another --out"
            ) from error

    def _refuse_old(self) -> None:
        version = self._json("run.json").get("version", 1)
        if version == 1:
            raise FacebenchError(
                f"{self.root} was begun by facebench 0.1, which did not know what was in its files",
                "it can be read, not continued; choose another --out",
            )

    def _refuse_other(self, earlier: RunRecord, record: RunRecord) -> None:
        name = earlier.difference(record)
        if name:
            before, now = getattr(earlier, name), getattr(record, name)
            raise FacebenchError(
                f"{self.root} holds a run with another {name.replace('_', ' ')}",
                f"it has {_short(before)}, this command {_short(now)}; choose another --out",
            )

    def _json(self, name: str) -> dict[str, Any]:
        try:
            values: dict[str, Any] = read_json(self.root / name)
        except FileNotFoundError:
            raise FacebenchError(f"{self.root} has no {name}", "finish the run first") from None
        except (OSError, ValueError) as error:
            raise FacebenchError(f"{self.root / name} cannot be read", str(error)) from None
        if not isinstance(values, dict):
            raise FacebenchError(f"{self.root / name} holds no table", "measure it again")
        return values


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
