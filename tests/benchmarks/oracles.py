"""How far the presets are from the evaluators of NoW and FG2018 on the same meshes.

Run: python tests/benchmarks/oracles.py FOLDER
FOLDER holds pair_K.npz and results.json, with what those evaluators, unchanged, printed. Prints one
line for each pair and preset: their number, ours less theirs, and CPU seconds on one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from evaluation_oracles import PAIRS, Oracle, read_oracle

from facebench.bench.protocol.record import preset
from facebench.bench.scoring.result import Score
from facebench.bench.scoring.score import score_prediction

STATISTICS = ("mean", "median", "rmse", "std")
HEADINGS = (
    "| pair | preset | points | mean, mm | Δ mean | Δ median | Δ rmse | Δ std | CPU s, theirs | "
    "CPU s, ours |"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print(HEADINGS, "|---|---|---|" + "---:|" * 7, sep="\n")
    for name in PAIRS:
        oracle = read_oracle(folder, name)
        for protocol in ("fg2018", "now"):
            print(row(name, protocol, oracle))


def row(name: str, protocol: str, oracle: Oracle) -> str:
    """One line of the table."""
    start = time.process_time()
    score = measure(oracle, protocol)
    seconds = time.process_time() - start
    expected = oracle.expected[protocol]
    points = "equal" if score.n_points == expected["n"] else f"{score.n_points - expected['n']:+}"
    apart = [f"{getattr(score, f'{key}_mm') - expected[key]:+.1e}" for key in STATISTICS]
    times = [f"{expected['cpu_s']:.2f}", f"{seconds:.2f}"]
    cells = [name, protocol, points, f"{expected['mean']:.6f}", *apart, *times]
    return f"| {' | '.join(cells)} |"


def measure(oracle: Oracle, protocol: str) -> Score:
    """Our score of a pair."""
    return score_prediction(
        oracle.prediction,
        oracle.scan,
        preset(protocol),
        prediction_landmarks=oracle.prediction_landmarks,
        scan_landmarks=oracle.scan_landmarks,
    ).score


if __name__ == "__main__":
    main()
