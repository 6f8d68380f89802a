"""Gives the commands folders with hostile files among good ones: the good ones must come through.

    python tests/benchmarks/hostile_commands.py --folder /tmp/hostile

Each command runs as a user runs it. It must end by itself, without a traceback, with an answer for
every bad file, with a result for every good one, and without a file outside its output folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from hostile_input import sets

RULES = "[[limit]]\nmax_mm = 5.0\n"


@dataclass(frozen=True)
class Told:
    """What a command did.

    Attributes:
        words: the command.
        expected: exit codes that are right.
        code, lines: its exit code, and lines of both streams.
        strangers: files outside its output folder that were not there before.
        seconds: that it took.
    """

    words: tuple[str, ...]
    expected: tuple[int, ...]
    code: int
    lines: tuple[str, ...]
    strangers: tuple[str, ...]
    seconds: float

    @property
    def wrong(self) -> str:
        """What is wrong; empty for nothing."""
        if any("Traceback" in line for line in self.lines):
            return "a traceback"
        if self.code not in self.expected:
            return f"exit {self.code}"
        return f"wrote {self.strangers[0]}" if self.strangers else ""


def commands(folder: Path) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Every command with the exit codes that are right for it."""
    photographs = sets.photographs(folder / "photographs")
    yield ("reconstruct", str(photographs), "--out", str(folder / "out/faces")), (0,)
    given = ("--landmarks", "none", "--parser", "none", "--workers", "1")
    prepared = sets.to_prepare(folder / "prepare")
    yield ("prepare", str(prepared), "--out", str(folder / "out/shards"), *given), (0,)
    predictions, scans = map(str, sets.pairs(folder / "pairs"))
    yield ("evaluate", predictions, scans, "--out", str(folder / "out/pairs")), (0,)
    data = str(sets.micc(folder / "data"))
    options = ("--method", "mean-face", "--out", str(folder / "out/run"))
    yield ("micc", "--data", data, *options, "--scenes", "cooperative,indoor"), (0,)
    faces, model = map(str, sets.shards(folder / "training"))
    small = ("network.width=8", "network.image_size=48", "training.batch_size=4")
    small += ("training.steps=3", "training.log_every=1", "training.checkpoint_every=1")
    changes = [word for setting in small for word in ("--set", setting)]
    yield (
        (
            "train",
            "--data",
            faces,
            "--model",
            model,
            "--out",
            str(folder / "out/training"),
            "--recipe",
            "ours-embedded",
            *changes,
        ),
        (0,),
    )
    rules = folder / "gates.toml"
    rules.write_text(RULES)
    found = sets.runs(folder / "runs")
    good = str(found.pop("good"))
    for place in found.values():
        yield ("compare", good, str(place)), (2,)
        yield ("report", str(place), "--out", str(folder / "out/page.html")), (2,)
        yield ("gate", str(place), "--rules", str(rules)), (2, 3)


def run(words: tuple[str, ...], expected: tuple[int, ...], folder: Path) -> Told:
    """Run a command in the folder."""
    before, start = _outside(folder), time.perf_counter()
    store = f"sqlite:///{folder / 'out' / 'mlflow.db'}"
    done = subprocess.run(
        [sys.executable, "-m", "facebench", *words],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder / "out",
        env={**os.environ, "MLFLOW_TRACKING_URI": store, "OMP_NUM_THREADS": "1"},
        timeout=900,
    )
    lines = (*done.stdout.splitlines(), *done.stderr.splitlines())
    strangers = tuple(sorted(_outside(folder) - before))
    return Told(words, expected, done.returncode, lines, strangers, time.perf_counter() - start)


def _outside(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*") if folder / "out" not in path.parents)
    return {str(path) for path in files} - {str(folder / "out")}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", nargs="+", help="names of commands")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="facebench-hostile-"))
    (folder / "out").mkdir(parents=True)
    told = []
    for words, expected in commands(folder):
        if not arguments.only or words[0] in arguments.only:
            told.append(run(words, expected, folder))
            print(line_of(told[-1]), flush=True)
    return 1 if any(one.wrong for one in told) else 0


def line_of(told: Told) -> str:
    """One command's line."""
    said = told.wrong or "as it should"
    last: Sequence[str] = [line for line in told.lines if line.strip()][-1:]
    return (
        f"{told.words[0]:12}{said:20}exit {told.code} {told.seconds:6.0f} s  {''.join(last)[:150]}"
    )


if __name__ == "__main__":
    sys.exit(main())
