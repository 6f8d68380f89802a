"""An S3 server on the loopback interface, and buckets on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI-K7MDENG"


class ObjectStore:
    """The server; stopped and started again it is at the same place with the same content."""

    def __init__(self) -> None:
        server = pytest.importorskip("moto.server")
        pytest.importorskip("obstore")
        self._make = server.ThreadedMotoServer
        self._port = 0
        self._buckets = 0
        self.start()

    def start(self) -> None:
        self._server = self._make(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self, cache: Path) -> dict[str, str]:
        """What a command finds the store by, with a cache of its own."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "XDG_CACHE_HOME": str(cache),
        }

    def refuse_after(self, requests: int | None) -> None:
        """Refuse everybody's credentials after so many requests more; None takes them again."""
        count = str(2**31 if requests is None else requests).encode()
        # Of the kind that `urlopen` gives by itself the server would make a form.
        kind = {"Content-Type": "text/plain"}
        urlopen(Request(f"{self.endpoint}/moto-api/reset-auth", count, kind), timeout=30).close()

    def new_bucket(self) -> str:
        """The address of a bucket that nobody else uses."""
        self._buckets += 1
        name = f"bucket-{os.getpid()}-{self._buckets}"
        urlopen(Request(f"{self.endpoint}/{name}", method="PUT"), timeout=30).close()
        return f"s3://{name}"


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A running server, stopped after the block."""
    store = ObjectStore()
    try:
        yield store
    finally:
        store.stop()


def upload(folder: Path, address: str) -> None:
    """Put every file of a folder below an address."""
    for path in folder.rglob("*"):
        if path.is_file():
            put(f"{address}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def put(address: str, content: bytes) -> None:
    """Write an object, whatever is there."""
    import obstore

    from facebench.recon.files.stores import mirror_path, place_of

    obstore.put(*place_of(mirror_path(address)), content)


def objects(address: str) -> dict[str, bytes]:
    """Everything below an address, by its name relative to it."""
    from facebench.recon.files.stores import list_objects, mirror_path, read_object

    root = mirror_path(address)
    return {name: read_object(root / name, facts) for name, facts in list_objects(root).items()}
