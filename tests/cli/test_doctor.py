"""`facebench doctor`: its verdicts against a machine that the tests change for real."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from facebench.cli.doctor import (
    FAN_WEIGHTS,
    LIBRARIES,
    _check_library,
    _check_required,
    available_memory_gb,
    check_assets,
    check_machine,
    check_mlflow,
    check_packages,
    check_ray,
)
from facebench.cli.main import group
from facebench.errors import Finding, Verdict
from facebench.recon.weights.catalogue import torch_checkpoints


@pytest.fixture
def listener() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def verdicts(findings: Iterator[Finding]) -> dict[str, Verdict]:
    return {finding.check: finding.verdict for finding in findings}


def test_every_declared_package_is_looked_at() -> None:
    found = verdicts(check_packages())
    assert {"python", "torch", "mlflow", "ray", "pytorch3d", "face-alignment"} <= found.keys()
    assert found["numpy"] is Verdict.PASSED and "pytest" not in found


def test_a_package_of_another_version_is_missing() -> None:
    old = _check_required("click", "<1")
    assert old.verdict is Verdict.FAILED and version("click") in old.detail
    assert old.advice == "pip install 'click<1'"
    assert _check_required("no-such-package-here", ">=1").detail == "not installed, needs >=1"


def test_a_library_that_cannot_be_loaded_is_missing() -> None:
    finding = _check_library("libnosuchthing.so.9", "libnosuchthing9")
    assert finding.verdict is Verdict.FAILED and "apt-get install libnosuchthing9" in finding.advice


def test_the_machine_is_described() -> None:
    found = verdicts(check_machine())
    assert {"GPU", "processors", "free disk here"} <= found.keys()
    assert set(LIBRARIES) <= found.keys() or "libGL.so.1" not in found


def test_memory_is_the_containers_where_that_is_less(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("2000000000\n")
    assert available_memory_gb(limit) == 2.0
    limit.write_text("max\n")
    assert available_memory_gb(limit) == available_memory_gb(tmp_path / "absent")


def test_a_ray_address_is_tried(listener: str) -> None:
    assert check_ray("").verdict is Verdict.PASSED
    for address in (listener, f"ray://{listener}"):
        assert check_ray(address).verdict is Verdict.PASSED
    assert check_ray("127.0.0.1:1").verdict is Verdict.FAILED
    assert check_ray("127.0.0.1:what").verdict is Verdict.FAILED


def test_the_mlflow_store_is_tried(
    listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert check_mlflow().verdict is Verdict.PASSED
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert check_mlflow().verdict is Verdict.FAILED
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/new/folder/own.db")
    assert check_mlflow().verdict is Verdict.PASSED
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/own.db")
    assert check_mlflow().verdict is Verdict.FAILED


def test_assets_are_found_where_they_are_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    before = verdicts(check_assets(tmp_path))
    assert before["Basel Face Model 2009"] is before["landmark weights"] is Verdict.WARNING
    (tmp_path / "01_MorphableModel.mat").touch()
    (tmp_path / "florence" / "subject_01" / "Model").mkdir(parents=True)
    torch_checkpoints().mkdir(parents=True)
    for name in FAN_WEIGHTS:
        (torch_checkpoints() / name).touch()
    after = verdicts(check_assets(tmp_path))
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"Basel Face Model 2009", "MICC Florence 2D/3D faces", "landmark weights"}
    assert all(after[name] is Verdict.PASSED for name in changed)


def test_whatever_is_missing_says_where_to_get_it(tmp_path: Path) -> None:
    for finding in check_assets(tmp_path):
        assert finding.verdict is Verdict.PASSED or finding.advice


def test_the_exit_code_follows_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    result = CliRunner().invoke(group, ["doctor", "--json"], standalone_mode=False)
    answer = json.loads(result.output)
    assert result.return_value == 1 and answer["ready"] is False
    monkeypatch.delenv("RAY_ADDRESS")
    result = CliRunner().invoke(group, ["doctor", "--json"], standalone_mode=False)
    answer = json.loads(result.output)
    lacking = [item for item in answer["findings"] if item["verdict"] == "failed"]
    assert result.return_value == (1 if lacking else 0) and answer["ready"] is not bool(lacking)


def test_the_table_has_a_sign_on_every_line() -> None:
    output = CliRunner().invoke(group, ["doctor"], standalone_mode=False).output
    assert "✓" in output and "⚠" in output and "Assets" in output and "python" in output


def test_it_answers_where_pytorch_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudnn.so.9: cannot open it')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[3])])
    command = [sys.executable, "-m", "facebench", "doctor"]
    done = subprocess.run(
        command, cwd=tmp_path, env=dict(os.environ, PYTHONPATH=path), capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr == ""
    assert "libcudnn.so.9" in done.stdout and "pip install torch" in done.stdout
