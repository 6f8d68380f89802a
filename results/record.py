"""What a benchmark run is and where it is kept: the typed record and the run folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from ..bench.dataset import Problem
from ..bench.method import MethodCard
from ..errors import FacebenchError
from .files import replacing, write_json
from .ledger import Ledger

SCORED = "ok"
UNSCORED = "failed"
"""Status of a subject's row, as `Score` states it."""

SETTINGS = (
    "method",
    "method_digest",
    "model_digest",
    "protocol",
    "protocol_digest",
    "dataset",
    "dataset_digest",
    "subjects",
    "scenes",
    "limit",
    "unit",
    "seed",
)
"""Fields of a record that decide the numbers; a run folder holds one set of them."""


@dataclass(frozen=True)
class RunRecord:
    """How a run came to its numbers; `run.json`.

    Attributes:
        command: the shell line that starts or resumes the run.
        given: options given on the command line, in the environment or in a file.
        arguments: every option as resolved.
        card: the method's card.
        method_digest: digest of the weights and the model.
        model_digest: digest of the face model, or empty.
        checkpoint_digest: digest of the checkpoint file, or empty.
        protocol: the protocol's name.
        protocol_settings: every field of the protocol.
        protocol_digest: digest of those fields.
        dataset: the dataset's name.
        dataset_digest: digest of its file list.
        subjects: subjects asked for, sorted; excluded ones are not among them.
        scenes: scenes asked for, in table order.
        excluded: subjects left out on request.
        limit: frames read of each clip at most, or None for all.
        unit: unit of the scans' files: mm, cm or m.
        seed: the seed of all that is drawn.
        problems: what the dataset could not use.
        commit, dirty: state of the code.
        versions: packages.
        host: machine.
        started, ended: UTC; `ended` is empty while the run is unfinished.
        n_scored, n_unscored: subject x scene rows with and without a score.
    """

    command: str
    given: dict[str, Any]
    arguments: dict[str, Any]
    card: MethodCard
    method_digest: str
    model_digest: str
    checkpoint_digest: str
    protocol: str
    protocol_settings: dict[str, Any]
    protocol_digest: str
    dataset: str
    dataset_digest: str
    subjects: tuple[str, ...]
    scenes: tuple[str, ...]
    excluded: tuple[str, ...]
    limit: int | None
    unit: str
    seed: int
    problems: tuple[Problem, ...] = ()
    commit: str = ""
    dirty: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    host: dict[str, str | int] = field(default_factory=dict)
    started: str = ""
    ended: str = ""
    n_scored: int = 0
    n_unscored: int = 0

    @property
    def method(self) -> str:
        """The method's name."""
        return self.card.name

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.ended)

    def difference(self, other: RunRecord) -> str:
        """Name of the first setting in which two records differ, or empty."""
        changed = (name for name in SETTINGS if getattr(self, name) != getattr(other, name))
        return next(changed, "")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunRecord:
        """The record of a `run.json`; fields it does not know are ignored."""
        known = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        for name in ("subjects", "scenes", "excluded"):
            known[name] = tuple(known[name])
        known["problems"] = tuple(Problem(**item) for item in known.get("problems", ()))
        card = known["card"]
        published = tuple((scene, mean, std) for scene, mean, std in card["published"])
        known["card"] = MethodCard(**{**card, "published": published})
        return cls(**known)


