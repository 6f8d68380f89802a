"""This project's own gate: `ours` on embedded data must not become worse than the committed errors.

The same as `.ci/gate`, in this process. After a change that is meant to move the numbers, commit it
and renew them with `.ci/gate --update-baseline`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from embedded_benchmark import (
    FRAMES,
    SCENES,
    SEED,
    SUBJECTS,
    measured_run,
    write_people,
    write_scaled_weights,
)

from facebench.cli.main import group

ROOT = Path(__file__).resolve().parents[3]
GATE = ROOT / "tests" / "gate"
WORSE = -1.0
"""Every identity turned into its opposite: faces as plausible as before, of somebody else."""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("embedded") / "people")


def gated(run: Path) -> tuple[int, dict[str, Any]]:
    rules, baseline = GATE / "gates.toml", GATE / "baseline.json"
    words = ["gate", str(run), "--rules", str(rules), "--baseline", str(baseline), "--json"]
    result = CliRunner().invoke(group, words)
    return result.exit_code, json.loads(result.output)


def test_the_gate_passes(people: Path) -> None:
    measured_run(people, people.parent / "ours")
    code, verdict = gated(people.parent / "ours")
    assert code == 0, json.dumps(verdict, indent=1)


@pytest.mark.skipif(
    "FACEBENCH_SLOW" not in os.environ, reason="measures all again: FACEBENCH_SLOW=1"
)
def test_the_gate_fails_when_the_reconstruction_is_made_worse(people: Path) -> None:
    weights = write_scaled_weights(people.parent / "worse.pt", WORSE)
    measured_run(people, people.parent / "worse", weights)
    code, verdict = gated(people.parent / "worse")
    status = {check["kind"]: check["status"] for check in verdict["checks"]}
    assert (code, status["regression"], status["coverage"]) == (1, "fail", "pass"), verdict


def test_the_command_measures_what_this_test_measures() -> None:
    script = (ROOT / ".ci" / "gate").read_text(encoding="utf-8")
    scenes = ",".join(SCENES)
    assert f"--subjects {SUBJECTS} --frames {FRAMES} --scenes {scenes} --seed {SEED}\n" in script
    assert f"--scenes {scenes}\n" in script.split("facebench micc")[1]
