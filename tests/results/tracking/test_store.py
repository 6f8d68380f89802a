"""Where runs are kept: made whole or not at all, and no password of it is ever shown."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.errors import FacebenchError
from facebench.results.tracking.run import kept_id
from facebench.results.tracking.store import connect, holds_nothing, public_address, redact

SECRET = "geheim-12/%"
SPELLED = quote(SECRET, safe="")
PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=4, max_size=20)

CONNECT = "from facebench.results.tracking.store import connect; connect('micc')"


@pytest.fixture(autouse=True)
def _few_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def use(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://me:{SPELLED}@127.0.0.1:1/db",
        f"mysql+pymysql://me:{SPELLED}@127.0.0.1:1/db",
        f"mssql+pymssql://me:{SPELLED}@127.0.0.1:1/db",
        f"oracle://me:{SPELLED}@127.0.0.1:1/db",
        f"http://me:{SPELLED}@127.0.0.1:1",
        f"http://me:{SPELLED}@127.0.0.1:port",
        f"http://127.0.0.1:1/ml?token={SPELLED}",
        f"https://{SPELLED}@127.0.0.1:1",
        f"nothing://me:{SPELLED}@host",
        f"http://me:{SPELLED}@[::1",
    ],
)
def test_an_address_that_fails_is_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], uri: str
) -> None:
    use(monkeypatch, uri)
    with pytest.raises(FacebenchError) as told:
        connect("micc")
    said = "".join((*map(str, (told.value, told.value.__cause__)), *capfd.readouterr()))
    assert SECRET not in said and SPELLED not in said and "geheim" not in said
    assert "\n" not in str(told.value) and "cannot be used" in str(told.value)
    assert told.value.__suppress_context__


@given(PASSWORDS, st.sampled_from(["{}", "cannot open {} (Background: https://sqlalche.me)"]))
def test_no_spelling_of_a_password_is_left_in_a_text(password: str, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        uri = f"postgresql://me:{quote(password, safe='')}@host:5432/db?sslmode=require"
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        for spelled in (uri, password, quote(password, safe="")):
            shown = redact(text.format(spelled))
            hidden = shown.replace("***", "").replace(text.format(""), "")
            assert password not in hidden and quote(password, safe="") not in hidden


def test_what_is_no_secret_stays() -> None:
    assert redact("sqlite:////home/me/mlflow.db") == "sqlite:////home/me/mlflow.db"
    assert redact("http://host:5000/ml") == "http://host:5000/ml"
    assert redact("http://u:p@host:5000/x?mode=ro") == "http://***@host:5000/x?mode=ro"
    assert public_address("https://u:p@host:5000/ml/?token=x") == "https://host:5000/ml"


def test_a_token_of_the_environment_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token-of-mine")
    assert redact("Bearer token-of-mine refused") == "Bearer *** refused"


def test_the_address_in_a_run_folder_has_no_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where an earlier version wrote it with one, the folder is found again by it."""
    uri = f"http://me:{SPELLED}@host"
    use(monkeypatch, uri)
    for written in (uri, redact(uri)):
        (tmp_path / "mlflow.json").write_text(
            f'{{"tracking_uri": "{written}", "key": "k", "run_id": "r"}}'
        )
        assert kept_id(tmp_path, uri) == "r"
    assert kept_id(tmp_path, "http://another") is None


def tables(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return int(count)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds nothing yet, in the place of an empty file."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    database.touch()
    with pytest.MonkeyPatch.context() as patch:
        use(patch, f"sqlite:///{database}")
        connect("micc")
    return database


def copy_of(database: Path, to: Path, *statements: str) -> Path:
    to.mkdir(exist_ok=True)
    copy = to / "mlflow.db"
    copy.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(copy)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return copy


HALF_MADE = (
    "DELETE FROM experiment_tags",
    "DELETE FROM experiments WHERE experiment_id <> 0",
    "UPDATE alembic_version SET version_num = '451aebb31d03'",
    "DROP TABLE latest_metrics",
    "CREATE TABLE _alembic_tmp_latest_metrics (key TEXT)",
)


def test_a_half_made_store_is_made_again(
    whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    half = copy_of(whole, tmp_path / "half", *HALF_MADE)
    use(monkeypatch, f"sqlite:///{half}")
    connect("micc")
    assert tables(half) == tables(whole) > 10


def test_an_older_store_with_a_run_is_kept_and_told(
    whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = "INSERT INTO runs (run_uuid, experiment_id) VALUES ('r', 0)"
    old = copy_of(whole, tmp_path / "old", HALF_MADE[2], run)
    before = old.read_bytes()
    use(monkeypatch, f"sqlite:///{old}")
    with pytest.raises(FacebenchError, match="cannot be used"):
        connect("micc")
    assert old.read_bytes() == before and not holds_nothing(old)


def test_somebody_elses_file_is_not_a_store(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.db", tmp_path / "other.db"
    text.write_text("these are no tables")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE addresses (name TEXT)")
    assert not holds_nothing(text) and not holds_nothing(other)


def test_a_kill_while_the_store_is_made_leaves_one_that_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the middle of it; `tests/benchmarks/faults.py --only store/maker` kills at any moment."""
    database = tmp_path / "mlflow.db"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{database}"}
    maker = subprocess.Popen([sys.executable, "-c", CONNECT], env=environment)
    while not any(path.stat().st_size > 100_000 for path in tmp_path.glob(".*.new")):
        assert maker.poll() is None
        time.sleep(0.01)
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    use(monkeypatch, f"sqlite:///{database}")
    connect("micc")
    with closing(sqlite3.connect(database)) as connection:
        names = connection.execute("SELECT name FROM experiments ORDER BY name").fetchall()
    assert ("micc",) in names and len(names) == 2
    assert sorted(tmp_path.glob(".*.new*")) == []
