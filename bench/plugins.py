"""Modules found by name: those of a folder of the package, and entry points of other packages."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import FacebenchError, did_you_mean, error_line

BUILT_IN = "built in"


class Place(NamedTuple):
    """Where a plug-in is, as `package.module` or `package.module:object`, and who brought it."""

    module: str
    origin: str


class Plugins:
    """The plug-ins of one kind; a module is imported when it is first used.

    Args:
        kind: what messages call one: `method`, `dataset`.
        package: dotted name of the one whose modules are built in, each under its file's name; or,
            for the files in its `TOGETHER`, their objects under their own names.
        group: of the entry points `name = "package.module"` by which other packages add theirs.
        needs: what every module must hold, its `CARD` among it.
    """

    def __init__(self, kind: str, package: str, group: str, needs: Sequence[str]) -> None:
        self.kind, self.group = kind, group
        self._package, self._needs = package, tuple(needs)

    def names(self) -> tuple[str, ...]:
        """All plug-ins, sorted; imports none of other packages."""
        return tuple(sorted(self._places()))

    def origin(self, name: str) -> str:
        """`built in`, or name and version of the package that brought a plug-in.

        Raises:
            FacebenchError: there is no such plug-in.
        """
        return self._place(name).origin

    def module(self, name: str) -> Any:
        """The module of a plug-in.

        Raises:
            FacebenchError: there is no such plug-in, or its module cannot be used.
        """
        place = self._place(name)
        try:
            # The colon tells a module from what it holds; without it both would be tried.
            at = place.module if ":" in place.module else f"{place.module}:"
            module = pkgutil.resolve_name(at)
        except Exception as error:  # an outside module raises whatever it likes
            raise self._unusable(name, place, error_line(error)) from error
        missing = [item for item in self._needs if not hasattr(module, item)]
        if missing:
            raise self._unusable(name, place, f"{place.module} has no {' and no '.join(missing)}")
        return module

    def _unusable(self, name: str, place: Place, reason: str) -> FacebenchError:
        return FacebenchError(f"{self.kind} '{name}' of {place.origin} cannot be loaded: {reason}")

    def _place(self, name: str) -> Place:
        # A built-in name is the package's own whatever others say: no look at what is installed.
        if name in (own := self._built_in()):
            return own[name]
        if name not in (places := self._places()):
            raise FacebenchError(f"no {self.kind} '{name}'", did_you_mean(name, sorted(places)))
        return places[name]

    def _places(self) -> dict[str, Place]:
        """Built-in plug-ins keep their names whatever other packages call theirs."""
        from importlib.metadata import entry_points

        others = {
            point.name: Place(point.value, f"{point.dist.name} {point.dist.version}")
            if point.dist
            else Place(point.value, point.module)
            for point in entry_points(group=self.group)
        }
        return others | self._built_in()

    def _built_in(self) -> dict[str, Place]:
        package = importlib.import_module(self._package)
        shared: Mapping[str, Sequence[str]] = getattr(package, "TOGETHER", {})
        places: dict[str, str] = {}
        for file in (item.name for item in pkgutil.iter_modules(package.__path__)):
            own = {name: f"{file}:{name}" for name in shared.get(file, ())}
            places |= own or {file.replace("_", "-"): file}
        return {name: Place(f"{self._package}.{at}", BUILT_IN) for name, at in places.items()}
