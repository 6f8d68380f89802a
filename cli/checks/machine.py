"""The machine: shared libraries, accelerator, processors, memory, disk."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from .finding import Finding, Verdict

GROUP = "Machine"
LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libgomp.so.1": "libgomp1",
}
"""Shared libraries that importing Open3D loads on Linux, and the Debian packages they are in."""

MIN_MEMORY_GB, MIN_DISK_GB, MIN_CORES = 6.0, 5.0, 2


def check_machine() -> Iterator[Finding]:
    """Libraries, accelerator, processors, memory and disk."""
    if sys.platform == "linux":
        yield from (_check_library(name, package) for name, package in LIBRARIES.items())
    yield _check_gpu()
    yield _check_amount("processors", available_cores(), MIN_CORES, "")
    memory = available_memory_gb()
    if memory is not None:
        yield _check_amount("memory", memory, MIN_MEMORY_GB, " GB")
    disk = shutil.disk_usage(Path.cwd()).free / 1e9
    yield _check_amount("free disk here", disk, MIN_DISK_GB, " GB")


def available_cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory_gb(control_group: Path = Path("/sys/fs/cgroup/memory.max")) -> float | None:
    """Memory of the machine or of the container, whichever is less; None when unknown."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError, AttributeError):
        return None
    text = control_group.read_text().strip() if control_group.is_file() else ""
    return min(total, int(text) / 1e9) if text.isdigit() else total


def _check_library(name: str, package: str) -> Finding:
    try:
        ctypes.CDLL(name)
    except OSError:
        hint = f"sudo apt-get install {package} (Open3D needs it)"
        return Finding(GROUP, name, Verdict.MISSING, "not found", hint)
    return Finding(GROUP, name, Verdict.OK, "found")


def _check_gpu() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        hint = "reinstall it: pip install torch"
        return Finding(GROUP, "torch", Verdict.MISSING, f"cannot be imported: {error}", hint)
    from ...recon.render.softras import has_compiler

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if names:
        if not has_compiler():
            hint = "install gcc: the rasteriser's kernels are started through it"
            return Finding(GROUP, "GPU", Verdict.WARNING, "no C compiler beside it", hint)
        return Finding(GROUP, "GPU", Verdict.OK, ", ".join(names))
    detail = f"none that torch {torch.__version__} can use"
    return Finding(GROUP, "GPU", Verdict.WARNING, detail, "everything runs on the processor")


def _check_amount(name: str, found: float, needed: float, unit: str) -> Finding:
    detail = f"{found:.0f}{unit}"
    if found >= needed:
        return Finding(GROUP, name, Verdict.OK, detail)
    return Finding(GROUP, name, Verdict.WARNING, detail, f"{needed:g}{unit} or more are advised")
