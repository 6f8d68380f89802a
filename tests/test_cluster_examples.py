"""The example files for clusters name commands and options that exist."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import ray.autoscaler
import yaml

from facebench.cli import doctor, run
from facebench.cli.train import command
from facebench.recon.recipes.files import load_any_recipe

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "cluster"


def content(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def pinned(package: str) -> str:
    lines = (FOLDER.parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line.split("==")[1] for line in lines if line.startswith(f"{package}=="))


def test_the_job_gives_the_command_options_it_has() -> None:
    words = shlex.split(content("rayjob.yaml")["spec"]["entrypoint"])
    assert words[:2] == ["facebench", "train"]
    values = command.make_context("train", words[2:]).params
    assert values["cluster"]
    assert 1 <= values["least_workers"] <= values["workers"]
    assert load_any_recipe(values["recipe"]).training.batch_size % values["workers"] == 0
    shared = [values[name] for name in ("data", "validation", "out")]
    assert all(path.is_relative_to("/shared") for path in shared)


def test_the_job_asks_for_no_more_workers_than_pods() -> None:
    spec = content("rayjob.yaml")["spec"]
    (group,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    words = shlex.split(spec["entrypoint"])
    values = command.make_context("train", words[2:]).params
    assert (group["minReplicas"], group["maxReplicas"]) == (
        values["least_workers"],
        values["workers"],
    )
    assert spec["rayClusterSpec"]["rayVersion"] == pinned("ray")


@pytest.mark.parametrize("group", ["head", "worker"])
def test_every_machine_joins_with_the_token(group: str) -> None:
    cluster = content("cluster.yaml")
    start = cluster[f"{group}_start_ray_commands"][-1]
    assert "RAY_AUTH_TOKEN_PATH=/shared/ray-token" in start
    assert cluster["head_node_type"] in cluster["available_node_types"]
    assert any("/shared" in one and "mount" in one for one in cluster["setup_commands"])


def test_ray_is_started_from_where_it_was_installed() -> None:
    cluster = content("cluster.yaml")
    # Into an environment of its own: Ubuntu's Python, from 3.11 on, takes no packages (PEP 668).
    (made,) = (one for one in cluster["setup_commands"] if "-m venv" in one)
    folder = shlex.split(made)[3]
    assert f"{folder}/bin/pip install" in made
    for group in ("head", "worker"):
        for line in cluster[f"{group}_start_ray_commands"]:
            assert f"{folder}/bin/ray" in shlex.split(line)


def test_ray_takes_the_cluster() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    jsonschema.validate(content("cluster.yaml"), json.loads(schema.read_text(encoding="utf-8")))


SLURM = FOLDER / "slurm.sh"


def test_the_script_gives_the_commands_options_they_have() -> None:
    lines = [re.sub(r'"\$[^"]*"', "/shared", line) for line in SLURM.read_text().splitlines()]
    words = [shlex.split(line.rstrip("& ")) for line in lines if line.startswith("facebench ")]
    asked, measured = words
    values = doctor.command.make_context("doctor", asked[2:]).params
    assert values["cluster"] == "/shared" and values["shared"]
    values = run.command.make_context("run", measured[2:]).params
    assert values["cluster"] and values["dataset"] == "micc" and values["tracking"]


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """Commands that note how they were called, in place of SLURM's, Ray's and the long run."""
    log = tmp_path / "log"
    commands = {
        "scontrol": 'case "$1 $2" in "show hostnames") echo n1; echo n2;; '
        '"show job") echo "   JobState=${STATE:-RUNNING} Reason=None";; esac',
        "srun": 'echo $$ > $SHARED/step; while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
        "scancel": "kill -TERM $(cat $SHARED/batch)",
        "ray": "trap 'echo ray ended >> $LOG; exit 0' TERM; sleep 30 & wait",
        "python3": "echo 2",
        "facebench": 'if [ "$1" = run ]; then trap "echo kept >> $LOG; exit 130" TERM; '
        "[ -z $QUICK ] || exit 3; echo running >> $LOG; sleep 30 & wait; fi",
    }
    for name, body in commands.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> $LOG\n{body}\n')
        path.chmod(0o755)
    (tmp_path / "bin" / "activate").touch()
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    own = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_CPUS_PER_TASK": "4"}
    places = {"LOG": str(log), "SHARED": str(tmp_path), "VENV": str(tmp_path), "PATH": path}
    return {**os.environ, **own, **places, "QUICK": ""}


@pytest.mark.parametrize(("told", "state"), [("batch", ""), ("step", ""), ("step", "CANCELLED")])
def test_a_preempted_job_keeps_what_is_done_and_goes_back(
    slurm: dict[str, str], told: str, state: str
) -> None:
    """The script is sent SIGTERM, or, by sites without send_user_signal, its steps alone.

    A job that somebody cancelled keeps what is done too, and does not come back.
    """
    log, places = Path(slurm["LOG"]), Path(slurm["SHARED"])
    words = ["bash", SLURM]
    process = subprocess.Popen(words, env={**slurm, "STATE": state}, start_new_session=True)
    (places / "batch").write_text(str(process.pid))
    until, said = time.monotonic() + 60, ""
    while not ("running" in said and said.count("\nray ") == 2) and time.monotonic() < until:
        time.sleep(0.02)
        said = log.read_text() if log.exists() else ""
    os.kill(process.pid if told == "batch" else int((places / "step").read_text()), signal.SIGTERM)
    assert process.wait(60) == 143
    lines = log.read_text().splitlines()
    # The state is asked for once everything is kept.
    back = "scontrol show job 7" if state else "scontrol requeue 7"
    assert lines.index("kept") < lines.index(back) and "ray ended" in lines
    assert told == "step" or lines.index("kept") < lines.index("ray ended")
    assert lines.count("scontrol requeue 7") == (0 if state else 1)
    starts = [line for line in lines if line.startswith("ray start")]
    assert len(starts) == 2 and sum("--head" in line for line in starts) == 1
    steps = [line for line in lines if line.startswith("srun ")]
    assert all("--cpus-per-task=4" in line.split() for line in steps) and len(steps) == 2
    assert not list(places.glob("ray-token*"))


def test_the_job_ends_as_its_command_does(slurm: dict[str, str]) -> None:
    done = subprocess.run(["bash", SLURM], env={**slurm, "QUICK": "1"}, timeout=60)
    lines = Path(slurm["LOG"]).read_text().splitlines()
    assert done.returncode == 3 and "scontrol requeue 7" not in lines
