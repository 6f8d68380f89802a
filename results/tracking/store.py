"""Where MLflow keeps runs, made ready for one user or many at once; light to import."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit
from uuid import uuid4

from ...errors import FacebenchError

_SHOWN_AS = {"mlflow.experimentKind": "custom_model_development"}
"""MLflow's pages for models in training, not those for language models."""

_ADDRESS_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_BACKEND_STORE_URI")
_SECRET_VARIABLES = (
    *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING"),
    *("DATABRICKS_TOKEN", "PGPASSWORD"),
)
_HIDDEN = "***"
_OWN_TABLES = ("alembic_version", "experiments", "workspaces")
"""Into which MLflow writes a row of its own when it makes a store."""
_USER_INFO = re.compile(r"([a-zA-Z][\w+.-]*://)[^\s/?#]*@")
_QUERY_VALUE = re.compile(
    r"((?<=[?&])(?!(?:mode|timeout|charset|sslmode|cache)=)[\w.%-]+=)[^&#\s'\")]+"
)
"""Of an address's query all values but those that are known to be no secret."""


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
    database = sqlite_file(uri)
    hint = "check MLFLOW_TRACKING_URI, or unset it for a local database"
    told = store_errors_as_message(f"MLflow at {redact(uri)} cannot be used", hint)
    with told, _alone_with(database):
        # Nothing is in a new store but for a moment: an empty one is what a command left that was
        # killed while MLflow itself made it, and may be half of one.
        if database is not None and (not database.exists() or holds_nothing(database)):
            _make_store(database)
        mlflow.set_tracking_uri(uri)
        _create_experiment(experiment, database)
        mlflow.set_experiment(experiment)


@contextmanager
def store_errors_as_message(sentence: str, hint: str) -> Iterator[None]:
    """Turn whatever a store throws into one line: a sentence, the store's reason, a hint.

    Raises:
        FacebenchError: the store failed.
    """
    from alembic.util.exc import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ModuleNotFoundError as error:
        # A database whose driver is a package of its own.
        advice = f"install it: pip install {error.name}"
        raise FacebenchError(f"{sentence}: there is no package {error.name}", advice) from None
    except (MlflowException, SQLAlchemyError, CommandError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        # Without the chain: its texts hold the address as it was given.
        raise FacebenchError(f"{sentence}: {redact(reason[0])}", hint) from None


def redact(text: str) -> str:
    """Text without the secrets of addresses in it, and without those that MLflow is given.

    Of `scheme://user:password@host/…?token=…` user, password and the value of every query that is
    not known to be harmless go; of the rest of the text whatever equals one of them.
    """
    for secret in _secrets():
        text = text.replace(secret, _HIDDEN)
    text = _USER_INFO.sub(rf"\1{_HIDDEN}@", text)
    return _QUERY_VALUE.sub(lambda found: f"{found[1]}{_HIDDEN}", text)


def public_address(uri: str) -> str:
    """A server's address as a browser may be given it: without user, password and query."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def _secrets() -> list[str]:
    """Passwords and tokens of this process's MLflow, as they are and as an address writes them."""
    found = {os.environ.get(name, "") for name in _SECRET_VARIABLES}
    for uri in (os.environ.get(name, "") for name in _ADDRESS_VARIABLES):
        with suppress(ValueError):  # no address at all: nothing of it is known to be a secret
            parts = urlsplit(uri)
            found.add(parts.netloc.rpartition("@")[0].partition(":")[2])
            found |= {value for _, value in parse_qsl(parts.query)}
    found |= {spelled for one in found for spelled in (unquote(one), quote(one, safe=""))}
    # The longest first: one secret may be the beginning of another. Of very short ones the text
    # would be nothing but stars; the patterns of addresses find them where they stand.
    return sorted((one for one in found if len(one) > 3), key=len, reverse=True)


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


def _make_store(database: Path) -> None:
    """Make an empty store beside its place and move it there.

    MLflow's own way is fifty migrations in place: a kill in the middle of them leaves a store that
    it can never open again. Of this there is the whole store or none.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import Engine, event

    for left in database.parent.glob(f".{database.name}.*.new*"):  # by a killed command
        left.unlink(missing_ok=True)
    draft = database.with_name(f".{database.name}.{uuid4().hex}.new")
    # A draft is written to the disk once, at its end: a wait after each of a thousand statements
    # takes most of the time.
    event.listen(Engine, "connect", _wait_for_no_disk)
    try:
        store = SqlAlchemyStore(f"sqlite:///{draft}", _artifacts_of(database))
        store.engine.dispose()
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        # A journal of the file that goes would be played into the one that comes.
        for ending in ("-journal", "-wal", "-shm"):
            database.with_name(database.name + ending).unlink(missing_ok=True)
        draft.replace(database)
    finally:
        event.remove(Engine, "connect", _wait_for_no_disk)
        draft.unlink(missing_ok=True)


def _wait_for_no_disk(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def _artifacts_of(database: Path) -> str:
    # Without a place MLflow writes artefacts to whatever folder is current at the time.
    return (database.parent / "mlruns").as_uri()


def holds_nothing(database: Path) -> bool:
    """Whether a file is a SQLite database in which nobody has kept anything.

    What MLflow itself writes into every new store does not count. Of anything else than a database
    that can be read the answer is no: it is somebody's.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=10)) as connection:
        named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [str(name) for (name,) in named if not str(name).startswith("sqlite_")]
        ours = {"alembic_version", "experiments", "runs"} & set(tables)
        if tables and not ours:
            return False
        counted = [table for table in tables if table not in _OWN_TABLES]
        filled = (f'SELECT 1 FROM "{table}" LIMIT 1' for table in counted)
        if any(connection.execute(query).fetchone() for query in filled):
            return False
        if "experiments" not in tables:
            return True
        others = connection.execute("SELECT 1 FROM experiments WHERE experiment_id <> 0 LIMIT 1")
        return others.fetchone() is None
    return False


def _create_experiment(name: str, database: Path | None) -> None:
    import mlflow

    if mlflow.get_experiment_by_name(name) is None:
        place = _artifacts_of(database) if database else None
        mlflow.create_experiment(name, artifact_location=place, tags=_SHOWN_AS)
