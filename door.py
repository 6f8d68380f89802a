"""The library's door: arguments are checked against the signatures, and errors name them."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from .errors import FacebenchError

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

_OPTION = re.compile(r"'facebench [^']*'|--([a-z][a-z0-9-]*)")
"""An option in a sentence; whole commands stay as they are."""
_KNOWN = ("builtins", "pathlib", "torch", __package__)
"""Packages whose types signatures name: another package's `Mesh` is not ours."""
_NUMBERS = "biuf"
_AS_MESH = "facebench.Mesh(vertices, triangles) makes a mesh of arrays (V, 3) and (F, 3)"


class MeshLike(Protocol):
    """A mesh of another library, such as trimesh or Open3D.

    It has `vertices` (V, 3), and `faces` or `triangles` (F, 3), which count from 0.
    """

    @property
    def vertices(self) -> Any:
        """Their positions (V, 3)."""


def checks_arguments(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Let a function refuse what its signature does not name, and speak of arguments in errors.

    Meshes arrive with arrays, those of other libraries as ours where it takes `MeshLike`.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def called(*given: Arguments.args, **named: Arguments.kwargs) -> Answer:
        bound = signature.bind(*given, **named)
        for name, value in bound.arguments.items():
            parameter = signature.parameters[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                checked: Any = tuple(checked_argument(name, v, parameter.annotation) for v in value)
            elif parameter.kind is parameter.VAR_KEYWORD:
                continue
            else:
                checked = checked_argument(name, value, parameter.annotation)
            bound.arguments[name] = checked
        try:
            return function(*bound.args, **bound.kwargs)
        except FacebenchError as error:
            error.message, error.hint = map(with_arguments, (error.message, error.hint))
            error.args = (error.message, error.hint)
            raise

    return called


def with_arguments(text: str) -> str:
    """A sentence that speaks of arguments where the command's speaks of options."""
    return _OPTION.sub(lambda one: one[1].replace("-", "_") if one[1] else one[0], text)


def checked_argument(name: str, value: Any, annotation: str) -> Any:
    """A value of one of the types that an annotation names, `A | B[...] | None`.

    Raises:
        FacebenchError: it is of none of them, or the empty name of a file.
    """
    # Names of types, not types: to look these up would import PyTorch and pandas.
    kinds = [part.split("[")[0].rsplit(".")[-1] for part in annotation.split(" | ")]
    if value is None and "None" in kinds:
        return value
    if type(value).__module__ == "numpy" and not getattr(value, "shape", True):
        value = value.item()
    if isinstance(value, os.PathLike) and {"Path", "str"} & set(kinds):
        return Path(value) if "Path" in kinds else os.fspath(value)
    if "Path" in kinds and isinstance(value, str) and not value:
        raise FacebenchError(f"{name} is an empty name", "give a file or folder")
    if "MeshLike" in kinds and hasattr(value, "vertices"):
        value = _mesh_of(name, value)
    types = [t for t in type(value).__mro__ if t.__module__.split(".")[0] in _KNOWN]
    if any(one.__name__ in kinds for one in types):
        return value
    if "NDArray" in kinds and not isinstance(value, str | bytes) and _is_numeric(value):
        return value
    expected = " or ".join(kind for kind in kinds if kind not in ("MeshLike", "None"))
    hint = f"expected {expected}{'; ' + _AS_MESH if 'Mesh' in kinds else ''}"
    raise FacebenchError(f"{name} is of the type {type(value).__name__}", hint)


def _mesh_of(name: str, given: Any) -> Any:
    """Our mesh of one that may be another library's."""
    import numpy as np

    from .recon.mesh import Mesh

    if isinstance(given, Mesh):
        return given
    # trimesh's `triangles` are the corners' positions, its `faces` their numbers.
    corners = getattr(given, "faces", None)
    if corners is None:
        corners = getattr(given, "triangles", None)
    if corners is None:
        raise FacebenchError(f"{name} is a {type(given).__name__} without faces", _AS_MESH)
    return Mesh(np.asarray(given.vertices), np.asarray(corners))


def _is_numeric(value: Any) -> bool:
    import numpy as np

    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return False
    return array.ndim > 0 and array.dtype.kind in _NUMBERS
