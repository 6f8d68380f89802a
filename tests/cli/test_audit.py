"""`facebench audit` from people to a page, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from example_runs import SCENES, example_row, example_run, keep_rows

from facebench.bench.audit.measure import AuditPlan
from facebench.bench.dataset.interface import Item, Scan
from facebench.cli.main import group
from facebench.distributed import audit as auditing
from facebench.errors import FacebenchError
from facebench.recon.morphable.load import load_model


def audit(*words: str) -> str:
    found = CliRunner().invoke(group, ["audit", *words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_made_people_in_two_processes_give_what_one_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facebench.bench.audit import predictors

    few = [item for item in predictors.PREDICTORS if item.name in ("half", "mean face")]
    monkeypatch.setattr(predictors, "PREDICTORS", tuple(few))
    # Faces as their files have them, and no pose searched for: a third of the time.
    coarse = tmp_path / "coarse.toml"
    quick = '[points]\nlongest_edge_mm = inf\n[alignment]\nstart = "seven_landmarks"\n'
    coarse.write_text(f'preset = "micc"\nname = "coarse"\n{quick}')
    common = ["--people", "2", "--protocols", str(coarse), "--seed", "3"]
    shown = audit(*common, "--workers", "2", "--out", str(tmp_path / "two"))
    assert "Protocols against the truth" in shown and "What each protocol sees" in shown
    told = json.loads((tmp_path / "two" / "audit.json").read_text())
    rows = pd.read_csv(tmp_path / "two" / "audit.csv")
    assert list(rows["method"].unique()) == [item.name for item in few]
    assert set(rows["subject"]) == {"person_01", "person_02"}
    assert rows["measured_mm"].notna().all() and (rows["true_mm"] > 0.3).all()
    # The same again in this process measures only whose file is damaged, and ends the same.
    kept = sorted((tmp_path / "two" / "people").iterdir())
    assert len(kept) == 2
    kept[1].write_text(kept[1].read_text()[:40])
    measured: list[str] = []
    real = auditing.audit_person
    monkeypatch.setattr(
        auditing,
        "audit_person",
        lambda person, plan: measured.append(person.subject) or real(person, plan),
    )
    again = audit(*common, "--workers", "1", "--out", str(tmp_path / "two"), "--json")
    assert measured == ["person_02"] and json.loads(again) == told
    assert told == json.loads((tmp_path / "two" / "audit.json").read_text())
    pd.testing.assert_frame_equal(rows, pd.read_csv(tmp_path / "two" / "audit.csv"))


def test_a_run_has_one_face_of_each_subject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several photographs of a person are one person's face, and intervals are over people."""
    run = example_run(tmp_path / "run", scenes=SCENES[:1])
    rows = [
        replace(example_row(name, SCENES[0], 1.0), item=f"{name}/{number}", scans=("scan",))
        for number, name in enumerate("aabb")
    ]
    keep_rows(run, rows)
    items = [
        Item(row.item, row.subject, scans=(Scan(row.subject, "scan", tmp_path),)) for row in rows
    ]
    monkeypatch.setattr(auditing, "measured_dataset", lambda record: SimpleNamespace(items=items))
    monkeypatch.setattr(auditing, "_prediction", lambda path, *_: path)
    faces = auditing.faces_of(run)
    assert [(subject, mesh) for subject, mesh, _, _ in faces] == [
        (row.subject, run.mesh_path(row.item)) for row in rows[::2]
    ]
    assert [subject for subject, *_ in auditing.faces_of(run, 1)] == ["a"]


def test_who_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.zeros((3, 3))
    scan = SimpleNamespace(vertices=points, triangles=np.array([[0, 1, 2]]))
    people = [SimpleNamespace(subject=name, vertices=points, scan=scan) for name in "abc"]
    answers = [[{"subject": "a"}], ValueError("odd"), [{"subject": "c"}]]
    monkeypatch.setattr(auditing, "_each", lambda *_: zip(people, answers, strict=True))
    plan = AuditPlan(load_model("embedded"), (), (), 0)
    seen: list[str] = []
    with pytest.raises(FacebenchError, match=r"^b: could not be measured \(ValueError: odd\)"):
        for rows in auditing.audit_people(people, plan, 2, kept=tmp_path):
            seen += list(rows["subject"])
    assert seen == ["a", "c"]
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["a", "c"]


def test_rows_of_other_code_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = AuditPlan(load_model("embedded"), (), (), 0)
    key = auditing._plan_key(plan)
    assert key == auditing._plan_key(plan)
    for name, other in (("source_changes", "another"), ("source_state", ("another", False))):
        with monkeypatch.context() as patch:
            patch.setattr(auditing, name, lambda other=other: other)
            assert auditing._plan_key(plan) != key


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "give --people, --data or --run"),
        (["--people", "3", "--data", "set"], "give --people, which makes people, or --data"),
        (["--data", "set", *["--model", "embedded"] * 2], "a set is of one face model"),
        (["--data", "set"], "set has no truth beside it"),
        (["--data", "nowhere"], "nowhere: no such folder"),
        (["--people", "2", "--protocols", "mic"], "did you mean 'micc'"),
    ],
)
def test_what_cannot_be_audited_is_refused_in_a_line(
    given: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    with pytest.raises((FacebenchError, click.UsageError)) as refusal:
        group.main(["audit", *given], standalone_mode=False)
    assert said in f"{refusal.value} {getattr(refusal.value, 'hint', '')}"
