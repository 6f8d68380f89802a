"""Where torch keeps the weights that libraries download."""

from __future__ import annotations

import os
from pathlib import Path


def torch_checkpoints() -> Path:
    """The folder of downloaded weights, by torch's own rules."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub" / "checkpoints"
