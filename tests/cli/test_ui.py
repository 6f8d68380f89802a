"""`facebench ui`: what it says where it cannot serve, and its pages in a real browser."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from chromium import CHROMIUM, browser
from click.testing import CliRunner
from example_runs import SCENES, example_run
from mlflow import MlflowClient
from PIL import Image

from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.results.compare import compare
from facebench.results.run.folder import RunFolder
from facebench.results.tracking.benchmark import EXPERIMENT, connect, track_comparison, track_run
from facebench.results.tracking.ui import HOST, compare_page, open_store, pages

NAMES = ("mean-face", "ours")
SCENE = SCENES[0]
BOX = "document.body.innerText"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """Two runs and their comparison in a store of their own."""
    root = tmp_path_factory.mktemp("store")
    shutil.copy(empty_store, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
        patch.chdir(root)
        runs = [example_run(root / name, name, 1.7 - 0.3 * n, n) for n, name in enumerate(NAMES)]
        connect("micc")
        for run in runs:
            track_run(run, run.root.name)
        connect(EXPERIMENT)
        track_comparison(compare(runs))
        yield root


def uri(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.db'}"


def refusal(*words: str) -> str:
    result = CliRunner().invoke(group, ["ui", *words])
    assert isinstance(result.exception, FacebenchError), result.output
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_a_store_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'none.db'}")
    assert "there is no database" in refusal()
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_runs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(home / "mlflow.db", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri(tmp_path))
    client = MlflowClient(uri(tmp_path))
    for run in client.search_runs(["1", "2"]):
        client.delete_run(run.info.run_id)
    assert "holds no run" in refusal()


def test_a_file_that_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.db").write_text("no database\n" * 99)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'text.db'}")
    assert "cannot be used" in refusal()


def test_a_port_that_is_taken(home: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        said = refusal("--port", str(port))
    free = re.fullmatch(rf"port {port} of {HOST} is taken: --port (\d+) is free", said)
    assert free and int(free[1]) != port


def test_a_run_that_is_not_in_the_store(home: Path) -> None:
    example_run(home / "never")
    assert f"never was not logged to {uri(home)}" in refusal("never")
    assert "neither a run folder nor an MLflow run" in refusal("0" * 32)
    assert "neither a run folder nor an MLflow run" in refusal("nowhere")


def test_the_pages_are_each_experiment_and_the_newest_comparison(home: Path) -> None:
    titles = [title for title, _ in pages(open_store(uri(home)))]
    assert sorted(titles[:2]) == ["comparisons: 3 runs", "micc: 2 runs"]
    assert titles[2:] == ["compare mean-face, ours"]


def test_a_comparison_takes_folders_and_ids_in_their_order(home: Path) -> None:
    client = open_store(uri(home))
    first, second = (
        str(client.search_runs(["1"], f"attributes.run_name = '{name}'")[0].info.run_id)
        for name in NAMES
    )
    title, path = compare_page(client, [second, "mean-face"], uri(home))
    assert title == "compare ours, mean-face"
    assert path.index(second) < path.index(first)


def test_a_served_store_is_not_served_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of the web is shown as it is: some other `facebench ui` or a team's server."""
    client = MlflowClient(uri(home))
    monkeypatch.setattr("facebench.results.tracking.ui.open_store", lambda _: client)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1/")
    result = CliRunner().invoke(group, ["ui"])
    assert result.exit_code == 0
    assert (
        result.output.splitlines()[-1].split()[-1].startswith("http://127.0.0.1:1/#/compare-runs")
    )


@pytest.mark.timeout(600)
def test_two_runs_are_compared_in_a_browser_until_ctrl_c(home: Path, tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    words = [sys.executable, "-m", "facebench", "ui", *NAMES, "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = [process.stdout.readline() for _ in range(4)]
        family = psutil.Process(process.pid).children(recursive=True)
        listening = {
            c.laddr.ip for one in family for c in one.net_connections() if c.status == "LISTEN"
        }
        try:
            looked_at(shown[-1].split()[-1], tmp_path)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert listening == {HOST} and len(family) == 2
    assert psutil.wait_procs(family, timeout=10)[1] == []


def looked_at(address: str, folder: Path) -> None:
    """MLflow's own view of two runs: names, the same metrics for both, a chart drawn."""
    with browser(folder) as page:
        page.open(address, 1400, 1000)
        page.wait_for(f"{BOX}.includes('Comparing 2 Runs from 1 Experiment')")
        page.wait_for("document.querySelector('.js-plotly-plot canvas')")
        page.wait_for(f"{BOX}.includes('{SCENE}.share_within')")
        text = page.value(BOX)
        assert re.search(r"Run Name:\s+mean-face\s+ours\s", text)
        for name in ("mean_mm", "median_mm", "p90_mm"):
            shown = [shown_number(run, name) for run in NAMES]
            assert f"{SCENE}.{name}\n" in text and "\n".join(shown) in text
        with Image.open(page.picture(folder / "compare.png")) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
        own = address.partition("#")[0]
        assert page.asked and all(asked.startswith((own, "blob:")) for asked in page.asked)


def shown_number(run: str, name: str) -> str:
    """As MLflow rounds it."""
    return f"{round(getattr(RunFolder(Path(run)).summary()[SCENE], name), 3):g}"
