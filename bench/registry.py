"""Reconstruction methods by name: files of `bench/methods` and entry points of other packages."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import cast

from ..errors import FacebenchError
from . import methods
from .method import Method, MethodCard, MethodModule, MethodOptions

GROUP = "facebench.methods"
"""Other packages add a method by an entry point `name = "package.module"`, a `MethodModule`."""


def method_names() -> tuple[str, ...]:
    """All methods, sorted; imports none of them."""
    return tuple(sorted(_modules()))


def method_card(name: str) -> MethodCard:
    """What is known of a method without building it.

    Raises:
        FacebenchError: there is no such method.
    """
    return _module(name).CARD


def build_method(name: str, options: MethodOptions) -> Method:
    """The method, ready to describe crops.

    Raises:
        FacebenchError: there is no such method, or it cannot be built from these options.
    """
    return _module(name).build(options)


def _module(name: str) -> MethodModule:
    modules = _modules()
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(sorted(modules))}"
        raise FacebenchError(f"no method '{name}'", hint)
    return cast("MethodModule", importlib.import_module(modules[name]))


def _modules() -> dict[str, str]:
    own = {
        item.name.replace("_", "-"): f"{methods.__name__}.{item.name}"
        for item in pkgutil.iter_modules(methods.__path__)
    }
    return {point.name: point.value for point in entry_points(group=GROUP)} | own