@dataclass(frozen=True)
class SceneSummary:
    """One row of the table; `summary.json` holds one a scene. Errors in mm, NaN without a score.

    Attributes:
        mean_mm, std_mm: mean and standard deviation over subjects of the subject's error.
        ci95_mm: 95 % bootstrap interval of the mean over subjects.
        median_mm, rmse_mm, p90_mm: means over subjects of the subject's statistic.
        n_subjects: subjects scored.
        n_failed: subjects asked for and not scored.
        coverage: faces described over frames read.
        mean_with_failures_mm: the mean when failed subjects count with the mean face's error.
        frames, faces: totals of the scene's clips.
        frames_per_second: of the whole run's frames stage in steady state; NaN when unknown.
    """

    mean_mm: float
    std_mm: float
    ci95_mm: tuple[float, float]
    median_mm: float
    rmse_mm: float
    p90_mm: float
    n_subjects: int
    n_failed: int
    coverage: float
    mean_with_failures_mm: float
    frames: int
    faces: int
    frames_per_second: float

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SceneSummary:
        """The summary of a scene as read, null becoming NaN."""
        low, high = (_number(value) for value in values["ci95_mm"])
        plain = {key: _number(value) for key, value in values.items() if key != "ci95_mm"}
        return cls(**plain, ci95_mm=(low, high))


class RunFolder:
    """A run on disk; every file is replaced in one step, so each is whole at any moment.

    `run.json`, `chunks.parquet/` (`ledger`), `subjects.parquet`, `summary.json`, `meshes/`,
    `pictures/`, `report.html`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = Ledger(root / "chunks.parquet")
        self.meshes = root / "meshes"
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
    def locked(self) -> Iterator[None]:
        """Keep other commands off the folder while this one writes it.

        Raises:
            FacebenchError: another command holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=0):
                yield
        except Timeout:
            raise FacebenchError(
                f"another command is writing to {self.root}", "wait for it or choose another folder"
            ) from None

    def begin(self, record: RunRecord) -> RunRecord:
        """Keep a new run's record, or resume: the earlier start stays, the rest is of today.

        Raises:
            FacebenchError: the folder holds a run of other settings.
        """
        if (self.root / "run.json").is_file():
            earlier = self.record()
            self._refuse_other(earlier, record)
            record = replace(record, started=earlier.started)
        self.write_record(record)
        return record

    def record(self) -> RunRecord:
        """Read `run.json`."""
        return RunRecord.from_json(self._json("run.json"))

    def write_record(self, record: RunRecord) -> None:
        """Write `run.json`."""
        write_json(self.root / "run.json", asdict(record))

    def subjects(self) -> pd.DataFrame:
        """Read `subjects.parquet`; an empty table before the first score."""
        path = self.root / "subjects.parquet"
        return pd.read_parquet(path) if path.is_file() else pd.DataFrame()

    def write_subjects(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write `subjects.parquet`, one row per subject x scene, sorted.

        Every row has `subject`, `scene`, `status` (`ok` or `failed`), `reason`, `frames`,
        `faces` and, when scored, the columns of `Score.to_row()` and the list `curve` of
        `ScoredPair.curve`; `mean_face_mm` is the mean face's error of the same subject where it
        was needed, else NaN.
        """
        table = pd.DataFrame(list(rows)).sort_values(["subject", "scene"], ignore_index=True)
        with replacing(self.root / "subjects.parquet") as draft:
            table.to_parquet(draft, index=False)

    def summary(self) -> dict[str, SceneSummary]:
        """Read `summary.json`, scene to summary in table order."""
        scenes = self._json("summary.json")["scenes"]
        return {scene: SceneSummary.from_json(values) for scene, values in scenes.items()}

    def write_summary(self, scenes: dict[str, SceneSummary]) -> None:
        """Write `summary.json` with the labels a reader needs beside the numbers."""
        record = self.record()
        labels = {name: getattr(record, name) for name in ("method", "protocol", "protocol_digest")}
        rows = {scene: asdict(summary) for scene, summary in scenes.items()}
        write_json(self.root / "summary.json", {**labels, "scenes": rows})

    def mesh_path(self, subject: str, scene: str) -> Path:
        """Where a subject's aligned prediction is kept, with its error per vertex."""
        return self.meshes / f"{subject}_{scene}.ply"

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
            values: dict[str, Any] = json.loads((self.root / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FacebenchError(f"{self.root} has no {name}", "finish the run first") from None
        except ValueError as error:
            raise FacebenchError(f"{self.root / name} cannot be read", str(error)) from None
        return values


def _number(value: Any) -> Any:
    return math.nan if value is None else value


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
