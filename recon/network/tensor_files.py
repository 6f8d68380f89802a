"""Files of tensors: read without running anything in them or believing their sizes.

A weights or checkpoint file of ours is written by rename. Public weights are recognised by their
names and shapes and fitted to a network of ours.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...errors import FacebenchError, error_line
from ..files.contents import START_BYTES, not_the_file
from ..files.text import parse_json
from ..files.writing import atomic_write
from ..recipes.files import AnyRecipe, recipe_from_table
from ..recipes.vision import IRESNET_DEPTHS
from .resnet import DEPTHS as RESNET_DEPTHS
from .resnet import stage_depths

Network = TypeVar("Network", bound=nn.Module)

# Raised when older readers would misread a file, not when fields are added.
FORMAT = 1

StateDict = dict[str, Tensor]

WRAPPERS = ("state_dict", "state_dict_backbone", "model_state_dict", "model", "weights")
"""Keys under which training scripts keep a state dict among other things."""

_COUNTER = "num_batches_tracked"
_SHOWN = 3


class UnreadableTensorsError(Exception):
    """A file is no whole file of tensors; the text says why."""


def load_tensors(path: Path) -> Any:
    """What a file holds: tensors and plain values in lists and dictionaries.

    Raises:
        UnreadableTensorsError: it is of another kind, damaged, or holds more than that.
    """
    try:
        _refuse_packed(path)
        # Weights only: a pickle may name any function, and loading would call it.
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
        # A hostile file may name a width of a million: shapes alone cost nothing.
        with torch.device("meta"), _WithoutDraws():
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


class _WithoutDraws(TorchFunctionMode):
    """Leaves the first values of weights out: drawn for tensors without memory they would make
    PyTorch import its compiler, four seconds of a core."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return func(*args, **(kwargs or {}))


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
    # The format of before PyTorch 1.6, which packs nothing.
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    # More bytes in the members than in the file: they overlap, and would unpack many times over.
    if packed or sum(member.file_size for member in members) > path.stat().st_size:
        raise UnreadableTensorsError("its members are packed or overlap")


def _check(content: Any) -> None:
    """Refuse tensors that are larger than what the file has of them."""
    # A list instead of recursion: a file may nest deeper than Python's stack.
    waiting = [content]
    # A kilobyte of lists in lists can stand for 10^50 entries: each container is looked at once.
    known: set[int] = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            if id(value) in known:
                continue
            known.add(id(value))
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif _is_plain(value):
            # A stride of 0 makes terabytes of four bytes; the first operation would make them real.
            held = value.untyped_storage().nbytes()
            if value.numel() * value.element_size() > held:
                raise UnreadableTensorsError(f"a tensor of {_shape(value)} in {held} bytes")


