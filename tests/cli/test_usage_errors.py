"""Wrong usage is told in one line, with the nearest right one, before a heavy import."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    *("torch", "ray", "mlflow", "open3d", "pandas", "skimage", "trimesh", "pyarrow", "scipy"),
    *("matplotlib", "av"),
)
MISTAKES = {
    "miccc": "Did you mean 'micc'",
    "measure": "See 'facebench --help'",
    "micc --data data": "--out",
    "micc --data data --out runs --methods ours": "--method",
    "micc --data dat --out runs": "did you mean 'data'?",
    "micc --data /nope --out runs": "no such folder",
    "micc --data data --out runs": "not a MICC folder",
    "micc --data data --out runs --method our": "did you mean 'ours'?",
    "micc --data data --out runs --method xyz": "known: ",
    "micc --data data --out runs --method meshes:dat": "did you mean 'data'?",
    "micc --data data --out runs --protocol micccc": "did you mean 'micc'?",
    "micc --data data --out runs --protocol mine.toml": "mine.toml: no such file",
    "micc --data data --out runs --model embeded": "did you mean 'embedded'?",
    "micc --data data --out runs --model bfm.npz": "bfm.npz: no such face model",
    "micc --data data --out runs --checkpoint weights.pt": "no checkpoint at weights.pt",
    "micc --data data --out runs --limit many": "not a valid integer",
    "micc --data data --out runs --options none.toml": "none.toml: no such file",
    "micc --data data --out runs --options wrong.toml": "did you mean 'limit'?",
    "evaluate fac.obj scan.ply": "did you mean 'face.obj'?",
    "evaluate face.obj scan.ply": "scan.ply: no such file",
    "evaluate face.obj face.obj --protocol nwo": "did you mean 'now'?",
    "compare data/none": "neither a run folder nor an MLflow run's id",
    "compare": "Missing argument",
    "gate none --rules gates.toml": "neither a run folder",
    "gate data --rules gate.toml": "gate.toml: no such file",
    "run micc --out runs": "--data DIR. See 'facebench run --help'.",
    "report none": "neither a run folder",
    "table1 --data none --out table": "none: no such folder",
    "table1 --data data --out table --method our": "did you mean 'ours'?",
    "table1 --data data --out table --method ours=no.pt": "no checkpoint at no.pt",
    "table1 --data data --out table --train none": "none: no such folder",
    "train --data none --out training": "none: no such folder",
    "train --data data --out training --recipe our": "did you mean 'ours'?",
    "train --data data --out training --recipe none.toml": "none.toml",
    "train --data data --out training --set training.stepz=1": "did you mean 'steps'?",
    "train --data data --out training --model none.npz": "no such face model",
    "train --data data --out training --validation none": "none: no such folder",
    "prepare none --out shards": "none: no such file",
    "reconstruct none.jpg --out faces": "none.jpg",
    "reconstruct face.obj --out faces --model none.npz": "no such face model",
    "figure quality none.jpg --out figure": "none.jpg",
    "figure curves none --out figure": "neither a run folder",
    "compare data --import none.csv": "'none.csv' does not exist",
    "figure qualit": "Did you mean 'quality'?",
    "models show none.npz": "no such face model",
    "models import bfm": "No command 'bfm', only basel-2009, basel-2017",
    "models import FLAME": "flame, ict",
    "synth micc --out people --model none.npz": "no such face model",
    "synth faces --out faces --subjects many": "--subjects",
    "audit --data none": "none: no such folder",
    "audit --run none": "neither a run folder",
    "export --checkpoint none.pt --onnx ours.onnx": "none.pt",
    "check-method": "Missing argument",
    "methods shw": "Did you mean",
    "micc --data data --out runs --set crop.radius=3": "did you mean 'crop.radius_mm'?",
    "micc --data data --out runs --set crop.radius_mm=-3": "not a number above 0",
    "run nwo data --out runs": "did you mean 'now'?",
    "compare data": "data is not a run folder",
    "check-method our": "did you mean 'ours'?",
    "check-dataset nwo": "did you mean 'now'?",
    "datasets show nwo": "did you mean 'now'?",
    "audit --people 2 --protocols micc,nwo": "did you mean 'now'?",
    "audit --people 2 --model none.npz": "no such face model",
    "models fit none.npz face.obj --out fit": "no such face model",
}
"""What is typed, and what the answer holds."""

TRY_ALL = """
import io, json, shlex, sys
from contextlib import redirect_stderr, redirect_stdout
from facebench.cli import main
answers = {}
for line in json.load(sys.stdin):
    sys.argv = ["facebench", *shlex.split(line)]
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(io.StringIO()):
        status = main._status()
    heavy = [name for name in %r if name in sys.modules]
    answers[line] = (status, said.getvalue(), heavy)
