"""Open3D, imported without the modules that only its viewer needs.

`import open3d` imports Dash, a web framework, and Plotly for two functions of its viewer: 1.0 of
1.6 processor seconds, in every command that measures and in each of its workers.
"""

from __future__ import annotations

import sys
from functools import reduce
from importlib import import_module
from types import ModuleType
from typing import Any


class _Late(ModuleType):
    """Stands for a module or for something in it, which is imported when it is called."""

    def __init__(self, module: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(module)
        self._place = module, path

    def __getattr__(self, name: str) -> _Late:
        if name.startswith("__"):  # Asked for by the import itself: a stand-in has none.
            raise AttributeError(name)
        module, path = self._place
        return _Late(module, (*path, name))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        module, path = self._place
        found: Any = import_module(module)
        return reduce(getattr, path, found)(*arguments, **options)


# What somebody has imported already costs nothing, and stays as it is.
_STAND_INS = {
    name: _Late(name)
    for name in ("dash", "plotly", "plotly.graph_objects")
    if name not in sys.modules and "open3d" not in sys.modules
}
sys.modules.update(_STAND_INS)
try:
    import open3d as o3d
finally:
    # Open3D keeps its own; everybody else is to find the real ones.
    for _name in _STAND_INS:
        del sys.modules[_name]

__all__ = ["o3d"]
