"""Methods as models of MLflow: a training makes one, and every run of its weights points at it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..run.record import RunRecord

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

WEIGHTS, METHOD = "checkpoint_digest", "method_digest"
"""Tags of a model: of the file of its weights, and of everything that makes its faces."""
TRAINED, KIND = "trained_here", "facebench method"


def log_trained_model(run_id: str, name: str, weights: Path) -> None:
    """Make the model that the active run has trained, once; its tag tells the file of weights."""
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    # A server older than MLflow 3 knows no models: everything else of the run is there.
    with suppress(MlflowException):
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        model = _find(WEIGHTS, digest) or _make(name, {WEIGHTS: digest, TRAINED: "true"}, run_id)
        MlflowClient().set_tag(run_id, WEIGHTS, digest)
        MlflowClient().log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])


def log_measured_model(run_id: str, record: RunRecord, name: str) -> str | None:
    """Log which model the active run measures; the model's id, None where there are none.

    It is the one whose training stands in the store, by the digest of its weights, else one that is
    made for the method.
    """
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModelInput
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        model = _find(WEIGHTS, record.checkpoint_digest) or _find(METHOD, record.method_digest)
        tags = {METHOD: record.method_digest, WEIGHTS: record.checkpoint_digest}
        model = model or _make(name, {key: value for key, value in tags.items() if value}, None)
        MlflowClient().log_inputs(run_id, models=[LoggedModelInput(model.model_id)])
        # One that no training made is said to come from the first run that measured it.
        if model.source_run_id and TRAINED in model.tags:
            MlflowClient().set_tag(run_id, "training_run", model.source_run_id)
        return str(model.model_id)
    return None


def _find(tag: str, digest: str) -> LoggedModel | None:
    """The first model with a digest, in whatever experiment."""
    import mlflow

    if not digest:
        return None
    experiments = [str(one.experiment_id) for one in mlflow.search_experiments()]
    found = mlflow.search_logged_models(
        experiments,
        f"tags.{tag} = '{digest}'",
        max_results=1,
        order_by=[{"field_name": "creation_timestamp", "ascending": True}],
        output_format="list",
    )
    return found[0] if found else None


def _make(name: str, tags: dict[str, str], run_id: str | None) -> LoggedModel:
    import mlflow

    # MLflow's names of models have none of these marks.
    plain = "".join("-" if mark in "/:.%\"'" else mark for mark in name)
    return mlflow.create_external_model(plain, run_id, tags, model_type=KIND)
