"""What a method's own work on a face costs, whatever else the machine does."""

from __future__ import annotations

import time

from ..method.interface import Method
from .pictures import portraits

REPEATS = 3


def seconds_per_face(method: Method, repeats: int = REPEATS) -> float:
    """Processor seconds that describing one face takes in batches of eight, the least of some runs.

    Of all threads together, without decoding and detection, which are the same for every method.
    On a GPU it is what the processor does meanwhile: compare methods on one kind of machine.
    """
    crops = portraits(method.crop_size)
    method.describe(crops)
    found = []
    for _ in range(repeats):
        start = time.process_time()
        method.describe(crops)
        found.append(time.process_time() - start)
    return min(found) / len(crops)
