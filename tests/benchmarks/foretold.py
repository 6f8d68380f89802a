"""What `facebench plan` foretells against what the same run then takes, on growing parts of a set.

    facebench synth micc --out people --subjects 12 --frames 40
    python tests/benchmarks/foretold.py people --subjects 1 4 12 --seconds 20

Both in this process with one thread, in processor seconds, so that other work on the machine
changes them by the share of the caches that it takes and not by its share of the processors.
`docs/scale.md` shows the table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from facebench.bench.method.clip_faces import ChunkRow
from facebench.distributed.benchmark import run_benchmark
from facebench.distributed.cost import forecast, measure_sample
from facebench.distributed.plan import RunRequest, describe_run, prepare
from facebench.results.run.folder import RunFolder


class Silent:
    """Is told how far a run has come, and keeps it to itself."""

    def frames(self, row: ChunkRow) -> None: ...

    def subject(self, name: str) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--subjects", type=int, nargs="+", default=[1, 4, 12])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--method", default="ours")
    parser.add_argument("--detector", default="best")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| subjects | frames: foretold | read | seen of them | core s: foretold | error told ",
        end="",
    )
    print("| taken | foretold / taken |\n|" + " ---: |" * 8)
    for count in arguments.subjects:
        names = tuple(f"subject_{number:02d}" for number in range(1, count + 1))
        one = {"method": arguments.method, "detector": arguments.detector}
        request = RunRequest(arguments.data, subjects=names, **one)
        benchmark = prepare(request)
        with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
            told = forecast(
                benchmark, measure_sample(benchmark, arguments.seconds), cores=1, gpus=0
            )
            folder = RunFolder(Path(name))
            folder.begin(describe_run(benchmark, request, "", {}, {}))
            start = time.process_time()
            run_benchmark(benchmark, folder, Silent())
            taken = time.process_time() - start
            read = int(folder.items()["frames"].sum())
        error = "-" if told["error"] is None else f"{told['error']:.0%}"
        print(f"| {count} | {told['frames']} | {read} | {told['sampled']['frames']} ", end="")
        print(f"| {told['core_seconds']:.1f} | {error} | {taken:.1f} ", end="")
        print(f"| {told['core_seconds'] / taken:.2f} |", flush=True)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
