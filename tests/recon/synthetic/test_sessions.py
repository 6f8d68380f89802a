"""One person several times: only what is said to change changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.recon.morphable.load import load_model
from facebench.recon.synthetic.faces import VARIATIONS, CaptureSession

PARTS = ("identity", "expression", "albedo", "pose", "light")


@pytest.fixture(scope="module")
def session() -> CaptureSession:
    return CaptureSession(load_model("embedded"), 5, 64)


@pytest.mark.parametrize("variation", VARIATIONS)
def test_only_one_thing_changes(session: CaptureSession, variation: str) -> None:
    person = session.person(1)
    changed = session.vary(person, variation, 0)
    differing = [
        part
        for part in PARTS
        if not torch.equal(getattr(changed, part), getattr(person.start, part))
    ]
    assert differing == [variation]


def test_people_do_not_depend_on_the_order(session: CaptureSession) -> None:
    again = CaptureSession(session.model, 5, 64)
    again.person(0)
    first, second = (
        maker.photograph(maker.person(2), maker.vary(maker.person(2), "pose", 7), "p")
        for maker in (session, again)
    )
    assert np.array_equal(first.image, second.image) and first.id == "s000002-p"


def test_the_wall_behind_stays(session: CaptureSession) -> None:
    person = session.person(0)
    shots = [session.photograph(person, session.vary(person, "light", k), f"l{k}") for k in (0, 1)]
    wall = (shots[0].mask == 0) & (shots[1].mask == 0)
    inner = wall[:3, :3]
    assert inner.any()
    assert np.array_equal(shots[0].image[:3, :3][inner], shots[1].image[:3, :3][inner])
