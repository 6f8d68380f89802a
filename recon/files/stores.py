"""Object stores: addresses such as `s3://bucket/path`, and the objects that lie there.

The rest of the package works on paths. An address stands for one path below the cache folder, its
mirror (`mirror.py`), whose name spells the address: a worker on another machine, which gets only
the path, finds the content by it. Credentials are taken from the environment by the library
(obstore), and no code here sees them.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ...errors import STORE_MIRROR, FacebenchError, one_line, with_addresses

SCHEMES = ("s3", "gs", "az")
PATIENCE_SECONDS = 120.0
"""A store that does not answer for so long ends the command."""
FIRST_TIME = 2**56
"""In ns since 1970, the spring of 1972: no file was written before, so a time below is an e-tag."""
THREADS = 8
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_ONE_SLASH = re.compile(r"(?:s3|gs|az):/(?!/)", re.IGNORECASE)
"""A slip: as a path it would make a folder `s3:` here, and a run would be done before it shows."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_FORM = "write s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"
_ENVIRONMENT = {
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where it is temporary, "
    "AWS_SESSION_TOKEN; AWS_ENDPOINT_URL and AWS_REGION say where the store is",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_DENIED = ("status code: 401", "status code: 403", "ExpiredToken", "InvalidToken", "Missing")
_BLOCK_BYTES = 2**20
_FEW = 32
Found = TypeVar("Found")
Facts = Mapping[str, Any]
"""Of an object, as the library tells them: `path`, `size`, `e_tag`, `version`."""


def is_address(text: object) -> bool:
    """Whether text has the form of an address, of whatever scheme."""
    return isinstance(text, str) and bool(_ADDRESS.match(text) or _ONE_SLASH.match(text))


def mirror_path(address: str, writing: bool = False) -> Path:
    """The path that stands for an address; nothing is asked of the store yet.

    Args:
        address: `SCHEME://BUCKET/PATH`.
        writing: of a folder that is written to: it is kept apart from copies that are only read.

    Raises:
        FacebenchError: it is not in that form, or holds a user, key or query.
    """
    if _ONE_SLASH.match(address):
        raise FacebenchError("an address of an object store has two slashes", _FORM)
    found = _ADDRESS.fullmatch(address)
    scheme, rest = (found[1].lower(), found[2]) if found else ("", "")
    if scheme not in SCHEMES:
        raise FacebenchError(f"an address of '{scheme}://' is not known", _FORM)
    bucket, _, key = rest.partition("/")
    # Not repeated in the message: it would print the key that it is about, in which a slash may be.
    if "@" in bucket or ":" in bucket or "?" in rest:
        raise FacebenchError(
            f"an address of {scheme}:// holds a user, a key or a query", _ENVIRONMENT[scheme]
        )
    parts = key.strip("/").split("/") if key.strip("/") else []
    if not _BUCKET.fullmatch(bucket) or not all(map(_is_name, parts)):
        raise FacebenchError(f"'{address}' is no address of an object store", _FORM)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache.absolute() / STORE_MIRROR / ("out" if writing else "in")
    return place.joinpath(scheme, bucket, *parts)


def _is_name(part: str) -> bool:
    return part not in ("", ".", "..") and "\0" not in part and "\\" not in part


def address_of(path: Path | str) -> str:
    """The address that a path stands for; empty for a path of this machine."""
    parts = PurePosixPath(path).parts
    if STORE_MIRROR not in parts:
        return ""
    kind, *place = parts[parts.index(STORE_MIRROR) + 1 :] or [""]
    fits = kind in ("in", "out") and len(place) > 1 and place[0] in SCHEMES
    return f"{place[0]}://{'/'.join(place[1:])}" if fits else ""


def is_written_here(path: Path) -> bool:
    """Whether a path is in the tree of folders that commands of this machine write."""
    parts = path.parts
    return STORE_MIRROR in parts and parts[parts.index(STORE_MIRROR) + 1 :][:1] == ("out",)


def shown(path: Path | str) -> str:
    """A path as messages and records show it: its address, where it stands for one."""
    return with_addresses(str(path))


def object_facts(path: Path) -> Facts | None:
    """Size and e-tag of an object; None where there is none of the name.

    Raises:
        FacebenchError: the store cannot be reached.
    """
    import_library()
    import obstore

    store, key = place_of(path)
    try:
        return _with_quotes(ask(path, lambda: obstore.head(store, key))) if key else None
    except FileNotFoundError:
        return None


def list_objects(path: Path) -> dict[str, Facts]:
    """Size and e-tag of all objects below an address, by their names relative to it.

    Raises:
        FacebenchError: the store cannot be reached, there is no such bucket, or a name cannot be
            that of a file.
    """
    import_library()
    import obstore

    store, key = place_of(path)
    prefix = f"{key}/" if key else ""
    pages = ask(path, lambda: list(obstore.list(store, prefix=key or None)))
    told = [_with_quotes(facts) for page in pages for facts in page]
    found = {str(facts["path"]).removeprefix(prefix): facts for facts in told}
    folders = {str(parent) for name in found for parent in PurePosixPath(name).parents}
    for name in found:
        if not all(map(_is_name, name.split("/"))):
            raise FacebenchError(
                f"{shown(path)} holds '{name}', which no file can be called", "rename it there"
            )
    # Some tools leave an empty object where they show a folder.
    return {name: facts for name, facts in found.items() if name not in folders}


def _with_quotes(facts: Facts) -> Facts:
    """Facts with the e-tag as conditions name it: Azure's listings leave out its quotes."""
    tag = facts["e_tag"]
    return {**facts, "e_tag": f'"{tag}"'} if tag and not tag.endswith('"') else facts


def object_states(paths: Iterable[Path]) -> dict[Path, tuple[int, int] | None]:
    """Size and `mark_of` of many objects as they are now; None for what is not there."""
    wanted = list(paths)
    if len(wanted) > _FEW:
        # One listing tells of a thousand objects, a question of one.
        above = Path(os.path.commonpath([path.parent for path in wanted]))
        if address_of(above):
            listed = list_objects(above)
            facts = [listed.get(path.relative_to(above).as_posix()) for path in wanted]
            return dict(zip(wanted, map(_state, facts), strict=True))
    # Here: every command imports this module, for its help too.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(wanted, map(_state, pool.map(object_facts, wanted)), strict=True))


def _state(facts: Facts | None) -> tuple[int, int] | None:
    return None if facts is None else (facts["size"], mark_of(facts))


def mark_of(facts: Facts) -> int:
    """A number for an e-tag: the time of change, in ns, of the file that is its copy."""
    told = f"{facts['e_tag']} {facts['size']}".encode()
    return int.from_bytes(hashlib.sha256(told).digest()[:7]) % FIRST_TIME


def read_object(path: Path, facts: Facts) -> bytes:
    """The bytes of an object as it was when the facts were asked for."""
    import obstore

    store, key = place_of(path)
    options: Any = {"if_match": facts["e_tag"]} if facts["e_tag"] else {}
    with _changes_as_message(path):
        return ask(path, lambda: bytes(obstore.get(store, key, options=options).bytes()))


@contextmanager
def _changes_as_message(path: Path) -> Iterator[None]:
    """Turn the change of an object while it is read into one line."""
    from obstore.exceptions import PreconditionError

    try:
        yield
    except (PreconditionError, FileNotFoundError):
        raise FacebenchError(
            f"{shown(path)} changed or went while it was read", "run the command again"
        ) from None


def open_content(path: Path) -> io.BufferedIOBase:
    """A file for reading, by ranges where it is in an object store.

    Raises:
        OSError, FacebenchError: as opening a file, and `open_ranged`.
    """
    return open_ranged(path) if address_of(path) else path.open("rb")


def open_ranged(path: Path) -> io.BufferedReader:
    """An object as a file that is read by ranges, a block at a time, and never kept on disk.

    Raises:
        FileNotFoundError: there is none.
        FacebenchError: here and by its reads, the store cannot be reached or the object changed.
    """
    facts = object_facts(path)
    if facts is None:
        raise FileNotFoundError(2, "No such file", shown(path))
    return io.BufferedReader(_Ranged(path, facts), _BLOCK_BYTES)


class _Ranged(io.RawIOBase):
    """The unbuffered file below `open_ranged`."""

    def __init__(self, path: Path, facts: Facts) -> None:
        super().__init__()
        # FFmpeg weighs a name's ending where it guesses a format: the same as of a file on disk.
        self.name = f"file:{path}"
        self._path, self._facts, self._at = path, facts, 0
        self._failed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._facts["size"]}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        import obstore

        end = min(self._at + len(buffer), self._facts["size"])
        # FFmpeg asks again after an error; the first one is reported.
        if end <= self._at or self._failed:
            return 0
        store, key = place_of(self._path)
        # Of one state only: the halves of two videos would be decoded without a word.
        options: Any = {"range": (self._at, end), "if_match": self._facts["e_tag"]}
        try:
            with _changes_as_message(self._path):
                content = ask(
                    self._path, lambda: bytes(obstore.get(store, key, options=options).bytes())
                )
        except FacebenchError:
            self._failed = True
            raise
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def ask(path: Path, question: Callable[[], Found]) -> Found:
    """The answer of a store, asked again with a word for `PATIENCE_SECONDS` where it gives none.

    Raises:
        FileNotFoundError: there is no such object.
        obstore.exceptions.AlreadyExistsError, PreconditionError: of conditional questions.
        FacebenchError: everything else, in a line.
    """
    from obstore import exceptions

    began, pause = time.monotonic(), 0.1
    while True:
        try:
            return question()
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except (exceptions.BaseError, OSError) as error:
            told = str(error)
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in told:
                raise
            fault = _fault(path, told)
            if fault is not None:
                raise fault from None
            waited = time.monotonic() - began
            if waited > PATIENCE_SECONDS:
                raise FacebenchError(
                    f"{shown(path)}: the store did not answer for {waited:.0f} s ({_reason(told)})",
                    "what is done is kept; the same command continues",
                ) from None
            if pause == 0.1:
                said = f"{shown(path)}: the store does not answer ({_reason(told)}); trying again"
                print(f"facebench: {one_line(said)}", file=sys.stderr)
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


