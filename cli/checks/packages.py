"""Python and the packages of facebench's own metadata, without importing them."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from .finding import Finding, Verdict

GROUP = "Python"
OPTIONAL = ("pytorch3d", "landmarks")
"""Extras a user may want; `dev` is for those who change facebench."""


def check_packages() -> Iterator[Finding]:
    """Python, every required package and every optional one, against the versions needed."""
    from packaging.requirements import Requirement

    yield _check_python()
    for requirement in map(Requirement, requires("facebench") or ()):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}):
            yield _check(requirement.name, str(requirement.specifier))
        else:
            extras = [extra for extra in OPTIONAL if marker.evaluate({"extra": extra})]
            yield from (_check_optional(requirement.name, extra) for extra in extras)


def _check_python() -> Finding:
    from packaging.specifiers import SpecifierSet

    found, needed = platform.python_version(), metadata("facebench")["Requires-Python"]
    if SpecifierSet(needed).contains(found):
        return Finding(GROUP, "python", Verdict.OK, found)
    hint = f"make a virtual environment with Python {needed}"
    return Finding(GROUP, "python", Verdict.MISSING, f"{found}, needs {needed}", hint)


def _check(name: str, needed: str) -> Finding:
    from packaging.specifiers import SpecifierSet

    found = _installed(name)
    hint = f"pip install '{name}{needed}'"
    if not found:
        return Finding(GROUP, name, Verdict.MISSING, f"not installed, needs {needed}", hint)
    if not SpecifierSet(needed).contains(found, prereleases=True):
        return Finding(GROUP, name, Verdict.MISSING, f"{found}, needs {needed}", hint)
    return Finding(GROUP, name, Verdict.OK, found)


def _check_optional(name: str, extra: str) -> Finding:
    found = _installed(name)
    if found:
        return Finding(GROUP, name, Verdict.OK, f"{found} (optional)")
    hint = f"pip install 'facebench[{extra}]' if you want it"
    return Finding(GROUP, name, Verdict.WARNING, "not installed (optional)", hint)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
