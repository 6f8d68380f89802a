"""What a method cost: to train, and for a face; kept beside its run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ...recon.files.text import read_json
from ...recon.network.tensor_files import read_content, recipe_in
from ...recon.training.loop import TrainingFolder
from ...recon.training.methods.labels import label_minutes
from ..files import write_json

FILE = "cost.json"


@dataclass(frozen=True)
class MethodCost:
    """What one method of a table costs.

    Attributes:
        seconds_per_face: processor seconds (`bench.method_cost`); NaN when not measured.
        training_minutes: that its weights were trained for; 0 without any, NaN when unknown.
        method_digest: of the method they were measured of.
    """

    seconds_per_face: float
    training_minutes: float
    method_digest: str

    @property
    def texts(self) -> tuple[str, str]:
        """For `HEADS`."""
        seconds, minutes = self.seconds_per_face, self.training_minutes
        # 0 is known, for a method that trains nothing; NaN is not known.
        if minutes == 0:
            return _seconds(seconds), "none"
        return _seconds(seconds), "–" if math.isnan(minutes) else f"{minutes:.0f} min"

    def write(self, run: Path) -> None:
        """Keep it in a run's folder."""
        write_json(run / FILE, asdict(self))


HEADS = ("s/face", "training")
NOTE = (
    "s/face: processor seconds of describing one face in batches of eight, without decoding and "
    "detection. training: time that the steps of the weights' training took, and the fits that it "
    "learns from."
)


def read_cost(run: Path) -> MethodCost | None:
    """What a run's folder has, or None."""
    try:
        values = read_json(run / FILE)
        return MethodCost(
            _number(values["seconds_per_face"]),
            _number(values["training_minutes"]),
            str(values["method_digest"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def training_minutes(weights: Path) -> float:
    """How long a training took, from `log.csv` beside its weights; NaN without one.

    Each line of the log has the speed since the line before it, so that interruptions and other
    work between steps, such as validation, do not count. Fits that were made for it as labels do,
    one after another.
    """
    folder = TrainingFolder(weights.parent)
    rows = folder.read(folder.log)
    if not rows or "images_per_s" not in rows[-1]:
        return math.nan
    batch = float(recipe_in(weights, read_content(weights)).training.batch_size)
    steps = [row["step"] for row in rows]
    spans = zip([0.0, *steps], rows, strict=False)
    seconds = (batch * (row["step"] - before) / row["images_per_s"] for before, row in spans)
    return sum(seconds) / 60.0 + label_minutes(folder.labels)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2g}"
