"""What answers over the network: a Ray cluster and an MLflow server, where one is named."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from .finding import Finding, Verdict

GROUP = "Services"
TIMEOUT_S = 3.0


def check_services() -> Iterator[Finding]:
    """The Ray address and the MLflow store, as the environment names them."""
    yield check_ray(os.environ.get("RAY_ADDRESS", ""))
    yield check_mlflow()


def check_ray(address: str) -> Finding:
    """Whether the head of a cluster answers; without an address there is nothing to answer."""
    if address in ("", "local", "auto"):
        detail = f"RAY_ADDRESS is {address or 'not set'}: commands run on this machine"
        return Finding(GROUP, "Ray", Verdict.OK, detail)
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        where = (parts.hostname or "", parts.port or 6379)
        with socket.create_connection(where, timeout=TIMEOUT_S):
            return Finding(GROUP, "Ray", Verdict.OK, f"{address} answers")
    except (OSError, ValueError) as error:
        detail = f"RAY_ADDRESS={address} does not answer: {error}"
        hint = "start the head ('ray start --head --block') or unset RAY_ADDRESS"
        return Finding(GROUP, "Ray", Verdict.MISSING, detail, hint)


def check_mlflow() -> Finding:
    """Whether the tracking store can be written to, or its server answers."""
    from ...results.tracking.store import sqlite_file, tracking_uri

    uri = tracking_uri()
    database = sqlite_file(uri)
    if database is not None:
        return _check_database(uri, database)
    if urlsplit(uri).scheme in ("http", "https"):
        return _check_server(uri)
    return Finding(GROUP, "MLflow", Verdict.WARNING, f"{uri} was not tried")


def _check_database(uri: str, database: Path) -> Finding:
    """Folders that are not there yet are made on first use."""
    nearest = next(folder for folder in database.parents if folder.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK):
        return Finding(GROUP, "MLflow", Verdict.OK, uri)
    hint = "set MLFLOW_TRACKING_URI to a place you may write to"
    return Finding(GROUP, "MLflow", Verdict.MISSING, f"{uri} cannot be written", hint)


def _check_server(uri: str) -> Finding:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=TIMEOUT_S):
            return Finding(GROUP, "MLflow", Verdict.OK, f"{uri} answers")
    except (OSError, ValueError) as error:
        hint = "start the server, or unset MLFLOW_TRACKING_URI for a local database"
        return Finding(GROUP, "MLflow", Verdict.MISSING, f"{uri} does not answer: {error}", hint)
