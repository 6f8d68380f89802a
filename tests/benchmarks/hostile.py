"""Reads thousands of damaged and malicious files through every reader, and counts what happens.

    python tests/benchmarks/hostile.py --files 2000 --seed 0
    python tests/benchmarks/hostile.py --only 'mesh' 'video' --files 300 --failures failures.json

Every file is read in a process of its own kind: 2 GiB of memory beside what its imports take, 10 s
of computing. `answered` is a FacebenchError of one line or a row with its reason, `accepted` a file
that is still sound enough to be used; everything else is a failure and makes the exit code 1. The
first files are those made to hurt (bombs, loops, links to devices, pickles that write a canary
file), the rest are damages drawn by the seed.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from hostile_input.corpus import cases
from hostile_input.pool import FINE, Result, run_all, write_sound

FAILURES = (
    "refused",
    "traceback",
    "several lines",
    "crash",
    "hang",
    "memory",
    "pickle ran",
    "wrote outside",
)


def main() -> int:
    arguments = parsed()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="facebench-hostile-") as scratch:
        results = campaign(arguments, Path(scratch))
    print(table(results))
    print(f"{len(results):,} files in {time.perf_counter() - start:.0f} s")
    failures = [result for result in results if result.outcome not in FINE]
    if arguments.failures:
        text = json.dumps([asdict(failure) for failure in failures], indent=1)
        arguments.failures.write_text(text)
    return 1 if failures else 0


def campaign(arguments: argparse.Namespace, folder: Path) -> list[Result]:
    """Results of all cases, with a line on the error stream for each failure and every hundred."""
    from hostile_input.readers import READERS

    write_sound(folder)
    wanted = arguments.only or [""]
    readers = [r for r in READERS if any(word in r.name for word in wanted)]
    made = len(cases(readers, 0, arguments.seed)) if arguments.drawn else 0
    drawn = cases(readers, made + arguments.files, arguments.seed)[made:]
    finished: list[Result] = []

    def done(result: Result) -> None:
        finished.append(result)
        if result.outcome not in FINE:
            print(line_of(result), file=sys.stderr, flush=True)
        if len(finished) % 100 == 0:
            bad = sum(one.outcome not in FINE for one in finished)
            print(f"{len(finished)} of {len(drawn)}, {bad} failures", file=sys.stderr, flush=True)

    return run_all(drawn, folder, arguments.processes, done)


def line_of(failure: Result) -> str:
    """What a failure was, so that it can be made again."""
    case = failure.case
    return f"{failure.outcome}: {case.reader}, {case.attack}, seed {case.seed}: {failure.said}"


def table(results: Sequence[Result]) -> str:
    """A row a reader: how many files had each outcome, the longest and the largest reading."""
    heads = [*FINE, *FAILURES]
    lines = [f"{'reader':32}{'files':>7}" + "".join(f"{head:>14}" for head in heads)]
    lines[0] += f"{'longest, s':>12}{'largest, MB':>13}"
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.case.reader, []).append(result)
    for name, mine in [*sorted(groups.items()), ("all", list(results))]:
        counts = collections.Counter(result.outcome for result in mine)
        cells = "".join(f"{counts[head] or '':>14}" for head in heads)
        longest = max(result.cpu for result in mine)
        largest = max(result.peak for result in mine) / 2**20
        lines.append(f"{name:32}{len(mine):>7}{cells}{longest:>12.2f}{largest:>13.0f}")
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2000, help="at least those made to hurt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--drawn", action="store_true", help="leave out those made to hurt, the same for all seeds"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="words in the names of readers")
    parser.add_argument("--failures", type=Path, help="a JSON file for all failures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