def write_content(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint by rename, so that a reader never sees half a file."""
    with atomic_write(path) as draft:
        save_tensors(draft, content)


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """`torch.save`, whose writer would hide a full disk behind an error of its own."""
    try:
        with path.open("wb") as file:
            torch.save(dict(content), file)
    except RuntimeError as error:
        # 'No space left on device' is what the user can act on.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def read_content(path: Path) -> dict[str, Any]:
    """The content of a checkpoint file, without running anything in it."""
    if not path.is_file():
        raise FacebenchError(f"no checkpoint at {path}", "make one with 'facebench train'")
    try:
        content = load_tensors(path)
    except UnreadableTensorsError as error:
        raise FacebenchError(
            f"checkpoint {path} cannot be read ({error})", "it is truncated or not a checkpoint"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FacebenchError(
            f"{path} is not a checkpoint of facebench", f"expected format {FORMAT}"
        )
    # Before anybody uses them: a wrong type would fail far from here, and name no file.
    _check_types(path, content)
    return content


def recipe_in(path: Path, content: Mapping[str, Any]) -> AnyRecipe:
    """The recipe that a checkpoint keeps.

    Raises:
        FacebenchError: it keeps none that can be read.
    """
    try:
        return recipe_from_table(parse_json(content["recipe"]))
    except (ValueError, TypeError, AttributeError, FacebenchError) as error:
        said = f"checkpoint {path}: no recipe in it ({error_line(error)})"
        raise FacebenchError(said, "train it again") from error


def _check_types(path: Path, content: Mapping[str, Any]) -> None:
    whole = isinstance(content.get("recipe"), str) and is_table_of_tensors(content.get("weights"))
    # By exact type: True is an int to Python.
    counts = [content.get("steps"), content.get("seed")]
    if not whole or not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        raise FacebenchError(
            f"checkpoint {path} is damaged", "it needs recipe, weights, steps and seed"
        )


def read_state_dict(path: Path, source: str) -> StateDict:
    """The tensors of a weights file by name, without wrappers around them or before their names.

    Args:
        path: a file that `torch.save` wrote.
        source: where such weights come from, for the hint.

    Raises:
        FacebenchError: no such file, not weights, incomplete, or more than tensors in it.
    """
    content = _load(path, source)
    # Training scripts save the state dict among optimiser and epoch.
    table = _unwrap(content)
    if not is_table_of_tensors(table):
        raise FacebenchError(
            f"{path} holds no table of tensors but {_kind(table)}",
            "save the network's state_dict() alone",
        )
    return _without_prefix({str(name): value for name, value in table.items()})


def build_with_state(
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
    # What the file has comes last and wins.
    given = {name: own[name] for name in own if name.endswith(_COUNTER)} | dict(state)
    problem = _names_problem(own, given) or _shapes_problem(own, given)
    if problem:
        known = architecture_of(state)
        looks = f"; this looks like {known}" if known else ""
        raise FacebenchError(f"{path} is not {what}: {problem}{looks}", f"give weights of {what}")
    network.load_state_dict(given)


def architecture_of(state: Mapping[str, Tensor]) -> str:
    """The architecture that a state dict's names show, or an empty text."""
    names = set(state)
    if "cp.resnet.conv1.weight" in names:
        classes = state.get("conv_out.conv_out.weight")
        return "BiSeNet" if classes is None else f"BiSeNet with {classes.shape[:1].numel()} classes"
    blocks = stage_depths(names)
    if "layer1.0.prelu.weight" in names:
        return next((_title(k) for k, v in IRESNET_DEPTHS.items() if v == blocks), "an IResNet")
    # 34 and 50 layers have the same numbers of blocks.
    bottleneck = "layer1.0.conv3.weight" in names
    for name, (block, depths) in RESNET_DEPTHS.items():
        if depths == blocks and (block.expansion > 1) == bottleneck:
            return _title(name)
    return ""


def file_problem(path: Path) -> str:
    """What is plainly wrong with a weights file by its first bytes; empty where nothing is."""
    with path.open("rb") as file:
        head = file.read(START_BYTES)
    if not head:
        return "is empty"
    # Stores answer in XML, which as such may be a file.
    instead = not_the_file(b"<html" if head.lstrip().startswith(b"<?xml") else head)
    return f"is {instead[0]} ({instead[1]})" if instead else ""


def _load(path: Path, source: str) -> Any:
    if not path.is_file():
        raise FacebenchError(f"no weights at {path}", f"they come from {source}")
    # First bytes first: PyTorch's error about a web page is no help.
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


def _unwrap(content: Any) -> Any:
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
        f"{len(names)} {verb} ({_first_names(names)})"
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


def _first_names(names: Iterable[str]) -> str:
    listed = list(names)
    dots = ", …" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + dots


def _title(architecture: str) -> str:
    name, depth = re.fullmatch(r"(\D+)(\d+)", architecture).groups()  # type: ignore[union-attr]
    return f"{'IResNet' if name == 'iresnet' else 'ResNet'}-{depth}"
