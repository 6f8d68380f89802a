"""The example files for clusters name commands and options that exist."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

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
