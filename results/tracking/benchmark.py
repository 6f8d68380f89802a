"""How a benchmark run, or a comparison of several, becomes MLflow runs."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...bench.landmarks import FACE_PARTS
from ...bench.scoring.distance import CURVE_MM
from ...recon.files.stores import address_of, is_address
from ..compare import Comparison, comparison_text
from ..compare.comparison import RunGroup, RunPair
from ..run.folder import RunFolder, RunRecord
from ..run.summary import SceneSummary
from ..tables.series import CURVE_COLUMNS, Series, cumulative_curves
from .run import (
    Span,
    log_changed,
    log_measured_model,
    log_new_parameters,
    run_of,
    run_of_key,
)
from .store import connect, store_errors_as_message

if TYPE_CHECKING:
    from mlflow import ActiveRun
    from mlflow.entities import Metric


__all__ = ["connect", "log_dataset", "log_numbers", "track_run"]

ARTEFACTS = ("run.json", "summary.json", "items.parquet", "report.html")
_BASIS = ("protocol", "protocol_digest", "dataset", "dataset_digest")
# What the store of any MLflow server takes.
_LONGEST_VALUE = 500
_NO_PARAMETERS = {"out", "as_json", "cluster", "workers", "name"}
"""Options that leave the numbers as they are; MLflow would show them as what tells runs apart."""


def track_run(run: RunFolder, name: str) -> str:
    """Log a run folder to the experiment of the last `connect`, and return the MLflow run's id.

    Parameters, tags, per-scene metrics (`cooperative.mean_mm`), the cumulative curve (step: the
    threshold in tenths of a millimetre), the dataset, the subjects' table, the report and the
    pictures. The id is kept in the folder: tracking it again updates the same MLflow run.
    """
    with run_of(run.root, name, _span(run.record())) as active:
        log_numbers(run, active)
        _log_artefacts(run)
        run_id: str = active.info.run_id
    return run_id


def _span(record: RunRecord) -> Span | None:
    # A record of another program may hold other times than ours.
    with suppress(ValueError):
        began, ended = (
            round(1000 * datetime.fromisoformat(time).timestamp())
            for time in (record.started, record.ended)
        )
        return (began, ended) if began <= ended else None
    return None


def log_numbers(run: RunFolder, active: ActiveRun) -> None:
    """Log tags, parameters, metrics, curves and the dataset; the same names for every method."""
    import mlflow

    record = run.record()
    mlflow.set_tags(_tags(record))
    log_new_parameters(active, _parameters(record))
    _log_dataset(record)
    model = log_measured_model(active.info.run_id, record, record.label)
    log_changed(active.info.run_id, _metrics(run, record, model))


def _tags(record: RunRecord) -> dict[str, str]:
    names = ("method", *_BASIS, "method_digest", "model_digest", "checkpoint_digest", "commit")
    return {
        "kind": "benchmark",
        **{name: getattr(record, name) for name in names},
        **{name: str(getattr(record, name)).lower() for name in ("dirty", "finished")},
    }


def _parameters(record: RunRecord) -> dict[str, Any]:
    protocol = {f"protocol.{key}": value for key, value in record.protocol_settings.items()}
    chosen = {"method": record.method, "seed": record.seed, "unit": record.unit}
    given = {key: value for key, value in record.arguments.items() if key not in _NO_PARAMETERS}
    # What was resolved wins over what was typed.
    values = {**given, **chosen, **protocol}
    return {key: str(value)[:_LONGEST_VALUE] for key, value in values.items()}


def _metrics(run: RunFolder, record: RunRecord, model: str | None) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    of = {"dataset_name": record.dataset, "dataset_digest": _short(record.dataset_digest)}
    items = run.items([f"{part}_mm" for part in FACE_PARTS])
    # MLflow's charts begin with what was logged first, and make a section of names with a slash:
    # which is better, by scene, then where in the face.
    errors = {f"error_mm/{_named(scene)}": found.mean_mm for scene, found in run.summary().items()}
    for part in FACE_PARTS:
        if f"{part}_mm" in items and items[f"{part}_mm"].notna().any():
            errors[f"part_mm/{part}"] = float(items[f"{part}_mm"].mean())
    shown = [
        Metric(key, value, now, 0, model_id=model, **(of if model else {}))
        for key, value in errors.items()
        if math.isfinite(value)
    ]
    values: dict[str, float] = {}
    for scene, summary in run.summary().items():
        values |= {f"{_named(scene)}.{key}": value for key, value in _numbers(summary).items()}
    values |= {"n_scored": float(record.n_scored), "n_unscored": float(record.n_unscored)}
    values["global_scale"] = math.nan if record.global_scale is None else record.global_scale
    single = [Metric(key, value, now, 0) for key, value in values.items() if math.isfinite(value)]
    curves = [
        Metric(f"{_named(scene)}.share_within", share, now, step)
        for scene, curve in cumulative_curves(run.scores.parts(CURVE_COLUMNS)).items()
        for step, share in _curve_points(curve)
    ]
    return [*shown, *single, *curves]


def _named(scene: str) -> str:
    """A scene in MLflow's names: of a sign that they do not take, its code in hexadecimal."""
    return re.sub(r"[^\w\-. :]", lambda sign: f"_{ord(sign[0]):x}", scene)


def _curve_points(shares: NDArray[np.float64]) -> list[tuple[int, float]]:
    """Whole tenths of a millimetre and the share within; MLflow's steps are whole numbers."""
    # Rounded first: 0.3 times ten is not quite three.
    tenths = [round(10 * threshold, 6) for threshold in CURVE_MM.tolist()]
    points = zip(tenths, shares.tolist(), strict=True)
    return [(int(step), share) for step, share in points if step.is_integer()]


