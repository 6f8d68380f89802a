"""Processor seconds of what should be answered at once: help, mistakes, and one pair.

    taskset -c 1 python tests/benchmarks/start_up.py help mistakes pair

Each command is a process of its own; the least of several runs counts, since other work on the
machine only adds to it. The mistakes are those of `tests/cli/test_usage_errors.py`. Of a pair the
whole command is held against its imports, in a process that does nothing else, and its work, the
same call a second time in one process.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))

from test_usage_errors import MISTAKES, write_mistaken_files

from facebench.cli.main import group

ROOT = Path(__file__).resolve().parents[2]
PAIR = ("evaluate", "face.obj", "scan.ply")
COMMAND = (sys.executable, "-m", "facebench")
# In the order in which the command came to them, so that each costs what it cost there.
MODULES = """
import json, sys
from facebench.cli import main
sys.argv = ["facebench", *sys.argv[1:]]
main._status()
json.dump([name for name in sys.modules if name != "__main__"], sys.stderr)
"""
IMPORTS = """
import importlib, json, sys
from contextlib import suppress
for name in json.load(sys.stdin):
    with suppress(Exception):
        importlib.import_module(name)
"""
WORK = """
import sys, time
from facebench.cli import main
sys.argv = ["facebench", *sys.argv[1:]]
main._status()
begun = time.process_time()
main._status()
print(time.process_time() - begun, file=sys.stderr)
"""


def main() -> None:
    """Read the command line and print a table of each kind that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kinds = {"help": helps, "mistakes": mistakes, "pair": pair}
    parser.add_argument("what", nargs="+", choices=kinds)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for what in given.what:
            kinds[what](Path(scratch), given.times)


def helps(home: Path, times: int) -> None:
    """`--help` of every command, the dearest first."""
    costs = {
        line: seconds([*COMMAND, *line.split(), "--help"], home, times)[0]
        for line in ["", *paths()]
    }
    print("| `--help` of | s |\n| --- | ---: |")
    for line, cost in sorted(costs.items(), key=lambda pair: -pair[1]):
        print(f"| `facebench {line}` | {cost:.2f} |")


def paths() -> Iterator[str]:
    """Every command, and every command of a group, as it is typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield name
        inner = command.commands if isinstance(command, click.Group) else {}
        yield from (f"{name} {word}" for word in sorted(inner))


def mistakes(home: Path, times: int) -> None:
    """What is typed, its cost and its answer."""
    write_mistaken_files(home)
    print("| typed | s | answer |\n| --- | ---: | --- |")
    for line in filter(None, MISTAKES):
        cost, answer = seconds([*COMMAND, *shlex.split(line)], home, times)
        assert answer.returncode == 2 and answer.stderr.count("\n") == 1, line
        said = answer.stderr.strip().replace(str(home), "…")
        print(f"| `{line}` | {cost:.2f} | {said} |", flush=True)


def pair(home: Path, times: int) -> None:
    """The command of one pair against its imports and its work."""
    write_pair(home)
    whole, _ = seconds([*COMMAND, *PAIR], home, times)
    modules = run([sys.executable, "-c", MODULES, *PAIR], home).stderr
    imports, _ = seconds([sys.executable, "-c", IMPORTS], home, times, modules)
    line = [sys.executable, "-c", WORK, *PAIR]
    work = min(float(run(line, home).stderr) for _ in range(times))
    print(f"evaluate {whole:.2f} s, its imports {imports:.2f} s, its work {work:.2f} s: ", end="")
    print(f"{whole / (imports + work):.2f} times both")


def write_pair(home: Path) -> None:
    """A face and a scan of two people of the embedded model, as docs/evaluate.md makes them."""
    page = (ROOT / "docs" / "evaluate.md").read_text("utf-8")
    run([sys.executable, "-c", page.split("```python\n")[1].split("```")[0]], home)


def seconds(
    line: Sequence[str], home: Path, times: int, said: str = ""
) -> tuple[float, subprocess.CompletedProcess[str]]:
    """The least processor seconds of a process and its children, and how it ended."""
    costs = []
    for _ in range(times):
        before = _spent()
        ended = run(line, home, said)
        costs.append(_spent() - before)
    return min(costs), ended


def run(line: Sequence[str], home: Path, said: str = "") -> subprocess.CompletedProcess[str]:
    """A process in a folder of its own, with this package and one thread."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT.parent), OMP_NUM_THREADS="1")
    # Compiled once, as an installed package is.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        line, cwd=home, env=environment, input=said, capture_output=True, text=True
    )


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
