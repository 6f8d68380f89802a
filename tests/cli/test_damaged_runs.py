"""A run whose files are damaged is told in one line, soon, by every command that reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from example_runs import example_record, example_run

from facebench.cli.main import group
from facebench.errors import FacebenchError
from facebench.recon.training.loop import TrainingFolder
from facebench.results.run.folder import RunFolder
from facebench.results.tracking.run import kept_id

LARGE = 200 * 2**20
Damage = Callable[[Path], None]


def _large(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(LARGE)


def _value(*keys: str, value: Any) -> Damage:
    def damage(path: Path) -> None:
        values = json.loads(path.read_text())
        place = values
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        path.write_text(json.dumps(values))

    return damage


def _column(name: str, values: Callable[[int], pa.Array]) -> Damage:
    def damage(path: Path) -> None:
        table = pq.read_table(path)
        place = table.column_names.index(name)
        pq.write_table(table.set_column(place, name, values(len(table))), path)

    return damage


ANY: dict[str, Damage] = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "200 MB": _large,
    "brackets": lambda path: path.write_text("[" * 10**6) and None,
    "a list": lambda path: path.write_text("[]") and None,
    "deep": lambda path: (
        path.write_text('{"version": 2, "scenes":' * 400 + "1" + "}" * 400) and None
    ),
}
OF_RECORD: dict[str, Damage] = {
    "text for a seed": _value("seed", value="7"),
    "a seed below zero": _value("seed", value=-1),
    "a number for subjects": _value("subjects", value=5),
    "nothing for a card": _value("card", value=None),
    "a list for the settings": _value("protocol_settings", value=[1]),
    "text for a version": _value("version", value="2"),
    "a version to come": _value("version", value=99),
}
OF_SUMMARY: dict[str, Damage] = {
    "text for a mean": _value("scenes", "indoor", "mean_mm", value="1.4"),
    "text for a scene": _value("scenes", "indoor", value="1.4"),
    "a list of scenes": _value("scenes", value=[1]),
    "one end of an interval": _value("scenes", "indoor", "ci95_mm", value=[1.0]),
}
OF_ITEMS: dict[str, Damage] = {
    **{name: ANY[name] for name in ("torn", "empty", "200 MB")},
    "texts for errors": _column("value_mm", lambda n: pa.array(["1.4"] * n)),
    "texts for counts": _column("frames", lambda n: pa.array(["sixty"] * n)),
    "no errors": _column("value_mm", lambda n: pa.array([None] * n, pa.float64())),
    "numbers for names": _column("subject", lambda n: pa.array(range(n))),
}
CASES = [
    *((("run.json", name), damage) for name, damage in (ANY | OF_RECORD).items()),
    *((("summary.json", name), damage) for name, damage in (ANY | OF_SUMMARY).items()),
    *((("items.parquet", name), damage) for name, damage in OF_ITEMS.items()),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example_run(tmp_path_factory.mktemp("runs") / "good", "mean-face").root


def refused(action: Callable[[], object]) -> str:
    start = time.process_time()
    with pytest.raises(FacebenchError) as caught:
        action()
    assert time.process_time() - start < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


def command(*words: object) -> Callable[[], object]:
    def run() -> object:
        found = CliRunner().invoke(group, [str(word) for word in words])
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found.exit_code

    return run


@pytest.mark.parametrize(("what", "damage"), CASES, ids=[" ".join(what) for what, _ in CASES])
def test_it_is_told_in_a_line(
    what: tuple[str, str], damage: Damage, good: Path, tmp_path: Path
) -> None:
    bad = example_run(tmp_path / "bad").root
    damage(bad / what[0])
    rules = tmp_path / "rules.toml"
    rules.write_text("[[limit]]\nmax_mm = 5.0\n")
    for words in (
        ("compare", good, bad),
        ("gate", bad, "--rules", rules),
        ("gate", good, "--rules", rules, "--baseline", bad),
        ("report", bad, "--format", "table"),
        ("report", bad),
    ):
        said = refused(command(*words))
        assert what[0].split(".")[0] in said or "version" in said, (words, said)


@pytest.mark.parametrize("name", ANY | OF_RECORD)
def test_nothing_goes_on_from_a_damaged_record(name: str, tmp_path: Path) -> None:
    run = example_run(tmp_path / "bad")
    (ANY | OF_RECORD)[name](run.root / "run.json")
    kept = (run.root / "run.json").read_bytes()[:1000]
    refused(lambda: RunFolder(run.root).begin(example_record()))
    assert (run.root / "run.json").read_bytes()[:1000] == kept


@pytest.mark.parametrize("name", OF_ITEMS)
def test_nothing_is_measured_beside_damaged_items(name: str, tmp_path: Path) -> None:
    run = example_run(tmp_path / "bad")
    OF_ITEMS[name](run.root / "items.parquet")
    refused(run.scores.results)


@pytest.mark.parametrize("name", ANY)
def test_the_pages_of_a_damaged_run_are_not_shown(name: str, good: Path, tmp_path: Path) -> None:
    """`facebench ui RUN` looks up the run's id, which a damaged file does not give."""
    path = tmp_path / "mlflow.json"
    path.write_text('{"sqlite:///a.db": "' + "0" * 32 + '"}')
    ANY[name](path)
    assert kept_id(tmp_path, "sqlite:///a.db") is None


@pytest.mark.parametrize(
    "text",
    ["step,loss\n1,0.5\ntwo,0.4\n", "step,loss\n1,0.5,9\n", 'step,loss\n1,"0.5\n', "step\n1\n\0\n"],
)
def test_a_log_with_texts_for_numbers_is_told(text: str, tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path)
    folder.log.write_text(text)
    for action in (lambda: folder.read(folder.log), lambda: folder.rewind(3)):
        assert "log.csv cannot be read" in refused(action)
