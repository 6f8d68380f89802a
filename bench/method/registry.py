"""Reconstruction methods by name: files of `bench/methods` and entry points of other packages."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import cast

from ...errors import FacebenchError, did_you_mean, error_line
from .. import methods
from .interface import AnyMethod, HoldsMeshes, Method, MethodCard, MethodModule, MethodOptions

GROUP = "facebench.methods"
"""Other packages add a method by an entry point `name = "package.module"`, a `MethodModule`."""
BUILT_IN = "built in"


@dataclass(frozen=True)
class _Place:
    """Where a method's module is, and which package brought it."""

    module: str
    origin: str


def method_names() -> tuple[str, ...]:
    """All methods, sorted; imports none of them."""
    return tuple(sorted(_places()))


def method_origin(name: str) -> str:
    """`built in`, or name and version of the package that brought a method.

    Raises:
        FacebenchError: there is no such method.
    """
    return _place(name).origin


def method_card(name: str) -> MethodCard:
    """What is known of a method without building it.

    Raises:
        FacebenchError: there is no such method, or its module cannot be used.
    """
    return _module(name).CARD


def open_method(name: str, options: MethodOptions) -> AnyMethod:
    """A method of either kind, ready to use.

    Args:
        name: a method's name, or `NAME:SOURCE` for one that comes as files.
        options: what it is built from; SOURCE goes into them.

    Raises:
        FacebenchError: there is no such method, or it cannot be built from these options.
    """
    base, colon, source = name.partition(":")
    module = _module(base)
    if colon and module.CARD.kind != "files":
        raise FacebenchError(f"method '{base}' takes nothing behind a colon", f"write '{base}'")
    if options.expression not in module.CARD.expressions:
        raise FacebenchError(
            f"method '{base}' gives no faces with {options.expression} expression",
            f"choose reduction.expression among: {', '.join(module.CARD.expressions)}",
        )
    return module.build(replace(options, source=source or options.source))


def build_method(name: str, options: MethodOptions) -> Method:
    """A method that describes crops.

    Raises:
        FacebenchError: there is no such method, it cannot be built from these options, or it comes
            as files.
    """
    method = open_method(name, options)
    if isinstance(method, HoldsMeshes):
        raise FacebenchError(f"method '{name}' comes as files", "it reads no photographs")
    return method


def _module(name: str) -> MethodModule:
    place = _place(name)
    try:
        module = importlib.import_module(place.module)
    except Exception as error:  # an outside module raises whatever it likes
        raise _unusable(name, place, error_line(error)) from error
    missing = [item for item in ("CARD", "build") if not hasattr(module, item)]
    if missing:
        raise _unusable(name, place, f"{place.module} has no {' and no '.join(missing)}")
    return cast("MethodModule", module)


def _unusable(name: str, place: _Place, reason: str) -> FacebenchError:
    return FacebenchError(f"method '{name}' of {place.origin} cannot be loaded: {reason}")


def _place(name: str) -> _Place:
    places = _places()
    if name not in places:
        raise FacebenchError(f"no method '{name}'", did_you_mean(name, sorted(places)))
    return places[name]


def _places() -> dict[str, _Place]:
    """Built-in methods keep their names whatever other packages call theirs."""
    own = {
        item.name.replace("_", "-"): _Place(f"{methods.__name__}.{item.name}", BUILT_IN)
        for item in pkgutil.iter_modules(methods.__path__)
    }
    others = {
        point.name: _Place(point.value, f"{point.dist.name} {point.dist.version}")
        if point.dist
        else _Place(point.value, point.module)
        for point in entry_points(group=GROUP)
    }
    return others | own
