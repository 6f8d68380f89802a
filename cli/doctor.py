"""`facebench doctor`: what is installed, what is missing and where to get it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ..errors import Finding, Verdict, failure, success, warning
from ..recon.weights.catalogue import torch_checkpoints
from ._tables import findings_table, print_json

OPTIONAL = ("pytorch3d", "landmarks")
"""Extras a user may want; `dev` is for those who change facebench."""

LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libgomp.so.1": "libgomp1",
}
"""Shared libraries that importing Open3D loads on Linux, and the Debian packages they are in."""

MIN_MEMORY_GB, MIN_DISK_GB, MIN_CORES = 6.0, 5.0, 2

TIMEOUT_S = 3.0

# What a user fetches: its name, file names of which any shows that it is there, where to get it
# and under which terms, and what it is for.
ASSETS: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    (
        "Basel Face Model 2009",
        ("01_MorphableModel.mat",),
        "https://faces.dmi.unibas.ch/bfm/ (free for research, after registration)",
        "the paper's identity and albedo",
    ),
    (
        "FaceWarehouse expressions",
        ("Exp_Pca.bin",),
        "https://github.com/Juyong/3DFace ('CoarseData')",
        "the paper's expressions, with std_exp.txt",
    ),
    (
        "MICC Florence 2D/3D faces",
        ("subject_01/Model", "*/subject_01/Model"),
        "https://www.micc.unifi.it, resources, 'Florence 2D/3D face dataset' (signed agreement)",
        "the benchmark's data, 'facebench micc --data'",
    ),
    (
        "ArcFace weights",
        ("backbone.pth", "*/backbone.pth"),
        "https://github.com/deepinsight/insightface, 'arcface_torch' model zoo (non-commercial)",
        "the identity loss",
    ),
    (
        "face parsing weights",
        ("79999_iter.pth",),
        "https://github.com/zllrunning/face-parsing.PyTorch",
        "masks of real photographs",
    ),
)
FAN_WEIGHTS = (
    "2DFAN4-11f355bf06.pth.tar",
    "3DFAN4-7835d9f11d.pth.tar",
    "s3fd-619a316812.pth",
)


@click.command(name="doctor")
@click.option(
    "--assets",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("assets"),
    help="Folder in which to look for licensed models, weights and the MICC set.",
)
@click.option(
    "--cluster",
    is_flag=False,
    flag_value="",
    metavar="[ADDRESS]",
    help="Look at every node of a Ray cluster instead.  [default: RAY_ADDRESS]",
)
@click.option(
    "--shared",
    type=click.Path(path_type=Path),
    multiple=True,
    help="With --cluster: a path that all nodes must see alike; several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(assets: Path, cluster: str | None, shared: tuple[Path, ...], as_json: bool) -> int:
    """Say what is installed, what is missing and where to get it.

    ✓ is there, ⚠ is optional or advised, ✗ is needed. The exit code is 0 when everything needed
    is there, else 1.

    With --cluster a short job runs on every node: versions, shared paths, free memory and clock
    are compared with this machine's.

    \b
    Examples:
      facebench doctor
      facebench doctor --assets ~/face-models
      facebench doctor --cluster head:6379 --shared /shared/MICC --shared /shared/runs
      facebench doctor --json | jq '.findings[] | select(.verdict != "passed")'
    """
    groups = examine(assets) if cluster is None else examine_cluster(cluster, shared)
    ready = not _count_failures(groups)
    if as_json:
        rows = [{"group": group, **asdict(one)} for group, found in groups.items() for one in found]
        print_json({"ready": ready, "findings": rows})
    else:
        _print(groups)
    # Warnings do not count: what is optional is missing on most machines.
    return 0 if ready else 1


def examine(assets: Path) -> dict[str, list[Finding]]:
    """The findings under their headings, in the order of the table."""
    return {
        "Python": list(check_packages()),
        "Machine": list(check_machine()),
        "Services": list(check_services()),
        "Assets": list(check_assets(assets)),
    }


def examine_cluster(address: str, shared: Sequence[Path]) -> dict[str, list[Finding]]:
    """The findings on every node of a cluster."""
    from ..distributed.nodes import check_nodes

    return {"Cluster": list(check_nodes(address, shared))}


def _print(groups: Mapping[str, Sequence[Finding]]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for group, findings in groups.items():
        console.print(f"\n[bold]{group}[/bold]")
        console.print(findings_table(findings))
    lacking = _count_failures(groups)
    console.print("\nReady." if not lacking else f"\nNot ready: {lacking} needed, see ✗.")


def _count_failures(groups: Mapping[str, Sequence[Finding]]) -> int:
    return sum(one.verdict is Verdict.FAILED for found in groups.values() for one in found)


def check_packages() -> Iterator[Finding]:
    """Python, every required package and every optional one, against the versions needed."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    yield _check_python()
    for requirement in map(Requirement, requires("facebench") or ()):
        marker = requirement.marker
        # Under no extra: a requirement that still holds is one that everybody needs.
        if marker is None or marker.evaluate({"extra": ""}):
            yield _check_required(requirement.name, str(requirement.specifier))
        else:
            extras = [extra for extra in OPTIONAL if marker.evaluate({"extra": extra})]
            yield from (_check_optional(requirement.name, extra) for extra in extras)


