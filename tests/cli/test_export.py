"""`facebench export`: the embedded network by another runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from facebench.cli.main import group
from facebench.recon.morphable.load import load_model
from facebench.recon.regressors.checkpoint import embedded_weights, load_regressor

pytest.importorskip("onnx", reason="needs the extra 'onnx'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")


def test_the_embedded_network_is_exported(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "face.onnx"
    result = CliRunner().invoke(group, ["export", "--onnx", str(path), "--json"])
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    assert table["difference"] < 1e-4 and table["bytes"] == path.stat().st_size
    loaded = load_regressor(embedded_weights(), load_model("embedded"))
    assert table["metadata"]["checkpoint_digest"] == loaded.digest
    side = loaded.crop_size
    images = np.random.default_rng(1).random((2, 3, side, side), np.float32)
    found = onnxruntime.InferenceSession(str(path)).run(None, {"images": images})[0]
    with torch.inference_mode():
        expected = loaded.regressor(torch.from_numpy(images)).vector().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_a_missing_checkpoint_is_told(tmp_path: Path) -> None:
    words = ["export", "--onnx", str(tmp_path / "f.onnx"), "--checkpoint", str(tmp_path / "no.pt")]
    result = CliRunner().invoke(group, words)
    assert "no checkpoint at" in str(result.exception)
    assert not (tmp_path / "f.onnx").exists()
