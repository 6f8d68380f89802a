"""The folder of one measured pair: its numbers, its aligned meshes, its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...bench.pairs.evaluate_pair import Evaluation
from ...bench.scoring.distance import CURVE_MM
from ...recon.export.write import write_ply
from ..files import write_json
from .pictures import coloured, write_curve, write_heat_map

FILES = ("score.json", "aligned.ply", "heat.png", "curve.png")


def write_pair(folder: Path, result: Evaluation) -> tuple[Path, ...]:
    """Write everything of a pair, each file replaced in one step; the paths in `FILES`' order.

    `score.json` holds what `--json` prints and the cumulative curve. `aligned.ply` is the
    prediction in the scan's space, mm, with the float property `error` (mm, NaN where nothing was
    measured) and the colours of the heat map.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / name for name in FILES)
    pair, label = result.pair, protocol_label(result)
    write_json(paths[0], {**result.to_dict(), "curve": _curve(result)})
    errors = pair.vertex_errors
    write_ply(coloured(pair.aligned, errors), paths[1], {"error": errors.astype(np.float32)})
    title = f"{Path(result.prediction).name} on {Path(result.scan).name}"
    number = f"{title}: mean {pair.score.mean_mm:.3f} mm, {label}"
    write_heat_map(paths[2], pair.aligned, errors, result.frontal_rotation(), number)
    write_curve(paths[3], pair.curve, f"{title}, {label}")
    return paths


def protocol_label(result: Evaluation) -> str:
    """`protocol micc (0123456789ab)`."""
    return f"protocol {result.protocol.name} ({result.protocol.digest[:12]})"


def _curve(result: Evaluation) -> dict[str, Any]:
    return {"threshold_mm": CURVE_MM.round(2).tolist(), "share": result.pair.curve.tolist()}
