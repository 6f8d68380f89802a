"""Where MLflow keeps runs, made ready for one user or many at once; light to import."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import FacebenchError

_SHOWN_AS = {"mlflow.experimentKind": "custom_model_development"}
"""MLflow's pages for models in training, not those for language models."""


def connect(experiment: str) -> None:
    """Make MLflow ready for an experiment, in this process.

    The store is `MLFLOW_TRACKING_URI`, else the SQLite file `./mlflow.db`; artefacts of a SQLite
    store lie in `mlruns` beside it. Database and experiment are created under a file lock, because
    MLflow's migrations crash when several first users run them at once.

    Raises:
        FacebenchError: the store cannot be used.
    """
    import mlflow

    be_quiet()
    uri = tracking_uri()
    hint = "check MLFLOW_TRACKING_URI, or unset it for a local database"
    with store_errors_told(f"MLflow at {uri} cannot be used", hint), _alone_with(sqlite_file(uri)):
        mlflow.set_tracking_uri(uri)
        _create_experiment(experiment, sqlite_file(uri))
        mlflow.set_experiment(experiment)


@contextmanager
def store_errors_told(sentence: str, hint: str) -> Iterator[None]:
    """Turn whatever a store throws into one line: a sentence, the store's reason, a hint.

    Raises:
        FacebenchError: the store failed.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise FacebenchError(f"{sentence}: {reason[0]}", hint) from error


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, else the SQLite file `mlflow.db` of the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"


def sqlite_file(uri: str) -> Path | None:
    """The file behind a SQLite address, absolute; None for any other kind of store."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]).absolute()


def be_quiet() -> None:
    """Keep migrations and start-up notes off the terminal; fail within seconds, not minutes."""
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")


@contextmanager
def _alone_with(database: Path | None) -> Iterator[None]:
    from filelock import FileLock

    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_name(f".{database.name}.lock")):
        yield


def _create_experiment(name: str, database: Path | None) -> None:
    import mlflow

    if mlflow.get_experiment_by_name(name) is None:
        # Without a location MLflow writes artefacts to whatever folder is current at the time.
        place = (database.parent / "mlruns").as_uri() if database else None
        mlflow.create_experiment(name, artifact_location=place, tags=_SHOWN_AS)