def _check_python() -> Finding:
    from importlib.metadata import metadata

    from packaging.specifiers import SpecifierSet

    found, needed = platform.python_version(), metadata("facebench")["Requires-Python"]
    if SpecifierSet(needed).contains(found):
        return success("python", found)
    hint = f"make a virtual environment with Python {needed}"
    return failure("python", f"{found}, needs {needed}", hint)


def _check_required(name: str, needed: str) -> Finding:
    from packaging.specifiers import SpecifierSet

    found = _installed_version(name)
    hint = f"pip install '{name}{needed}'"
    if not found:
        return failure(name, f"not installed, needs {needed}", hint)
    # A nightly build of PyTorch counts as a pre-release, and is as good.
    if not SpecifierSet(needed).contains(found, prereleases=True):
        return failure(name, f"{found}, needs {needed}", hint)
    return success(name, found)


def _check_optional(name: str, extra: str) -> Finding:
    found = _installed_version(name)
    if found:
        return success(name, f"{found} (optional)")
    hint = f"pip install 'facebench[{extra}]' if you want it"
    return warning(name, "not installed (optional)", hint)


def _installed_version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def check_machine() -> Iterator[Finding]:
    """Libraries, accelerator, processors, memory and disk."""
    if sys.platform == "linux":
        yield from (_check_library(name, package) for name, package in LIBRARIES.items())
    yield _check_gpu()
    yield _check_amount("processors", available_cores(), MIN_CORES, "")
    memory = available_memory_gb()
    if memory is not None:
        yield _check_amount("memory", memory, MIN_MEMORY_GB, " GB")
    # Of the current folder, since runs, trainings and MLflow's store go there by default.
    disk = shutil.disk_usage(Path.cwd()).free / 1e9
    yield _check_amount("free disk here", disk, MIN_DISK_GB, " GB")


