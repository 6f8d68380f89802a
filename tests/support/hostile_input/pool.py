"""Runs cases in processes of their own, with a limit on memory and time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from facebench.tests.support.hostile_input.corpus import Case

SECONDS, BY_THE_CLOCK = 10.0, 600.0
"""Of computing, after which a case counts as hung; or waiting, on a machine that others use."""


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        case: of which.
        outcome: answered, accepted; or traceback, several lines, crash, hang, memory, pickle ran,
            wrote outside.
        said: the answer, or where it went wrong.
        seconds, cpu: that it took.
        peak: most bytes resident.
    """

    case: Case
    outcome: str
    said: str = ""
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0


FINE = ("answered", "accepted")


def run_all(
    cases: Sequence[Case], folder: Path, processes: int, done: Callable[[Result], None]
) -> list[Result]:
    """Every case's result, in the order of the cases.

    Args:
        cases: what is read.
        folder: with the sound files (`write_sound`); cases are laid out in it.
        processes: that read at a time.
        done: told each result as it comes.
    """
    (folder / "cases").mkdir(exist_ok=True)
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(cases)):
        waiting.put(number)
    results: dict[int, Result] = {}
    threads = [
        threading.Thread(target=_serve, args=(cases, waiting, folder, results, done))
        for _ in range(processes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[number] for number in range(len(cases))]


def _serve(
    cases: Sequence[Case],
    waiting: queue.SimpleQueue[int],
    folder: Path,
    results: dict[int, Result],
    done: Callable[[Result], None],
) -> None:
    process = None
    while True:
        try:
            number = waiting.get_nowait()
        except queue.Empty:
            break
        if process is None or process.poll() is not None:
            process = _started(folder)
        results[number] = _ask(process, cases[number])
        done(results[number])
    if process is not None:
        process.kill()
        process.wait()


def _started(folder: Path) -> subprocess.Popen[str]:
    support = Path(__file__).resolve().parents[1]
    code = "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
    code += "from hostile_input.worker import main; main(Path(sys.argv[2]))"
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", code, str(support), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(folder / "errors.txt").open("a"),
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "FACEBENCH_HOSTILE": "1"},
        cwd=folder,
    )
    assert process.stdout
    process.stdout.readline()  # its imports are over
    return process


def _ask(process: subprocess.Popen[str], case: Case) -> Result:
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(asdict(case)) + "\n")
    process.stdin.flush()
    watch = threading.Event()
    killer = threading.Thread(target=_kill_when_late, args=(process, watch))
    killer.start()
    line = process.stdout.readline()
    late = watch.is_set()
    watch.set()
    killer.join()
    if not line:
        process.wait()
        kind = "hang" if late else "crash"
        return Result(case, kind, f"exit {process.returncode}")
    answer: dict[str, Any] = json.loads(line)
    if answer["outcome"] in FINE and answer["cpu"] > SECONDS:
        answer |= {"outcome": "hang", "said": f"{answer['cpu']:.1f} s of computing"}
    return Result(case, **answer)


def _kill_when_late(process: subprocess.Popen[str], watch: threading.Event) -> None:
    """Beyond so much computing or waiting, the process ends."""
    try:
        running = psutil.Process(process.pid)
        begun = sum(running.cpu_times()[:2])
        for _ in range(int(BY_THE_CLOCK / 0.25)):
            if watch.wait(0.25):
                return
            if sum(running.cpu_times()[:2]) - begun > SECONDS + _MAKING:
                break
    except psutil.Error:
        return
    watch.set()
    process.kill()


_MAKING = 50.0
"""Seconds of computing that a process may need to make the file; reading is timed by the worker."""


def write_sound(folder: Path) -> None:
    """The sound file of every reader, each in a folder of its own, and a list of them."""
    from facebench.tests.support.hostile_input.readers import READERS

    index = {}
    for number, reader in enumerate(READERS):
        place = folder / "sound" / f"{number:03d}"
        place.mkdir(parents=True)
        path = reader.write(place)
        index[reader.name] = (place.name, str(path.relative_to(place)))
    (folder / "sound" / "index.json").write_text(json.dumps(index))
