"""Which files there are: every reader with every damage, drawn by a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facebench.tests.support.hostile_input.readers import Reader

from facebench.tests.support.hostile_input.crafted import CRAFTED
from facebench.tests.support.hostile_input.mutations import DAMAGES
from facebench.tests.support.hostile_input.pickles import PICKLES

WRONG, STRUCTURED, SOUND = "another kind of file", "damaged inside", "sound"


@dataclass(frozen=True)
class Case:
    """One file for one reader.

    Attributes:
        reader: its name.
        attack: a damage, a pickle or a crafted file.
        seed: of all chance in it.
    """

    reader: str
    attack: str
    seed: int


def cases(readers: Sequence[Reader], number: int, seed: int) -> list[Case]:
    """So many cases: first every crafted file and pickle for every reader, then damages in turn."""
    fixed = sorted(
        (case for reader in readers for case in _fixed(reader)), key=lambda case: case.attack
    )
    chance = random.Random(seed)
    drawn = (
        Case(reader.name, attack, chance.randrange(2**32))
        for attacks in _rounds(chance)
        for reader in readers
        for attack in attacks
        if attack != STRUCTURED or reader.structured
    )
    return [*fixed, *islice(drawn, max(0, number - len(fixed)))]


def _fixed(reader: Reader) -> Iterator[Case]:
    yield Case(reader.name, SOUND, 0)
    for name in CRAFTED.get(reader.attacks, {}):
        yield Case(reader.name, f"crafted: {name}", 0)
    for name in PICKLES:
        yield Case(reader.name, f"pickle: {name}", 0)


def _rounds(chance: random.Random) -> Iterator[Sequence[str]]:
    """Damages, one a reader and round, the telling ones more often; empty files but once."""
    yield ["empty", WRONG]
    usual = [name for name in DAMAGES if name != "empty"]
    for name in cycle([*usual, STRUCTURED, STRUCTURED, "bits flipped", "huge header"]):
        yield [name]


@lru_cache(maxsize=1)
def crafted(ending: str, name: str) -> bytes:
    """Made once for several readers, where these come one after the other."""
    return CRAFTED[ending][name]()


def attacked(
    case: Case, reader: Reader, content: bytes, others: Sequence[Path], canary: Path
) -> bytes:
    """The bytes of a case.

    Args:
        case: what is done.
        reader: to whom.
        content: of its sound file.
        others: sound files of all readers.
        canary: what a pickle writes when it runs.
    """
    kind, _, name = case.attack.partition(": ")
    if kind == "crafted":
        return crafted(reader.attacks, name)
    if kind == "pickle":
        return PICKLES[name](canary)
    if case.attack == SOUND:
        return content
    chance = random.Random(case.seed)
    if case.attack == WRONG:
        return chance.choice(others).read_bytes()
    if case.attack == STRUCTURED:
        assert reader.structured is not None
        return reader.structured(content, chance)
    return DAMAGES[case.attack](content, chance)
