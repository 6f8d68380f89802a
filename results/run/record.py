"""How a run came to its numbers, with code, packages and machine, and what its method cost."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import socket
import subprocess
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...bench.dataset.interface import Dataset, Problem
from ...bench.dataset.registry import open_dataset
from ...bench.method.interface import MethodCard
from ...errors import FacebenchError
from ...recon.files.mirror import local_path
from ...recon.files.text import check_fields, read_json, write_json

PACKAGES = (
    *("facebench", "av", "mlflow", "numpy", "open3d-cpu", "open3d", "pandas", "ray"),
    *("scikit-image", "scipy", "torch", "trimesh"),
)
"""Packages whose versions can move a number."""

_COMPUTING = ("bench", "recon", "distributed")
"""Folders whose code can move a number."""

VERSION = 2
"""Of a run folder's record and tables. 1 was facebench 0.1: `subjects.parquet`, untyped."""

SETTINGS = (
    *("method", "method_digest", "model_digest", "protocol", "protocol_digest", "dataset"),
    *("dataset_digest", "subjects", "scenes", "limit", "unit", "seed", "detector", "tracking"),
)
"""Fields of a record that decide the numbers; a run folder holds one set of them."""

_OF_FILES = ("method_digest", "dataset_digest", "subjects", "scenes", "detector", "tracking")

_NAMES = ("subjects", "scenes", "excluded", "items", "commits")


COST_FILE = "cost.json"

COST_HEADS = ("s/face", "training")
COST_NOTE = (
    "s/face: processor seconds of describing one face in batches of eight, without decoding and "
    "detection. training: time that the steps of the weights' training took, and the fits that it "
    "learns from."
)


def package_versions() -> dict[str, str]:
    """Installed versions of `PACKAGES`, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def source_state() -> tuple[str, bool]:
    """Commit of the checkout this code runs from and whether it was changed; else `("", False)`."""
    commit = _git("rev-parse", "HEAD")
    return commit, bool(commit and _git("status", "--porcelain", "--untracked-files=no"))


def source_changes() -> str:
    """Digest of what differs from the commit of the checkout this code runs from; else empty."""
    changes = _git("diff", "HEAD")
    return hashlib.sha256(changes.encode()).hexdigest() if changes else ""


@cache
def code_digest() -> str:
    """Digest of this package's code as it was when first asked for, whatever its version says."""
    root = Path(__file__).resolve().parents[2]
    found = hashlib.sha256()
    for path in sorted(path for name in _COMPUTING for path in (root / name).rglob("*.py")):
        # The others are never imported: an editor's locks, a notebook's copies.
        if not path.stem.isidentifier():
            continue
        found.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()


def host() -> dict[str, str | int]:
    """The machine: name, system, processors."""
    return {
        "name": socket.gethostname(),
        "system": platform.platform(),
        "cpus": os.cpu_count() or 1,
    }


def now() -> str:
    """The time in UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(*arguments: str) -> str:
    root = Path(__file__).resolve().parents[2]
    # An installed package may lie inside of somebody else's repository, whose commit says nothing.
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def refuse_newer(version: object, writer: str, place: Path | str) -> None:
    """Refuse what a later facebench wrote: its fields may mean something else.

    Args:
        version: of the record or table.
        writer: the facebench that wrote it, or empty.
        place: for the message.

    Raises:
        FacebenchError: the version is newer than `VERSION`, or is none.
    """
    from ... import __version__

    # Python's True is 1, and would pass for version 1.
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FacebenchError(
            f"{place} has no version that is a number", "remove it and measure again"
        )
    if version > VERSION:
        by = f" by facebench {writer}" if writer else ""
        raise FacebenchError(
            f"{place} was written{by} in version {version} of run folders; "
            f"facebench {__version__} reads up to version {VERSION}",
            "update facebench",
        )


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
        dataset_digest: digest over ids and contents of its items' files.
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
        n_scored, n_unscored: items with and without a score.
        global_scale: the one factor given to every prediction, where the protocol asks for it.
        items: ids of all that is measured, also of what fails; each has a row when the run is done.
        commits: code that worked on the run, in the order of the commands, each `COMMIT` or
            `COMMIT+` where it was changed; one where no other code continued it.
        data: folder of the dataset, absolute, or its address in an object store.
        detector: what found the faces in frames without boxes beside them; empty where no frames
            were read. Runs of before there was a choice were found by the embedded one.
        tracking: by which way faces were followed from frame to frame (`clip_faces.FOLLOWING`; 1
            stands for all ways that did not say so); 0 where they were detected in each.
        version: of the record, see `VERSION`.
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
    global_scale: float | None = None
    items: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    data: str = ""
    detector: str = "embedded"
    tracking: int = 0
    version: int = VERSION

    @property
    def method(self) -> str:
        """The method's name."""
        return self.card.name

    @property
    def label(self) -> str:
        """The name given to the run with `--name`, else the method's."""
        return str(self.arguments.get("name") or self.method)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.ended)

    def difference(self, later: RunRecord) -> str:
        """Name of the first setting in which a later record differs, or empty.

        Of faces that come as files every row knows what it was measured on, so that a changed or a
        new file is measured and the rest stays; nothing that was asked for before may be missing.
        """
        names: tuple[str, ...] = SETTINGS
        # Both: a folder of files taken over by a network is another run.
        if self.card.kind == "files" == later.card.kind:
            names = tuple(name for name in SETTINGS if name not in _OF_FILES)
            # Fewer items would shrink the table, and the mean with it, without a word.
            if not set(self.items) <= set(later.items):
                return "items"
        changed = (name for name in names if getattr(self, name) != getattr(later, name))
        return next(changed, "")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunRecord:
        """The record of a `run.json`; fields it does not know are ignored, older versions migrated.

        Raises:
            FacebenchError: it is of a newer version.
            KeyError, TypeError, ValueError, AttributeError: it is not the record of a run.
        """
        version = values.get("version", 1)
        refuse_newer(version, str(values.get("versions", {}).get("facebench", "")), "run.json")
        known = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        for name in _NAMES:
            known[name] = tuple(known.get(name, ()))
        if version == 1:
            data = str(known.get("arguments", {}).get("data", ""))
            # It measured every subject in every scene, and named no items.
            items = tuple(
                f"{name}/{scene}" for name in known["subjects"] for scene in known["scenes"]
            )
            known |= {"items": items, "data": data, "version": VERSION}
        known["tracking"] = int(known.get("tracking", 0))  # true and false of before
        known["problems"] = tuple(check_fields(Problem(**p)) for p in known.get("problems", ()))
        card = known["card"]
        published = tuple((scene, mean, std) for scene, mean, std in card["published"])
        expressions = tuple(card.get("expressions", ("neutral",)))
        about = {**card, "published": published, "expressions": expressions}
        known["card"] = check_fields(MethodCard(**about))
        record = check_fields(cls(**known))
        for name in ("seed", "n_scored", "n_unscored"):
            if getattr(record, name) < 0:
                raise ValueError(f"{name} is {getattr(record, name)}")
        return record


