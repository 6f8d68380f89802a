"""Checks of a command's arguments that run before anything heavy is imported.

A wrong name or path is the commonest mistake, and importing PyTorch, Ray or MLflow to be told of it
costs seconds. The checks go by the names of parameters, which mean the same in every command. What
needs a look into a file or folder is left to the command.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import FacebenchError, did_you_mean, nearest_name
from ..recon.files.mirror import fetch, local_path
from ..recon.files.stores import is_address, mirror_path
from ..recon.morphable import PACKAGED_MODELS
from ._options import PROTOCOLS

if TYPE_CHECKING:
    from ..recon.weights.catalogue import Kind

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_PUBLISHING = ("run", "micc", "prepare", "train", "table1")
"""Commands whose `--out` may be an address."""
_WHOLE = ("prepare", "train")
"""Commands that read their folders' large files by themselves; others read them piece by piece."""
_LISTED = ("data", "predictions", "folders")
_AT_HAND = (
    *(*_LISTED, "prediction", "scan", "prediction_landmarks", "scan_landmarks", "nose_tip"),
    *("checkpoint", "model", "models", "validation", "train", "start", "photographs", "runs"),
    *("run", "baseline", "method", "methods"),
)
"""Parameters that may be addresses to read from."""
_IN_METHOD = re.compile(r"(?<=[:=])[a-z][a-z0-9+.-]*://\S+")
_COPY = "give a folder or file of this machine, and copy from or to the store"
_WRITES_RUNS = "give a folder that 'facebench micc' wrote"
_MODELS = "give 'embedded', 'human', an .npz file, or ICT-FaceKit's FaceXModel folder"


