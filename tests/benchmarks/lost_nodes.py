"""What `facebench micc` does when machines of its cluster are lost and none comes in their place.

    python tests/benchmarks/lost_nodes.py all
    python tests/benchmarks/lost_nodes.py one
    python tests/benchmarks/lost_nodes.py head
    python tests/benchmarks/lost_nodes.py raylet

A head and a node of one processor each, on this machine; `all` has a head without processors. The
loss comes after the first row that is kept. `raylet` is the process of the driver's own node.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from fault_works import benchmark
from ray_nodes import RayNodes
from victims import wait_for

LONGEST_S = 200.0


def lose(nodes: RayNodes, what: str) -> None:
    """End what is to be lost."""
    if what in ("all", "one"):
        nodes._cluster.remove_node(nodes._nodes.pop(), allow_graceful=False)
    elif what == "raylet":
        nodes._cluster.head_node.kill_raylet(check_alive=False)
    else:
        nodes.lose_head()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["all", "one", "head", "raylet"])
    parser.add_argument("--patience", default="10", help="seconds, for FACEBENCH_CLUSTER_PATIENCE")
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "FACEBENCH_CLUSTER_PATIENCE": given.patience}
    nodes = RayNodes(nodes=1, head_cpus=0 if given.what == "all" else 1)
    with tempfile.TemporaryDirectory() as folder:
        work, out = benchmark(Path(folder) / "set", subjects=3, frames=320), Path(folder) / "run"
        nodes.start()
        try:
            command = work.start(out, "--cluster", **nodes.environment)
            assert wait_for(lambda: any(out.rglob("chunks.parquet/**/*.parquet")))
            lose(nodes, given.what)
            began = time.monotonic()
            code = command.finish(LONGEST_S)
            print(f"exit code {code} after {time.monotonic() - began:.0f} s")
            print(work.log.read_text().strip().splitlines()[-1])
        finally:
            nodes.stop()


if __name__ == "__main__":
    main()