def measured_dataset(record: RunRecord) -> Dataset:
    """The dataset of a run, as it is now on this machine.

    Raises:
        FacebenchError: it is gone or cannot be read, or some of what was measured is.
    """
    if not record.data:
        raise FacebenchError("the run does not say where its data were")
    # Predictions may define the items, as of plain pairs: a run knows their names.
    root = local_path(record.data).absolute()
    dataset = open_dataset(record.dataset, root, predictions=record.items)
    measured = set(record.items)
    items = tuple(item for item in dataset.items if item.id in measured)
    if len(items) < len(record.items):
        raise FacebenchError(f"{record.data} lacks some of what the run measured")
    return replace(dataset, items=items)


@dataclass(frozen=True)
class MethodCost:
    """What one method of a table costs.

    Attributes:
        seconds_per_face: processor seconds (`seconds_per_face`); NaN when not measured.
        training_minutes: that its weights were trained for; 0 without any, NaN when unknown.
        method_digest: of the method they were measured of.
    """

    seconds_per_face: float
    training_minutes: float
    method_digest: str

    @property
    def texts(self) -> tuple[str, str]:
        """For `COST_HEADS`."""
        seconds, minutes = self.seconds_per_face, self.training_minutes
        # 0 is known, for a method that trains nothing; NaN is not known.
        if minutes == 0:
            return _seconds(seconds), "none"
        return _seconds(seconds), "–" if math.isnan(minutes) else f"{minutes:.0f} min"

    def write(self, run: Path) -> None:
        """Keep it in a run's folder."""
        write_json(run / COST_FILE, asdict(self))


def read_cost(run: Path) -> MethodCost | None:
    """What a run's folder has, or None."""
    try:
        values = read_json(run / COST_FILE)
        return MethodCost(
            _number(values["seconds_per_face"]),
            _number(values["training_minutes"]),
            str(values["method_digest"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def training_minutes(weights: Path) -> float:
    """How long a training took, from `log.csv` beside its weights; NaN without one.

    Each line of the log has the speed since the line before it, so that interruptions and other
    work between steps, such as validation, do not count. Fits that were made for it as labels do,
    one after another.
    """
    # Here: PyTorch comes with them, and reading a record needs none.
    from ...recon.network.tensor_files import read_content, recipe_in
    from ...recon.training.loop import TrainingFolder
    from ...recon.training.methods.labels import label_minutes

    folder = TrainingFolder(weights.parent)
    rows = folder.read(folder.log)
    if not rows or "images_per_s" not in rows[-1]:
        return math.nan
    batch = float(recipe_in(weights, read_content(weights)).training.batch_size)
    steps = [row["step"] for row in rows]
    spans = zip([0.0, *steps], rows, strict=False)
    seconds = (batch * (row["step"] - before) / row["images_per_s"] for before, row in spans)
    return sum(seconds) / 60.0 + label_minutes(folder.labels)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2g}"
