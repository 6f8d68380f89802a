"""Files that `torch.save` wrote, read without running anything in them or believing their sizes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...errors import error_line

Network = TypeVar("Network", bound=nn.Module)


class UnreadableTensorsError(Exception):
    """A file is no whole file of tensors; the text says why."""


def load_tensors(path: Path) -> Any:
    """What a file holds: tensors and plain values in lists and dictionaries.

    Raises:
        UnreadableTensorsError: it is of another kind, damaged, or holds more than that.
    """
    try:
        _refuse_packed(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        _check(content)
    except UnreadableTensorsError:
        raise
    except Exception as error:  # a damaged pickle fails in as many ways as it has instructions
        raise UnreadableTensorsError(error_line(error)) from error
    return content


def build_fitting(build: Callable[[], Network], weights: Mapping[str, Tensor]) -> Network:
    """A network of the sizes that a file names, once its weights have shown those sizes.

    It is first built without memory: a file that names a huge network fails here.

    Raises:
        ValueError: names or shapes differ, or there is no such network.
    """
    try:
        with torch.device("meta"):
            own = build().state_dict()
    except (RuntimeError, TypeError, OverflowError, ValueError) as error:
        raise ValueError(f"no such network ({error_line(error)})") from error
    for name, value in own.items():
        # Counters of batches may be missing: old files lack them.
        if name in weights and _shape(weights[name]) != _shape(value):
            raise ValueError(f"{name} is {_shape(weights[name])}, expected {_shape(value)}")
        if name not in weights and value.numel() > 1:
            raise ValueError(f"{name} is missing")
    return build()


def is_table_of_tensors(value: Any) -> bool:
    """Whether a value is a state dict: dense tensors of real numbers by name."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and _is_plain(item) for name, item in value.items())
    )


def _is_plain(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not value.is_complex()
        and not value.is_quantized
    )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _refuse_packed(path: Path) -> None:
    """PyTorch stores without packing; what is packed may unpack to any size."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or sum(member.file_size for member in members) > path.stat().st_size:
        raise UnreadableTensorsError("its members are packed or overlap")


def _check(content: Any) -> None:
    """Refuse tensors that are larger than what the file has of them."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif _is_plain(value):
            held = value.untyped_storage().nbytes()
            if value.numel() * value.element_size() > held:
                raise UnreadableTensorsError(f"a tensor of {_shape(value)} in {held} bytes")
