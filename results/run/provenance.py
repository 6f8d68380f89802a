"""Where a number comes from: code, packages and machine."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "facebench",
    "av",
    "mlflow",
    "numpy",
    "open3d-cpu",
    "open3d",
    "pandas",
    "ray",
    "scikit-image",
    "scipy",
    "torch",
    "trimesh",
)
"""Packages whose versions can move a number."""


def package_versions() -> dict[str, str]:
    """Installed versions of `PACKAGES`, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def source_state() -> tuple[str, bool]:
    """Commit of the checkout this code runs from and whether it was changed; else `("", False)`."""
    commit = _git("rev-parse", "HEAD")
    return commit, bool(commit and _git("status", "--porcelain", "--untracked-files=no"))


def host() -> dict[str, str | int]:
    """The machine: name, system, processors."""
    return {
        "name": socket.gethostname(),
        "system": platform.platform(),
        "cpus": os.cpu_count() or 1,
    }


def now() -> str:
    """The time in UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(*arguments: str) -> str:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