def available_cores() -> int:
    """Processors this process may use."""
    # A container or a batch system may give a process fewer than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory_gb(control_group: Path = Path("/sys/fs/cgroup/memory.max")) -> float | None:
    """Memory of the machine or of the container, whichever is less; None when unknown."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError, AttributeError):
        return None
    # The word 'max' where the container has no limit of its own.
    text = control_group.read_text().strip() if control_group.is_file() else ""
    return min(total, int(text) / 1e9) if text.isdigit() else total


def _check_library(name: str, package: str) -> Finding:
    import ctypes

    try:
        ctypes.CDLL(name)
    except OSError:
        hint = f"sudo apt-get install {package} (Open3D needs it)"
        return failure(name, "not found", hint)
    return success(name, "found")


def _check_gpu() -> Finding:
    try:
        import torch
    # A wheel for another system is found, and fails when its libraries are loaded.
    except (ImportError, OSError) as error:
        hint = "reinstall it: pip install torch"
        return failure("torch", f"cannot be imported: {error}", hint)
    from ..recon.render.softras import has_compiler

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if names:
        if not has_compiler():
            hint = "install gcc: the rasteriser's kernels are started through it"
            return warning("GPU", "no C compiler beside it", hint)
        return success("GPU", ", ".join(names))
    detail = f"none that torch {torch.__version__} can use"
    return warning("GPU", detail, "everything runs on the processor")


def _check_amount(name: str, found: float, needed: float, unit: str) -> Finding:
    detail = f"{found:.0f}{unit}"
    if found >= needed:
        return success(name, detail)
    return warning(name, detail, f"{needed:g}{unit} or more are advised")


def check_services() -> Iterator[Finding]:
    """The Ray address and the MLflow store, as the environment names them."""
    yield check_ray(os.environ.get("RAY_ADDRESS", ""))
    yield check_mlflow()


def check_ray(address: str) -> Finding:
    """Whether the head of a cluster answers; without an address there is nothing to answer."""
    if address in ("", "local", "auto"):
        detail = f"RAY_ADDRESS is {address or 'not set'}: commands run on this machine"
        return success("Ray", detail)
    import socket
    from urllib.parse import urlsplit

    # Without a scheme the host's name would be taken for one.
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        # 6379 is the port of a head that was started without naming one.
        where = (parts.hostname or "", parts.port or 6379)
        with socket.create_connection(where, timeout=TIMEOUT_S):
            return success("Ray", f"{address} answers")
    except (OSError, ValueError) as error:
        detail = f"RAY_ADDRESS={address} does not answer: {error}"
        hint = "start the head ('ray start --head --block') or unset RAY_ADDRESS"
        return failure("Ray", detail, hint)


def check_mlflow() -> Finding:
    """Whether the tracking store can be written to, or its server answers."""
    from ..results.tracking.store import public_address, redact, sqlite_file, tracking_uri

    uri = tracking_uri()
    database = sqlite_file(uri)
    if database is not None:
        return _check_database(redact(uri), database)
    # A password is neither shown nor needed: whether a server lives is everybody's to ask.
    if uri.startswith(("http://", "https://")):
        return _check_server(public_address(uri))
    hint = "only SQLite files and HTTP servers are tried here"
    return warning("MLflow", f"{redact(uri)} was not tried", hint)


def _check_database(uri: str, database: Path) -> Finding:
    """Folders that are not there yet are made on first use."""
    nearest = next(folder for folder in database.parents if folder.exists())
    # A file in the folder's place may well be writable, and nothing can be kept in it.
    if nearest.is_dir() and os.access(nearest, os.W_OK):
        return success("MLflow", uri)
    hint = "set MLFLOW_TRACKING_URI to a place you may write to"
    return failure("MLflow", f"{uri} cannot be written", hint)


def _check_server(uri: str) -> Finding:
    import urllib.request

    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=TIMEOUT_S):
            return success("MLflow", f"{uri} answers")
    except (OSError, ValueError) as error:
        hint = "start the server, or unset MLFLOW_TRACKING_URI for a local database"
        return failure("MLflow", f"{uri} does not answer: {error}", hint)


def check_assets(folder: Path) -> Iterator[Finding]:
    """The embedded checkpoint, the licensed files in a folder, and the landmark weights."""
    yield check_embedded()
    for name, patterns, source, purpose in ASSETS:
        # The first of several is enough: the name shows that the asset was fetched, not that it is
        # whole.
        found = next((path for pattern in patterns for path in folder.glob(pattern)), None)
        if found is not None:
            yield success(name, str(found))
        else:
            yield warning(name, f"not here ({purpose})", f"{source}; put it in {folder}")
    yield check_landmark_weights(torch_checkpoints())


def check_embedded() -> Finding:
    """Whether the checkpoint that the package carries is there."""
    folder = Path(__file__).resolve().parents[1] / "recon" / "network" / "embedded"
    names = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    weights = [name for name in names if name.endswith((".pt", ".pth", ".npz"))]
    if weights:
        return success("embedded checkpoint", ", ".join(sorted(weights)))
    hint = "reinstall facebench, or train one with 'facebench train'"
    return failure("embedded checkpoint", "not in the package", hint)


def check_landmark_weights(folder: Path) -> Finding:
    """Whether face-alignment finds its weights where it looks for them."""
    missing = [name for name in FAN_WEIGHTS if not (folder / name).is_file()]
    if not missing:
        return success("landmark weights", str(folder))
    hint = f"https://github.com/1adrianb/face-alignment; put them in {folder}"
    detail = f"missing {', '.join(missing)} (landmarks of real photographs)"
    return warning("landmark weights", detail, hint)
