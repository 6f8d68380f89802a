"""How a comparison becomes MLflow runs: a parent with the tables, a child a run."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..compare import Comparison, written
from ..compare.model import RunFacts, RunGroup, RunPair
from ..run.folder import RunFolder
from .benchmark import log_dataset, log_numbers
from .open_runs import place_of
from .run import log_changed, run_of_key
from .store import store_errors_told

if TYPE_CHECKING:
    from mlflow.entities import Metric

EXPERIMENT = "comparisons"
KIND, RANK = "comparison", "comparison_rank"
"""The parent's tag `kind`; the tag with a child's place in the table."""

_FILES = {"markdown": "comparison.md", "csv": "comparison.csv", "json": "comparison.json"}


def track_comparison(comparison: Comparison, runs: Sequence[RunFolder]) -> list[str]:
    """Log a comparison to the experiment of the last `connect`; the ids of the parents.

    Each group becomes one parent run, with its tables as description and files. Each of its runs
    becomes a child with everything that `facebench micc` logged of it and, against the first, the
    difference of every scene. The same comparison again updates the same runs.

    Raises:
        FacebenchError: the store fails.
    """
    folders = {place_of(run): run for run in runs}
    failed = "MLflow could not keep the comparison"
    with store_errors_told(failed, "the same command logs it again"):
        return [
            _track(group, [folders[facts.place] for facts in group.runs])
            for group in comparison.groups
        ]


def _track(group: RunGroup, runs: Sequence[RunFolder]) -> str:
    import mlflow

    key = _key(group)
    labels = [facts.label for facts in group.runs]
    with run_of_key(key, " · ".join(labels)) as parent:
        parent_id: str = parent.info.run_id
        mlflow.set_tags(_tags(group))
        log_dataset(runs[0].record())
        _log_tables(group)
        # MLflow lists the newest first: the first run of the table is begun last.
        for rank in reversed(range(len(runs))):
            _track_child(group, rank, runs[rank], parent_id, key)
    return parent_id


def _track_child(group: RunGroup, rank: int, run: RunFolder, parent_id: str, key: str) -> None:
    import mlflow

    facts = group.runs[rank]
    with run_of_key(f"{key}/{facts.label}", facts.label, parent_id) as active:
        log_numbers(run, active)
        mlflow.set_tags({RANK: str(rank), "place": facts.place})
        pairs = [pair for pair in group.pairs if _against_first(group, facts, pair)]
        log_changed(active.info.run_id, list(_differences(pairs)))


def _against_first(group: RunGroup, facts: RunFacts, pair: RunPair) -> bool:
    return pair.first == facts.label and pair.second == group.runs[0].label


def _differences(pairs: Sequence[RunPair]) -> Iterator[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    for pair in pairs:
        difference, scene = pair.result.difference, pair.result.scene
        values = {
            "difference_mm": difference.mean_mm,
            "difference_ci95_low_mm": difference.ci95_mm.low,
            "difference_ci95_high_mm": difference.ci95_mm.high,
            "difference_p_holm": pair.result.p_holm,
            "subjects_won": float(pair.tally.wins),
            "subjects_lost": float(pair.tally.losses),
        }
        for name, value in values.items():
            if math.isfinite(value):
                yield Metric(f"{scene}.{name}", value, now, 0)


def _key(group: RunGroup) -> str:
    """Equal for the same runs in the same order, wherever they lie."""
    parts = [(item.label, item.method_digest, item.commit, item.started) for item in group.runs]
    text = json.dumps([group.basis.key, parts])
    return hashlib.sha256(text.encode()).hexdigest()


def _tags(group: RunGroup) -> dict[str, Any]:
    basis = group.basis
    return {
        "kind": KIND,
        "protocol": basis.protocol,
        "protocol_digest": basis.protocol_digest,
        "dataset": basis.dataset,
        "dataset_digest": basis.dataset_digest,
        "mlflow.note.content": written(Comparison((group,)), "markdown"),
    }


def _log_tables(group: RunGroup) -> None:
    import mlflow

    for form, name in _FILES.items():
        mlflow.log_text(written(Comparison((group,)), form), name)