def _fault(path: Path, told: str) -> FacebenchError | None:
    """The fault that no waiting mends; None for a store that may answer later."""
    scheme, _, rest = address_of(path).partition("://")
    bucket = f"{scheme}://{rest.partition('/')[0]}"
    if "NoSuchBucket" in told or "ContainerNotFound" in told:
        return FacebenchError(f"{bucket}: there is no such bucket", "make it, or check its name")
    # Where no credentials are set the library asks the cloud's own machine for some.
    if "169.254." in told or "metadata.google" in told:
        return FacebenchError(f"{bucket}: there are no credentials", _ENVIRONMENT[scheme])
    if "RequestTimeTooSkewed" in told:
        return FacebenchError(
            f"{bucket}: the store refuses the time of this machine", "start NTP (chrony) here"
        )
    if any(word in told for word in _DENIED):
        return FacebenchError(
            f"{bucket}: the store refuses the credentials ({_reason(told)})", _ENVIRONMENT[scheme]
        )
    if re.search(r"status code: (4(?!08|29)\d\d|501)", told) or "not supported" in told:
        return FacebenchError(f"{shown(path)}: the store refuses ({_reason(told)})", _FORM)
    return None


def _reason(told: str) -> str:
    """Status and code of an answer. Not its text: an address in there may hold a signature."""
    status = re.search(r"status code: (\d+[A-Za-z ]*)", told)
    code = re.search(r"<Code>(\w+)</Code>", told)
    return ", ".join(found[1].strip() for found in (status, code) if found) or "no connection"


