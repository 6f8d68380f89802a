"""The regressor as an ONNX file that any ONNX runtime can run, checked against PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import FacebenchError
from ..face.coefficients import CoefficientSizes
from ..files.writing import atomic_write
from ..morphable.model import MorphableModel
from .checkpoint import LoadedRegressor
from .regressor import FaceNetwork, FaceRegressor

INPUT, OUTPUT = "images", "coefficients"
OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between PyTorch and ONNX that is let pass, as an absolute number or as a share
of the coefficient."""

# One and several: a batch size baked into the graph shows only at another one.
_CHECKED_BATCHES = (1, 3)
_MEANINGS = {
    "identity": "standard deviations",
    "expression": "standard deviations",
    "albedo": "standard deviations",
    "pose": "pitch, yaw, roll (rad), x, y, z, scale per mm; normalised coordinates of the image",
    "light": "9 spherical harmonics of red, green, blue",
}


class _Vector(nn.Module):
    """The regressor with one output: the whole vector (B, total)."""

    def __init__(self, regressor: FaceNetwork) -> None:
        super().__init__()
        self.regressor = regressor

    def forward(self, images: Tensor) -> Tensor:
        vector: Tensor = self.regressor(images).vector()
        return vector


def export_onnx(
    loaded: LoadedRegressor, model: MorphableModel, path: Path
) -> tuple[float, dict[str, str]]:
    """Write a regressor, with what a caller must know as the file's metadata, and check it.

    Input `images` (batch, 3, S, S) float32 RGB in [0, 1]: the colour normalisation is inside.
    Output `coefficients` (batch, total) float32, laid out as the metadata's `layout` tells.

    Returns:
        The largest difference to PyTorch over the checked batches, each coefficient's absolute or
        relative one, whichever is smaller; and the metadata inside the file.

    Raises:
        FacebenchError: the packages are not installed, the network does more than layers do, or the
            file computes something else.
    """
    _require_packages()
    # By exact type: a refining regressor is one, too, and draws with code that ONNX has not.
    if type(loaded.regressor) is not FaceRegressor:
        raise FacebenchError(
            f"a network of method '{loaded.recipe.kind}' is more than one graph of layers",
            "it draws faces or finds landmarks on its way; use it from Python",
        )
    facts = _facts(loaded, model)
    vector = _Vector(loaded.regressor).eval()
    # Checked before the rename: a file that computes something else never gets its name.
    with atomic_write(path) as draft:
        _write(vector, loaded.crop_size, draft, facts)
        difference = _check(vector, loaded.crop_size, draft)
    return difference, facts


def _require_packages() -> None:
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise FacebenchError(
            f"exporting needs {' and '.join(missing)}", "pip install 'facebench[onnx]'"
        )


def _facts(loaded: LoadedRegressor, model: MorphableModel) -> dict[str, str]:
    sizes = CoefficientSizes.of(model)
    tables: Mapping[str, Any] = {
        "recipe": loaded.recipe.as_table(),
        "layout": _layout(sizes),
        "input": {
            "size_px": loaded.crop_size,
            "channels": "RGB",
            "range": [0.0, 1.0],
            "normalisation": "inside the graph",
            "crop": "square about the 68 landmarks' box, see facebench.recon.face.crop",
        },
    }
    texts = {
        "generator": "facebench",
        "model_name": model.name,
        "model_digest": model.digest,
        "checkpoint_digest": loaded.digest,
        "steps": str(loaded.steps),
    }
    return texts | {name: json.dumps(table) for name, table in tables.items()}


def _layout(sizes: CoefficientSizes) -> list[dict[str, Any]]:
    """Name, first index, length and meaning of each part of the vector."""
    starts = np.cumsum([0, *sizes.parts]).tolist()
    return [
        {"name": name, "start": start, "length": length, "meaning": meaning}
        for (name, meaning), start, length in zip(
            _MEANINGS.items(), starts[:-1], sizes.parts, strict=True
        )
    ]


def _write(vector: nn.Module, size: int, path: Path, facts: Mapping[str, str]) -> None:
    import onnx

    device = next(vector.parameters()).device
    torch.onnx.export(
        vector,
        (torch.zeros(1, 3, size, size, device=device),),
        str(path),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        opset_version=OPSET,
        # The older exporter: it writes opset 17 as it is, without onnxscript.
        dynamo=False,
    )
    graph = onnx.load(str(path))
    onnx.helper.set_model_props(graph, dict(facts))
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(path))


def _check(vector: nn.Module, size: int, path: Path) -> float:
    """Largest difference to PyTorch on random images.

    Raises:
        FacebenchError: it is above `TOLERANCE`.
    """
    # Noise reaches every layer with values of all sizes, as no single photograph does.
    random = np.random.default_rng(0)
    batches = [random.random((n, 3, size, size), np.float32) for n in _CHECKED_BATCHES]
    with torch.inference_mode():
        expected = [vector(torch.from_numpy(batch)).numpy() for batch in batches]
    found = [run_onnx(path, batch) for batch in batches]
    worst = max(_difference(a, b) for a, b in zip(found, expected, strict=True))
    # Written so that NaN fails, too.
    if not worst <= TOLERANCE:
        raise FacebenchError(
            f"the exported network differs from PyTorch by {worst:.2g}",
            f"at most {TOLERANCE:g} is let pass; another onnxruntime may help",
        )
    return worst


def run_onnx(path: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coefficients (B, total) of images (B, 3, S, S) by onnxruntime, on the processor."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run([OUTPUT], {INPUT: images})[0]
    return found


def _difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    # Relative for large coefficients only: near 0 a share of the value means nothing.
    scale = np.maximum(1.0, np.abs(expected))
    return float((np.abs(found - expected) / scale).max())
