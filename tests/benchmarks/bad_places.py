"""Sends the results of commands to places that cannot take them, and reads what they say.

    python tests/benchmarks/bad_places.py
    python tests/benchmarks/bad_places.py --commands report synth --places 'a device' --seconds 30

Each case is a command in a process of its own (forked, so that nothing is imported twice) whose
`--out` is a device, a file in the way, a link in a loop, a name that is too long, a disk that is
full or read-only, or whose streams, memory or file handles are taken away. Right is an answer of
one line with exit code 2, or a result where the place can take one; never a traceback, a crash, a
wait without end, a draft left behind, or a change of somebody's file.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from places import PLACES, PRECIOUS

HUNG = -1000
"""In place of an exit code."""


@dataclass(frozen=True)
class Command:
    """A command that is over soon.

    Attributes:
        words: its words before `--out`, in the folder of the inputs.
        option: what takes the place.
        ending: of the one file that it writes; empty where it writes a folder.
        done: exit codes of a command that came to its end.
    """

    words: tuple[str, ...]
    option: str = "--out"
    ending: str = ""
    done: tuple[int, ...] = (0,)


COMMANDS: dict[str, Command] = {
    "report": Command(("report", "run"), ending=".html"),
    "compare": Command(("compare", "run", "other", "--format", "csv"), ending=".txt"),
    "gate": Command(("gate", "run", "--rules", "rules.toml"), "--junit", ".xml", (0, 1, 3)),
    "models export": Command(("models", "export", "embedded", "--vertices", "2000"), ending=".npz"),
    "synth": Command(("synth", "faces", "--subjects", "1", "--frames", "1", "--image-size", "32")),
    "evaluate": Command(("evaluate", "face.obj", "scan.obj", "--protocol", "fg2018")),
}


@dataclass(frozen=True)
class Case:
    """A command sent to a place, and what became of it."""

    command: str
    place: str
    status: int
    lines: tuple[str, ...]
    seconds: float
    wrong: str


def inputs(folder: Path) -> Path:
    """What the commands read."""
    import numpy as np
    from example_runs import example_run

    from facebench.recon.export.mesh_files import write_mesh
    from facebench.recon.morphable.procedural import procedural_model

    example_run(folder / "run")
    example_run(folder / "other", "mean-face", 1.5, 1)
    (folder / "rules.toml").write_text("[[limit]]\nmax_mm = 5.0\n")
    model = procedural_model(0, 2500)
    for name in ("face", "scan"):
        write_mesh(model.mesh(), folder / f"{name}.obj")
        np.savetxt(folder / f"{name}.txt", model.mean_shape[model.landmarks])
    return folder


def run(name: str, place: str, given: Path, home: Path, seconds: float) -> Case:
    """Send a command to a place."""
    command, where = COMMANDS[name], PLACES[place]
    folder = home / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if where.before:
        where.before(folder)
    out = where.out.replace("{}", command.ending)
    path = out if out.startswith("/") or not out else str(folder / out)
    words = [str(given / w) if (given / w).exists() else w for w in command.words]
    if name == "evaluate":
        words += ["--prediction-landmarks", str(given / "face.txt")]
        words += ["--scan-landmarks", str(given / "scan.txt")]
    start = time.perf_counter()
    # A pipe and no file: limits on files shall not be limits on what is said.
    said, end = os.pipe()
    child = os.fork()
    if not child:
        os.close(said)
        _be([*words, command.option, path], end, folder, where.limit)
    os.close(end)
    status, content = _wait(child, said, seconds)
    lines = tuple(content.decode("utf-8", "replace").splitlines())
    took = time.perf_counter() - start
    return Case(name, place, status, lines, took, _wrong(status, lines, folder, name, place))


def _be(words: list[str], said: int, folder: Path, limit: Callable[[], None] | None) -> None:
    """The child: its error stream goes to a pipe, its output nowhere; never returns."""
    status = 99
    try:
        os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        os.dup2(said, 2)
        os.close(said)
        # New ones: those of the parent may be of files, and think that they can seek.
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder.parent / 'm.db'}"
        _be_nobody_special()
        from facebench.cli import main as cli

        sys.argv = ["facebench", *words]
        if limit:
            limit()
        cli.main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 98
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def _be_nobody_special() -> None:
    """The superuser may write anywhere: without these rights modes count for it too."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capget(header, data):
        return
    for bit in (1, 2, 3):  # over modes of files, over searching folders, over owners
        for word in (0, 1):
            data[word] &= ~(1 << bit)
    libc.capset(header, data)