def import_library() -> None:
    """Import the library of object stores; where it is missing, say what to install."""
    try:
        import obstore  # noqa: F401
    except ImportError:
        raise FacebenchError(
            "addresses of object stores need the package obstore",
            "pip install 'facebench[store]'",
        ) from None


def place_of(path: Path) -> tuple[Any, str]:
    """The library's store of the bucket of a mirrored path, and the object's key in it."""
    scheme, _, rest = address_of(path).partition("://")
    bucket, _, key = rest.partition("/")
    return _bucket(scheme, bucket, _environment()), key


def _environment() -> int:
    """A number for the settings of stores in the environment: no copy of a key is kept."""
    names = (name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_")))
    return hash(tuple((name, os.environ[name]) for name in sorted(names)))


@lru_cache
def _bucket(scheme: str, bucket: str, _: int) -> Any:
    """The library's store, which takes its settings from the environment as it is then."""
    import_library()
    from obstore import exceptions
    from obstore.store import from_url

    endpoints = [at for name, at in os.environ.items() if name.startswith("AWS_ENDPOINT")]
    address = f"{scheme}://{bucket}"
    try:
        return from_url(
            address,
            client_options={
                # Of Google's the address stands in the file of credentials, where it is another.
                "allow_http": scheme == "gs" or any(at.startswith("http:") for at in endpoints),
                "timeout": "60s",
            },
            # `ask` waits itself, and says so.
            retry_config={"max_retries": 0},
        )
    except exceptions.BaseError:
        hint = _ENVIRONMENT[scheme]
        raise FacebenchError(f"{address}: the credentials are not complete", hint) from None