print(json.dumps(answers))
"""


def write_mistaken_files(home: Path) -> None:
    """What the mistakes name and is there."""
    (home / "data").mkdir()
    (home / "face.obj").write_text("v 0 0 0\n")
    (home / "gates.toml").write_text("[[limit]]\nmax_mm = 1.0\n")
    (home / "wrong.toml").write_text("limti = 3\n")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """Status, message and heavy imports of every mistake, all made in one process."""
    home = tmp_path_factory.mktemp("usage")
    write_mistaken_files(home)
    done = subprocess.run(
        [sys.executable, "-c", TRY_ALL % (HEAVY,)],
        input=json.dumps([line for line in MISTAKES if line]),
        capture_output=True,
        text=True,
        cwd=home,
        env=dict(os.environ, PYTHONPATH=str(ROOT.parent)),
        check=True,
    )
    read: dict[str, tuple[int, str, list[str]]] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("line", [line for line in MISTAKES if line])
def test_a_mistake_is_told_in_one_line_before_anything_heavy(
    answers: dict[str, tuple[int, str, list[str]]], line: str
) -> None:
    status, said, heavy = answers[line]
    assert status == 2
    assert said.startswith("facebench: ") and said.count("\n") == 1
    assert MISTAKES[line] in said
    assert not heavy, f"{line} imports {heavy}"


@pytest.mark.parametrize("words", ["protocols", "protocols micc", "datasets", "methods"])
def test_a_list_imports_nothing_heavy(words: str) -> None:
    program = TRY_ALL % (("torch", "ray", "mlflow", "open3d", "trimesh", "matplotlib", "av"),)
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([words]),
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT.parent)),
        check=True,
    )
    status, said, heavy = json.loads(done.stdout)[words]
    assert (status, said, heavy) == (0, "", [])


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facebench", *words]
    environment = dict(os.environ, PYTHONPATH=str(ROOT.parent), **options)  # type: ignore[arg-type]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_debug_shows_where_an_error_arose_and_the_line_stays_the_last() -> None:
    plain, debug = run("protocols", "nwo"), run("protocols", "nwo", "--debug")
    assert plain.returncode == debug.returncode == 2
    assert len(plain.stderr.splitlines()) == 1
    assert "Traceback" in debug.stderr and debug.stderr.endswith(plain.stderr)
    assert "Traceback" in run("protocols", "nwo", FACEBENCH_DEBUG="1").stderr


@pytest.mark.parametrize("words", [("--help",), ("protocols",), ("methods",)])
def test_a_closed_pipe_is_one_line(words: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "facebench", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT.parent)),
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait() == 2
    assert said == "facebench: standard output was closed before everything was written\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    words = [sys.executable, "-m", "facebench", "protocols"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT.parent))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert done.returncode == 2
    assert done.stderr.startswith("facebench: standard output cannot be written: No space left")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_stream_that_was_closed_before_leads_nowhere(number: int) -> None:
    """`facebench protocols >&-`: no file that is opened then gets the stream's number."""
    done = subprocess.run(
        [sys.executable, "-m", "facebench", "protocols", "--json"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.close(number),
        env=dict(os.environ, PYTHONPATH=str(ROOT.parent)),
    )
    assert done.returncode == 0 and done.stderr == "" and (number == 1) == (done.stdout == "")


@pytest.mark.parametrize("words", [[], ["figure"], ["models", "import"]])
def test_without_its_command_a_group_shows_its_help(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from facebench.cli import main

    monkeypatch.setattr(sys, "argv", ["facebench", *words])
    assert main._status() == 2
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith(" ".join(["Usage: facebench", *words]))
    assert "Examples:" in map(str.strip, shown)


def test_an_empty_name_is_not_this_folder() -> None:
    done = run("synth", "faces", "--out", "")
    assert done.returncode == 2 and "the name is empty" in done.stderr


def test_an_address_is_no_folder_where_none_is_taken() -> None:
    done = run("synth", "faces", "--out", "s3://bucket/a")
    assert done.returncode == 2 and "an address is not known to this option; give a" in done.stderr
    assert not Path("s3:").exists()


@pytest.mark.parametrize("option", ["--out", "--data"])
def test_a_user_in_an_address_is_a_line_that_does_not_repeat_it(
    option: str, tmp_path: Path
) -> None:
    words = {"--out": str(tmp_path / "run"), "--data": str(tmp_path), option: "s3://me:pass@box/a"}
    done = run("micc", *(word for pair in words.items() for word in pair))
    assert done.returncode == 2 and "holds a user, a key or a query: set AWS" in done.stderr
    assert "pass" not in done.stderr and not list(tmp_path.iterdir())


def test_a_terminal_without_utf8_gets_other_signs() -> None:
    done = run("methods", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0 and done.stdout.isascii() and "ours" in done.stdout


@pytest.mark.parametrize(
    ("name", "workers"),
    [("SIGTERM", 2)] + [("SIGHUP", 1), ("SIGINT", 1)] * ("FACEBENCH_SLOW" in os.environ),
)
def test_signals_end_a_command_alike_and_without_a_traceback(
    name: str, workers: int, tmp_path: Path
) -> None:
    people = tmp_path / "people"
    words = ["synth", "micc", "--out", people, "--subjects", "99", "--workers", str(workers)]
    # Workers end what they are at: short clips.
    process = subprocess.Popen(
        [sys.executable, "-m", "facebench", *words, "--frames", "1", "--scenes", "cooperative"],
        stderr=subprocess.PIPE,
        text=True,
        # Tests in the background inherit these as ignored.
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
        env=dict(os.environ, PYTHONPATH=str(ROOT.parent)),
    )
    while process.poll() is None and not people.exists():
        time.sleep(0.1)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130
    # A worker that is just being started may say that its parent is gone; the command says nothing.
    assert "KeyboardInterrupt" not in said and "***" not in said


def test_what_a_library_raises_after_a_signal_is_the_interruption(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pool whose worker was being started says that the pool is broken, for one."""
    from facebench.cli import main

    def interrupted(**_: object) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        raise SystemError("a library's word")

    monkeypatch.setattr(main, "_signals", [])
    monkeypatch.setattr(main.group, "main", interrupted)
    kept = {number: signal.getsignal(number) for number in (2, 1, 15)}
    try:
        main._end_like_ctrl_c()
        assert main._status() == 130
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
