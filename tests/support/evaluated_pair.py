"""A face, a scan of somebody else, their files, and `facebench evaluate` of such a pair."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from pair_files import points_of, write_side
from scipy.spatial.transform import Rotation

from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.mesh import Mesh
from facebench.recon.morphable.procedural import procedural_model

KEYS = (
    *("status", "mean_mm", "median_mm", "rmse_mm", "std_mm", "n_points", "scale", "converged"),
    *("overlap", "protocol", "digest", "reason"),
)

COARSE = "points.longest_edge_mm=inf"
"""Meshes as their files have them, half the time of a measurement: for all but the first."""


def run(*words: object) -> Result:
    """The command, by which meshes are as their files have them."""
    return CliRunner().invoke(group, ["evaluate", *map(str, words), "--set", COARSE])


def in_full(*words: object) -> Result:
    """The command as it is typed."""
    return CliRunner().invoke(group, ["evaluate", *map(str, words)])


def printed(*words: object, code: int = 0) -> dict[str, Any]:
    """The object of `--json`, which alone is on standard output."""
    result = run(*words, "--json")
    assert result.exit_code == code, result.output
    values = json.loads(result.stdout)
    assert set(KEYS) <= set(values)
    return values


def refusal(*words: object) -> str:
    """The one line of an input that cannot be used, which `main` prints with exit code 2."""
    result = run(*words)
    assert isinstance(result.exception, FacebenchError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def someone(seed: int) -> Mesh:
    """A face with its 68 landmarks."""
    model = procedural_model(0, 2500)
    n_modes = model.identity_basis.shape[2]
    return model.mesh(identity=0.4 * np.random.default_rng(seed).standard_normal(n_modes))


def scan_of(person: Mesh) -> Mesh:
    """Pitched 45 degrees down and elsewhere."""
    turn = Rotation.from_euler("xyz", [45, 10, 5], degrees=True).as_matrix()
    return replace(person, vertices=person.vertices @ turn.T + [120.0, -60.0, 300.0])


def write_pair(root: Path, face: Mesh, scan: Mesh) -> None:
    """`face.obj` and `scan.ply` with their landmarks."""
    write_side(face, root / "face.obj", points_of(face))
    write_side(scan, root / "scan.ply", points_of(scan))
    np.savetxt(root / "scan7.txt", points_of(scan)[[36, 39, 42, 45, 33, 48, 54]])


def landmark_options(root: Path) -> tuple[object, ...]:
    """The options that name the landmarks of both."""
    return ("--prediction-landmarks", root / "face.txt", "--scan-landmarks", root / "scan.txt")
