"""facebench: train, measure and compare 3D face reconstruction from one photograph.

The names below are stable: within a major version they keep their arguments and what they return.
They are looked up when they are first used, so that `import facebench` costs nothing.

- `evaluate`: a predicted mesh against a scan, in millimetres;
- `run`: a method on a dataset, kept in a folder; `load_run` opens it, `compare` compares several;
- `reconstruct`: the faces in a photograph as meshes; `write_mesh` keeps one as a file;
- `load_model`, `datasets`, `methods`: what there is;
- `Protocol`, `Result`, `Mesh`: the records that these take and give.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import FacebenchError

if TYPE_CHECKING:
    from .bench.protocol.record import Protocol
    from .bench.scoring.result import Result
    from .library import (
        compare,
        datasets,
        evaluate,
        load_model,
        load_run,
        methods,
        reconstruct,
        run,
        write_mesh,
    )
    from .recon.mesh import Mesh

__version__ = "0.2.0"

__all__ = [
    "FacebenchError",
    "Mesh",
    "Protocol",
    "Result",
    "compare",
    "datasets",
    "evaluate",
    "load_model",
    "load_run",
    "methods",
    "reconstruct",
    "run",
    "write_mesh",
]

_RECORDS = {
    "Mesh": ".recon.mesh",
    "Protocol": ".bench.protocol.record",
    "Result": ".bench.scoring.result",
}


def __getattr__(name: str) -> Any:
    """Import what a stable name stands for when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'facebench' has no attribute '{name}'")
    module = importlib.import_module(_RECORDS.get(name, ".library"), __name__)
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The stable names, and those of the module itself."""
    return sorted({*globals(), *__all__})
