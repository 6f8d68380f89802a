"""Public weights on disk: read without running anything in them, recognised, and fitted."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...errors import FacebenchError
from ..recipes.vision import IRESNET_DEPTHS
from .resnet import DEPTHS as RESNET_DEPTHS
from .tensor_files import (
    Network,
    UnreadableTensorsError,
    build_fitting,
    is_table_of_tensors,
    load_tensors,
)

StateDict = dict[str, Tensor]

WRAPPERS = ("state_dict", "state_dict_backbone", "model_state_dict", "model", "weights")
"""Keys under which training scripts keep a state dict among other things."""

_COUNTER = "num_batches_tracked"
_SHOWN = 3


def read_state_dict(path: Path, source: str) -> StateDict:
    """The tensors of a weights file by name, without wrappers around them or before their names.

    Args:
        path: a file that `torch.save` wrote.
        source: where such weights come from, for the hint.

    Raises:
        FacebenchError: no such file, not weights, incomplete, or more than tensors in it.
    """
    content = _loaded(path, source)
    table = _unwrapped(content)
    if not is_table_of_tensors(table):
        raise FacebenchError(
            f"{path} holds no table of tensors but {_kind(table)}",
            "save the network's state_dict() alone",
        )
    return _without_prefix({str(name): value for name, value in table.items()})


def fitted(
    build: Callable[[], Network], state: Mapping[str, Tensor], path: Path, what: str
) -> Network:
    """A network with the tensors of a file that also names the network's sizes.

    Raises:
        FacebenchError: as `fit_state_dict`; a network that the tensors do not fill is not built.
    """
    try:
        network = build_fitting(build, state)
    except ValueError as error:
        raise FacebenchError(f"{path} is not {what}: {error}", f"give weights of {what}") from error
    fit_state_dict(network, state, path, what)
    return network


def fit_state_dict(network: nn.Module, state: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Put tensors into a network after checking every name and shape.

    Missing batch counters are made up: old files lack them and inference does not read them.

    Args:
        network: takes the tensors.
        state: tensors by name.
        path: where they come from, for the message.
        what: name of the network, for the message.

    Raises:
        FacebenchError: names are missing or superfluous, or shapes differ.
    """
    own = network.state_dict()
    given = {name: own[name] for name in own if name.endswith(_COUNTER)} | dict(state)
    problem = _names_problem(own, given) or _shapes_problem(own, given)
    if problem:
        known = recognised(state)
        looks = f"; this looks like {known}" if known else ""
        raise FacebenchError(f"{path} is not {what}: {problem}{looks}", f"give weights of {what}")
    network.load_state_dict(given)


def recognised(state: Mapping[str, Tensor]) -> str:
    """The architecture that a state dict's names show, or an empty text."""
    names = set(state)
    if "cp.resnet.conv1.weight" in names:
        classes = state.get("conv_out.conv_out.weight")
        return "BiSeNet" if classes is None else f"BiSeNet with {classes.shape[:1].numel()} classes"
    blocks = tuple(_blocks(names, stage) for stage in range(1, 5))
    if "layer1.0.prelu.weight" in names:
        return next((_title(k) for k, v in IRESNET_DEPTHS.items() if v == blocks), "an IResNet")
    bottleneck = "layer1.0.conv3.weight" in names
    for name, (block, depths) in RESNET_DEPTHS.items():
        if depths == blocks and (block.expansion > 1) == bottleneck:
            return _title(name)
    return ""


def file_problem(path: Path) -> str:
    """What is plainly wrong with a weights file by its first bytes; empty where nothing is."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return "is empty"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself (fetch it with 'git lfs pull')"
    if re.match(rb"\s*(<!doctype|<html|<\?xml|<head)", head, re.IGNORECASE):
        return "is a web page, not weights (the download link led to a page)"
    return ""


def _loaded(path: Path, source: str) -> Any:
    if not path.is_file():
        raise FacebenchError(f"no weights at {path}", f"they come from {source}")
    problem = file_problem(path)
    if problem:
        raise FacebenchError(f"{path} {problem}", f"the weights come from {source}")
    try:
        return load_tensors(path)
    except UnreadableTensorsError as error:
        if isinstance(error.__cause__, pickle.UnpicklingError):
            raise FacebenchError(
                f"{path} is damaged or holds more than tensors", "save the state_dict() alone"
            ) from error
        raise FacebenchError(
            f"{path} cannot be read as weights", f"it is truncated; fetch it again from {source}"
        ) from error


def _unwrapped(content: Any) -> Any:
    if not isinstance(content, Mapping):
        return content
    inner = (content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping))
    return next(inner, content)


def _kind(table: Any) -> str:
    if isinstance(table, Mapping):
        others = sorted({type(v).__name__ for v in table.values() if not isinstance(v, Tensor)})
        return f"a table with {', '.join(others)}" if others else "an empty table"
    return f"one {type(table).__name__}"


def _without_prefix(state: StateDict) -> StateDict:
    """Names without the `module.` that parallel training puts before each."""
    prefix = "module."
    if all(name.startswith(prefix) for name in state):
        return {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _names_problem(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    missing = [name for name in own if name not in given]
    unknown = [name for name in given if name not in own]
    told = [
        f"{len(names)} {verb} ({_some(names)})"
        for names, verb in ((missing, "tensors missing"), (unknown, "tensors too many"))
        if names
    ]
    return " and ".join(told)


def _shapes_problem(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    differing = [name for name in own if own[name].shape != given[name].shape]
    if not differing:
        return ""
    name = differing[0]
    found, expected = tuple(given[name].shape), tuple(own[name].shape)
    more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
    return f"{name} is {found}, expected {expected}{more}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    dots = ", …" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + dots


def _blocks(names: Iterable[str], stage: int) -> int:
    pattern = re.compile(rf"layer{stage}\.(\d+)\.")
    return len({match[1] for match in map(pattern.match, names) if match})


def _title(architecture: str) -> str:
    name, depth = re.fullmatch(r"(\D+)(\d+)", architecture).groups()  # type: ignore[union-attr]
    return f"{'IResNet' if name == 'iresnet' else 'ResNet'}-{depth}"