def _numbers(summary: SceneSummary) -> dict[str, float]:
    low, high = summary.ci95_mm
    plain = {key: float(value) for key, value in vars(summary).items() if key != "ci95_mm"}
    return {**plain, "ci95_low_mm": low, "ci95_high_mm": high}


def _log_dataset(record: RunRecord) -> None:
    """Log what the run was measured on."""
    place = str(record.arguments.get("data", record.dataset))
    log_dataset(place, record.dataset, record.dataset_digest, "benchmark")


def log_dataset(place: Path | str, name: str, digest: str, context: str) -> None:
    """Log a set as the active run's input.

    Args:
        place: where it lies, a path or an address.
        name: as MLflow shows it.
        digest: of what is in it.
        context: what it was used for.
    """
    import mlflow
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = resolve_dataset_source(_source(str(place)))
    mlflow.log_input(MetaDataset(source, name=name, digest=_short(digest)), context=context)


def _source(place: str) -> str:
    """Where a set lies, as MLflow calls it."""
    address = place if is_address(place) else address_of(place)
    if not address.startswith("az:"):
        return address or str(Path(place).absolute())
    container, _, path = address.removeprefix("az://").partition("/")
    # Of Azure's schemes it knows this one.
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    return f"wasbs://{container}@{account}.blob.core.windows.net/{path}"


def _short(digest: str) -> str:
    # MLflow keeps at most 36 characters of a digest; a benchmark's tag has the whole.
    return digest[:32]


def _log_artefacts(run: RunFolder) -> None:
    import mlflow

    for path in (run.root / name for name in ARTEFACTS):
        if path.is_file():
            mlflow.log_artifact(str(path))
    # The interface shows CSV as a table, Parquet not at all.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "items.csv"
        _write_csv(run.scores.table(), path)
        mlflow.log_artifact(str(path))
    if run.pictures.is_dir():
        mlflow.log_artifacts(str(run.pictures), "pictures")


def _write_csv(table: Any, path: Path) -> None:
    """A `pyarrow.Table` as a data frame writes itself, some thousand rows at a time."""
    parts = table.to_batches() or [table]
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, part in enumerate(parts):
            part.to_pandas().to_csv(file, index=False, header=not number, lineterminator="\n")


EXPERIMENT = "comparisons"
KIND, RANK = "comparison", "comparison_rank"
"""The parent's tag `kind`; the tag with a child's place in the table."""

_FILES = {"markdown": "comparison.md", "csv": "comparison.csv", "json": "comparison.json"}


def track_comparison(comparison: Comparison) -> list[str]:
    """Log a comparison to the experiment of the last `connect`; the ids of the parents.

    Each group becomes one parent run, with its tables as description and files. Each of its runs
    becomes a child with everything that `facebench micc` logged of it and, against the first, the
    difference of every scene. The same comparison again updates the same runs.

    Raises:
        FacebenchError: the store fails.
    """
    failed = "MLflow could not keep the comparison"
    with store_errors_as_message(failed, "the same command logs it again"):
        return list(map(_track, comparison.groups))


def _track(group: RunGroup) -> str:
    import mlflow

    key = _key(group)
    with run_of_key(key, " · ".join(run.label for run in group.runs)) as parent:
        parent_id: str = parent.info.run_id
        mlflow.set_tags(_comparison_tags(group))
        _log_dataset(group.runs[0].record)
        for form, name in _FILES.items():
            mlflow.log_text(comparison_text(Comparison((group,)), form), name)
        # MLflow lists the newest first: the first run of the table is begun last.
        for run in reversed(group.runs):
            _track_child(group, run, parent_id, key)
    return parent_id


def _track_child(group: RunGroup, run: Series, parent_id: str, key: str) -> None:
    import mlflow

    with run_of_key(f"{key}/{run.label}", run.label, parent_id) as active:
        log_numbers(run.run, active)
        against = (run.label, group.runs[0].label)
        pairs = [pair for pair in group.pairs if (pair.first, pair.second) == against]
        verdicts = {f"{_named(pair.scene)}.verdict": pair.verdict for pair in pairs}
        mlflow.set_tags({RANK: str(run.number), "place": run.place, **verdicts})
        log_changed(active.info.run_id, list(_differences(pairs)))


def _differences(pairs: Sequence[RunPair]) -> Iterator[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    for pair in pairs:
        difference, scene = pair.difference, _named(pair.scene)
        unlike = pair.verdict == "unlike completeness"
        values = {
            "difference_mm": difference.mean_mm,
            "difference_ci95_low_mm": difference.ci95_mm.low,
            "difference_ci95_high_mm": difference.ci95_mm.high,
            # Of runs that cover unlike shares a p-value would be read as a verdict.
            "difference_p_holm": math.nan if unlike else pair.p_holm,
            "subjects_won": float(pair.wins),
            "subjects_lost": float(pair.losses),
        }
        for name, value in values.items():
            if math.isfinite(value):
                yield Metric(f"{scene}.{name}", value, now, 0)


def _key(group: RunGroup) -> str:
    """Equal for the same runs in the same order, wherever they lie."""
    # A copied folder is the same run.
    told = ("method_digest", "commit", "started")
    parts = [(run.label, *(getattr(run.record, name) for name in told)) for run in group.runs]
    text = json.dumps([group.basis.key, parts])
    return hashlib.sha256(text.encode()).hexdigest()


def _comparison_tags(group: RunGroup) -> dict[str, Any]:
    return {
        "kind": KIND,
        **{name: getattr(group.basis, name) for name in _BASIS},
        "mlflow.note.content": comparison_text(Comparison((group,)), "markdown"),
    }