def check_first(command: click.Command) -> None:
    """Let a command, or every command of a group, check its arguments before it runs."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            check_first(inner)
    for parameter in command.params:
        if type(parameter.type) is click.Path:
            parameter.type = _NamedPath.of(parameter.type)
    callback, name = command.callback, command.name or ""
    # A group's commands are objects of a module that stays imported: once is enough.
    if callback is None or hasattr(callback, "__wrapped_early__"):
        return

    @wraps(callback)
    def checked(*arguments: Any, **options: Any) -> Any:
        at_hand = bring_to_hand(name, options)
        check_arguments(at_hand)
        return callback(*arguments, **at_hand)

    checked.__wrapped_early__ = True  # type: ignore[attr-defined]
    command.callback = checked


class _NamedPath(click.Path):
    """A path, of an address its copy's, and no empty text: an unset variable would mean here."""

    @classmethod
    def of(cls, kind: click.Path) -> _NamedPath:
        """A path with the settings of one of click's own."""
        named = cls()
        vars(named).update(vars(kind))
        return named

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an empty name, and an address where none is taken, else as click does."""
        if value in ("", b""):
            self.fail("the name is empty.", param, ctx)
        if is_address(value):
            name, command = param and param.name, ctx and ctx.command.name
            writing = name == "out" and command in _PUBLISHING
            # Else `--out s3://bucket/page` would make a folder `s3:`, and be taken for a success.
            if not writing and name not in _AT_HAND:
                self.fail(f"an address is not known to this option; {_COPY}.", param, ctx)
            return mirror_path(value, writing)
        return super().convert(value, param, ctx)


def bring_to_hand(command: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options with paths of this machine for addresses, and what lies there brought up to date.

    Raises:
        FacebenchError: an address is in no known form, or its store cannot be reached.
    """

    def at_hand(name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(at_hand(name, item) for item in value)
        if isinstance(value, str) and name in ("method", "methods"):
            return _IN_METHOD.sub(lambda found: str(local_path(found[0])), value)
        if is_address(value):
            return str(local_path(value, whole=True))
        whole = command in _WHOLE or name not in _LISTED
        return fetch(value, whole) if isinstance(value, Path) else value

    return {name: at_hand(name, v) if name in _AT_HAND else v for name, v in options.items()}


def check_arguments(options: dict[str, Any]) -> None:
    """Refuse names that nothing has and paths that lead nowhere.

    Args:
        options: values of a command by parameter.

    Raises:
        FacebenchError: for the first one that is wrong.
    """
    for name, check in _CHECKS.items():
        if name in _ANSWERED and options.get("as_json"):
            continue
        value = options.get(name)
        # What may be given several times comes as a tuple; the first mistake is reported.
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                check(item)
    settings = options.get("settings") or ()
    # Not by its name alone: a recipe is right or wrong only together with its --set.
    if isinstance(options.get("recipe"), str):
        _check_recipe(options["recipe"])
        from ..recon.recipes.files import load_any_recipe

        load_any_recipe(options["recipe"], settings)
    # After its name: only a protocol that is changed is worth the import of its record.
    elif settings and isinstance(options.get("protocol"), str):
        from ..bench.protocol.record import read_settings

        read_settings(options["protocol"], settings)


def _check_folder(path: Path) -> None:
    if not path.exists():
        raise FacebenchError(f"{path}: no such folder", _beside(path))


def _check_file(path: Path) -> None:
    if not path.exists():
        raise FacebenchError(f"{path}: no such file", _beside(path))


def _check_weights(path: Path) -> None:
    if not path.exists():
        hint = _beside(path) or "make one with 'facebench train'"
        raise FacebenchError(f"no checkpoint at {path}", hint)


def _check_run(text: str | Path) -> None:
    path = Path(text)
    # Whether MLflow knows an id is the command's to say: its import takes seconds.
    if not path.exists() and not _RUN_ID.fullmatch(str(text)):
        said = f"{path}: neither a run folder nor an MLflow run's id"
        raise FacebenchError(said, _beside(path) or _WRITES_RUNS)
    # For a folder of several runs the command itself lists their names.
    if path.is_dir() and not any(path.glob("run.json")) and not any(path.glob("*/run.json")):
        raise FacebenchError(f"{path} is not a run folder", "it holds no run.json")


def _check_model(text: str) -> None:
    path = Path(text)
    if text not in PACKAGED_MODELS and not path.exists():
        near = nearest_name(text, [*PACKAGED_MODELS, *map(str, _files_beside(path))])
        said = f"did you mean '{near}'? Otherwise " if near else ""
        raise FacebenchError(f"{text}: no such face model", said + _MODELS)


def _check_method(text: str) -> None:
    from ..bench.method.registry import MethodChoice, method_origin

    choice = MethodChoice.parse(text)
    # Of meshes:DIR the name is checked with the registry, and the folder on the disk.
    name, _, folder = choice.name.partition(":")
    method_origin(name)
    if folder:
        _check_folder(Path(folder))
    if choice.checkpoint is not None:
        _check_weights(choice.checkpoint)


def _check_recipe(text: str) -> None:
    # By the files' names: reading one imports what checks all of its settings.
    if text.endswith(".toml"):
        _check_file(Path(text))
        return
    folder = Path(__file__).parents[1] / "recon" / "recipes"
    names = sorted(path.stem for path in folder.glob("*.toml"))
    if text not in names:
        raise FacebenchError(f"no recipe '{text}'", did_you_mean(text, names))


def _check_dataset(name: str) -> None:
    from ..bench.dataset.registry import PLUGINS

    PLUGINS.origin(name)


def _check_network(kind: Kind) -> Callable[[object], None]:
    """The check of a choice of networks; files of points are options of the same name elsewhere."""

    def check(choice: object) -> None:
        from ..recon.weights.catalogue import resolve_choice

        if isinstance(choice, str):
            resolve_choice(kind, choice)

    return check


def _check_protocols(text: str) -> None:
    for name in filter(None, map(str.strip, text.split(","))):
        check_protocol(name)


def check_protocol(text: str) -> None:
    """Refuse a protocol that is neither a preset nor a file that is there."""
    if text.endswith(".toml"):
        _check_file(Path(text))
    elif text not in PROTOCOLS:
        raise FacebenchError(f"unknown protocol '{text}'", did_you_mean(text, PROTOCOLS))


def _beside(path: Path) -> str:
    """A question that names what lies beside a missing path and is called most like it."""
    near = nearest_name(str(path), map(str, _files_beside(path)))
    return f"did you mean '{near}'?" if near else ""


def _files_beside(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.iterdir())
    except OSError:
        # Nothing can be proposed from a folder that is missing itself, or not readable.
        return []


_ANSWERED = ("prediction", "scan")
"""What `--json` answers with an object when it is missing, which only the command can write."""
_CHECKS: dict[str, Callable[[Any], None]] = {
    "dataset": _check_dataset,
    "method": _check_method,
    "methods": _check_method,
    "protocol": check_protocol,
    "protocols": _check_protocols,
    "data": _check_folder,
    "validation": _check_folder,
    "train": _check_folder,
    "prediction": _check_file,
    "scan": _check_file,
    "photographs": _check_file,
    "sources": _check_file,
    "checkpoint": _check_weights,
    "reference": _check_file,
    "rules": _check_file,
    "runs": _check_run,
    "run": _check_run,
    "model": _check_model,
    "models": _check_model,
    "detector": _check_network("detector"),
    "landmarks": _check_network("landmarks"),
    "recogniser": _check_network("recogniser"),
}
"""By the name of a parameter, in the order in which mistakes are told."""
