"""Whatever bytes a file has, its reader answers in one line or takes it; nothing in it runs."""

from __future__ import annotations

import pickle
import random
import warnings
from pathlib import Path

import pytest
from hostile_input.corpus import STRUCTURED, WRONG, Case, attacked
from hostile_input.crafted import CRAFTED
from hostile_input.mutations import DAMAGES
from hostile_input.pickles import PICKLES, malicious
from hostile_input.readers import READERS, Reader
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.errors import FacebenchError

SLOW = ("in a report", "in compare", ".h5", "front .mat", "eos")
QUICK = tuple(reader for reader in READERS if not any(word in reader.name for word in SLOW))
LARGE = (
    "bomb",
    "100 MB of brackets",
    "3 million vertices",
    "170 million pixels",
    "one pixel wide",
    "text that unpacks",
    "size that lies",
    "100,000 members",
    "100 million rows",
    "texture of 160 million pixels",
    "a huge picture",
    "line without end",
)
"""Crafted files that take more than a second to make: the campaign reads them."""

pytestmark = pytest.mark.filterwarnings("ignore")


class Laid:
    """A reader's sound file in a folder of its own, to be attacked again and again."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader, self.canary = reader, folder / "canary"
        (folder / "in").mkdir(parents=True)
        self.path = reader.write(folder / "in")
        self.content = self.path.read_bytes()

    def read(self, content: bytes) -> None:
        """Read the bytes in the place of the sound ones: only a line of a user's error may come."""
        self.path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.reader.read(self.path)
        except FacebenchError as error:
            assert "\n" not in str(error)
        finally:
            self.path.write_bytes(self.content)
        assert not self.canary.exists()

    def attack(self, attack: str, seed: int = 0) -> None:
        """Read a case of the campaign."""
        case = Case(self.reader.name, attack, seed)
        self.read(attacked(case, self.reader, self.content, [self.path], self.canary))


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Laid]:
    root = tmp_path_factory.mktemp("hostile")
    return {r.name: Laid(r, root / f"{n:03d}") for n, r in enumerate(QUICK)}


def test_sound_files_are_taken(laid: dict[str, Laid]) -> None:
    for one in laid.values():
        one.reader.read(one.path)


def test_the_pickles_run_where_they_are_loaded(tmp_path: Path) -> None:
    pickle.loads(malicious(tmp_path / "canary"))
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", PICKLES)
def test_no_reader_runs_a_pickle(laid: dict[str, Laid], kind: str) -> None:
    for one in laid.values():
        one.attack(f"pickle: {kind}")


@pytest.mark.parametrize("ending", CRAFTED)
def test_files_made_to_hurt_are_answered(laid: dict[str, Laid], ending: str) -> None:
    # Each file once, for all of its readers: some take as long to make as to read.
    for name in CRAFTED[ending]:
        for one in laid.values():
            if one.reader.attacks == ending and name not in LARGE:
                one.attack(f"crafted: {name}")


@given(st.binary(max_size=300), st.integers(0, len(QUICK) - 1))
@settings(max_examples=100, derandomize=True)
def test_any_bytes_are_answered(laid: dict[str, Laid], content: bytes, number: int) -> None:
    laid[QUICK[number].name].read(content)


@given(st.sampled_from([*DAMAGES, STRUCTURED]), st.integers(0, 2**32), st.data())
@settings(max_examples=150, derandomize=True)
def test_any_damage_is_answered(
    laid: dict[str, Laid], damage: str, seed: int, data: st.DataObject
) -> None:
    possible = [r for r in QUICK if damage != STRUCTURED or r.structured]
    laid[data.draw(st.sampled_from(possible)).name].attack(damage, seed)


def test_cases_follow_from_the_seed() -> None:
    from hostile_input.corpus import cases

    first, again = cases(READERS, 1200, 5), cases(READERS, 1200, 5)
    assert first == again != cases(READERS, 1200, 6)
    assert len(first) == 1200
    assert {case.reader for case in first} == {reader.name for reader in READERS}
    assert {WRONG, "empty"} <= {case.attack for case in first}


def test_a_case_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    reader = next(r for r in READERS if r.name == "run.json")
    content, chance = reader.write(tmp_path).read_bytes(), random.Random(1)
    for attack in [*DAMAGES, STRUCTURED]:
        case = Case(reader.name, attack, chance.randrange(2**32))
        made = {attacked(case, reader, content, [], tmp_path / "canary") for _ in range(2)}
        assert len(made) == 1