def _wait(child: int, said: int, seconds: float) -> tuple[int, bytes]:
    """Exit code, below zero for a signal, and what came through the pipe until then."""
    parts: list[bytes] = []
    end = time.monotonic() + seconds
    os.set_blocking(said, False)
    try:
        while True:
            with suppress(BlockingIOError):
                while part := os.read(said, 65536):
                    parts.append(part)
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                with suppress(BlockingIOError):
                    while part := os.read(said, 65536):
                        parts.append(part)
                return os.waitstatus_to_exitcode(status), b"".join(parts)
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return HUNG, b"".join(parts)
            time.sleep(0.02)
    finally:
        os.close(said)


def _wrong(status: int, lines: tuple[str, ...], folder: Path, name: str, place: str) -> str:
    """What of an outcome is wrong; empty for nothing."""
    told = [line for line in lines if line.startswith("facebench: ")]
    where = PLACES[place]
    silent = place == "no error stream"
    if status == HUNG:
        return "no end"
    if status < 0:
        return f"died of signal {-status}"
    if any("Traceback" in line or "fault inside facebench" in line for line in lines):
        return "a traceback"
    done = COMMANDS[name].done
    if status in done and not where.usable:
        return "accepted"
    if status not in (*done, 2):
        return f"exit {status}"
    if status == 2 and not silent and (len(told) != 1 or lines[-1] != told[0]):
        return f"{len(told)} lines"
    if drafts := [path.name for path in folder.rglob(".*.draft")]:
        return f"left {drafts[0]}"
    return "somebody's file changed" if _changed(folder, place) else ""


def _changed(folder: Path, place: str) -> bool:
    """Whether a file that was there, and was not named itself, is another one now."""
    kept = {"below a file": "letter", "somebody's folder": "thesis/chapter1.tex"}
    kept |= {"a file in the way": "out"}
    name = kept.get(place)
    return name is not None and (folder / name).read_text() != PRECIOUS


def cases(commands: list[str], places: list[str]) -> Iterator[tuple[str, str]]:
    """Every command with every place that is one for it."""
    for place in places:
        for name in commands:
            files = PLACES[place].files
            if files is None or files == bool(COMMANDS[name].ending):
                yield name, place


def main() -> int:
    arguments = parsed()
    warnings.simplefilter("ignore")
    import_everything()
    home = Path(tempfile.mkdtemp(prefix="facebench-places-"))
    found: list[Case] = []
    try:
        (home / "given").mkdir()
        given = inputs(home / "given")
        for name, place in cases(arguments.commands, arguments.places):
            case = run(name, place, given, home, arguments.seconds)
            found.append(case)
            if case.wrong or arguments.all:
                last = case.lines[-1] if case.lines else ""
                print(f"{case.wrong or 'right'}: {name}, {place}: {last[:200]}", flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    counted = collections.Counter(case.wrong.split(" ")[0] or "right" for case in found)
    print(json.dumps({"cases": len(found), **counted}))
    return int(any(case.wrong for case in found))


def import_everything() -> None:
    """Once, in the parent: a child that has no handles left could import nothing."""
    import importlib

    for path in Path(__file__).parents[2].glob("cli/[a-z]*.py"):
        importlib.import_module(f"facebench.cli.{path.stem}")
    for name in (
        "bench.scoring.evaluate",
        "results.report",
        "results.compare",
        "results.gate.evaluate",
    ):
        importlib.import_module(f"facebench.{name}")
    for name in ("results.figures.errors", "recon.synthetic.shards", "recon.morphable.load"):
        importlib.import_module(f"facebench.{name}")
    import matplotlib.figure  # noqa: F401
    import mlflow  # noqa: F401


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--seconds", type=float, default=120.0, help="given to each case")
    parser.add_argument("--all", action="store_true", help="print what is right, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
