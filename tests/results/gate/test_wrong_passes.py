"""What was not measured never passes: more than a hundred ways to pass wrongly, and none does."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_runs import SUBJECTS, example_record, example_row, example_summary, results_of

from facebench.bench.scoring.result import Result
from facebench.errors import FacebenchError
from facebench.results.gate.baseline import Baseline
from facebench.results.gate.evaluate import evaluate
from facebench.results.gate.rules import Completeness, Coverage, Limit, Regression, Rule, Speed
from facebench.results.gate.verdict import Check, Status
from facebench.results.run.folder import RunFolder

SCENES = ("cooperative", "indoor")
ERRORS = np.linspace(1.0, 1.7, len(SUBJECTS))
RULES: tuple[Rule, ...] = (
    Limit(max_mm=3.0),
    Regression(tolerance_mm=0.1),
    Coverage(),
    Speed(min_ratio=0.5),
)
INF, NAN = math.inf, math.nan


@dataclass
class Gate:
    """A run, a baseline and rules, which a way of cheating may change in place."""

    run: RunFolder
    baseline: Baseline | None
    rules: tuple[Rule, ...]

    @property
    def status(self) -> Status:
        """Of the verdict; what is refused with an error has not passed either."""
        try:
            return evaluate(self.rules, self.run, self.baseline).status
        except FacebenchError:
            return Status.UNKNOWN


def sound_run(root: Path, **more: Any) -> RunFolder:
    """Every subject scored in both scenes; `more` are further columns."""
    count = len(SUBJECTS) * len(SCENES)
    run = RunFolder(root)
    run.begin(example_record(scenes=SCENES, n_scored=count, n_unscored=0))
    rows = [
        replace(example_row(subject, scene, float(error)), **more)
        for scene in SCENES
        for subject, error in zip(SUBJECTS, ERRORS, strict=True)
    ]
    write(run, rows)
    return run


def write(run: RunFolder, rows: list[Result]) -> None:
    """Rows, and the summary that belongs to them."""
    run.scores.write(rows)
    shares = [row.completeness for row in rows]
    summary = {scene: example_summary(rows, scene) for scene in SCENES}
    mean = float(np.mean(shares))
    run.write_summary({s: replace(cell, completeness=mean) for s, cell in summary.items()})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Baseline]:
    run = sound_run(tmp_path_factory.mktemp("sound") / "run")
    return run.root, Baseline.of_run(run)


@pytest.fixture
def gate(sound: tuple[Path, Baseline], tmp_path: Path) -> Gate:
    root, baseline = sound
    shutil.copytree(root, tmp_path / "run")
    return Gate(RunFolder(tmp_path / "run"), baseline, RULES)


Way = Callable[[Gate], None]
WAYS: dict[str, Way] = {}


def change_row(number: int, **values: Any) -> Way:
    """Of the table alone."""

    def way(gate: Gate) -> None:
        rows = results_of(gate.run.items())
        gate.run.scores.write(
            [*rows[:number], replace(rows[number], **values), *rows[number + 1 :]]
        )

    return way


def change_table(change: Callable[[list[Result]], list[Result]]) -> Way:
    def way(gate: Gate) -> None:
        gate.run.scores.write(change(results_of(gate.run.items())))

    return way


def change_summary(scene: str, **values: Any) -> Way:
    def way(gate: Gate) -> None:
        summary = gate.run.summary()
        gate.run.write_summary({**summary, scene: replace(summary[scene], **values)})

    return way


def scale_summary(scene: str, field: str, factor: float) -> Way:
    def way(gate: Gate) -> None:
        value = getattr(gate.run.summary()[scene], field)
        change_summary(scene, **{field: type(value)(value * factor)})(gate)

    return way


def change_record(**values: Any) -> Way:
    def way(gate: Gate) -> None:
        gate.run.write_record(replace(gate.run.record(), **values))

    return way


def change_baseline(**values: Any) -> Way:
    def way(gate: Gate) -> None:
        assert gate.baseline is not None
        gate.baseline = replace(gate.baseline, **values)

    return way


def change_basis(**values: Any) -> Way:
    def way(gate: Gate) -> None:
        assert gate.baseline is not None
        gate.baseline = replace(gate.baseline, basis=replace(gate.baseline.basis, **values))

    return way


def change_errors(change: Callable[[dict[str, dict[str, float]]], Any]) -> Way:
    """Of the baseline."""

    def way(gate: Gate) -> None:
        assert gate.baseline is not None
        errors = {scene: dict(column) for scene, column in gate.baseline.errors_mm.items()}
        change(errors)
        gate.baseline = replace(gate.baseline, errors_mm=errors)

    return way


def use_rules(*rules: Rule) -> Way:
    def way(gate: Gate) -> None:
        gate.rules = rules

    return way


def cover(mean: float, least: float, rules: tuple[Rule, ...] = RULES) -> Way:
    """Every subject covers so much of its scan but for the first, who covers the least; the
    baseline covered as much as most."""

    def way(gate: Gate) -> None:
        rows = results_of(gate.run.items())
        shares = (least if row.subject == SUBJECTS[0] else mean for row in rows)
        write(gate.run, [replace(r, completeness=s) for r, s in zip(rows, shares, strict=True)])
        gate.rules = rules
        change_baseline(completeness=dict.fromkeys(SCENES, mean))(gate)

    return way


def both(*ways: Way) -> Way:
    def way(gate: Gate) -> None:
        for one in ways:
            one(gate)

    return way


for number in (0, len(SUBJECTS) * 2 - 1):
    for value in (NAN, INF, -INF, -1.0, 0.0, 0.001, 1e150):
        WAYS[f"row {number}: value {value}"] = change_row(number, value_mm=value)
    WAYS[f"row {number}: failed with a number"] = change_row(number, status="failed")
    WAYS[f"row {number}: failed, not counted"] = change_row(number, status="failed", value_mm=NAN)
    WAYS[f"row {number}: unknown status"] = change_row(number, status="")
    WAYS[f"row {number}: somebody else"] = change_row(number, subject="subject_99")
    WAYS[f"row {number}: another item"] = change_row(number, item="subject_99/indoor")
    WAYS[f"row {number}: another scene"] = change_row(number, scene="outdoor")
    WAYS[f"row {number}: more faces than frames"] = change_row(number, faces=65)
    for name in ("mean_mm", "median_mm", "rmse_mm", "p90_mm"):
        WAYS[f"row {number}: negative {name}"] = change_row(number, **{name: -1.0})
for name, change in {
    "a row twice": lambda rows: [*rows, rows[0]],
    "every row twice": lambda rows: rows * 2,
    "a row for another": lambda rows: [*rows[1:], rows[1]],
    "a row less": lambda rows: rows[1:],
    "a subject less": lambda rows: [row for row in rows if row.subject != SUBJECTS[0]],
    "a scene less": lambda rows: [row for row in rows if row.scene != SCENES[0]],
    "no rows": lambda rows: [],
    "half of every error": lambda rows: [replace(r, value_mm=r.value_mm / 2) for r in rows],
    "one error for all": lambda rows: [replace(row, value_mm=1.0) for row in rows],
}.items():
    WAYS[f"table: {name}"] = change_table(change)
WAYS["table: gone"] = lambda gate: gate.run.scores.path.unlink()
WAYS["table: cut short"] = lambda gate: gate.run.scores.path.write_bytes(
    gate.run.scores.path.read_bytes()[:-100]
)
for scene in SCENES:
    for name in ("mean_mm", "std_mm", "median_mm", "rmse_mm", "p90_mm", "mean_with_failures_mm"):
        for factor in (0.999, NAN, INF):
            WAYS[f"summary: {scene}: {name} × {factor}"] = scale_summary(scene, name, factor)
    for name in ("n_subjects", "frames", "faces", "coverage"):
        WAYS[f"summary: {scene}: twice the {name}"] = scale_summary(scene, name, 2)
    WAYS[f"summary: {scene}: one failed"] = change_summary(scene, n_failed=1)
    WAYS[f"summary: {scene}: interval"] = change_summary(scene, ci95_mm=(0.1, 0.2))
    WAYS[f"summary: {scene}: no interval"] = change_summary(scene, ci95_mm=(NAN, NAN))
    WAYS[f"summary: {scene}: completeness"] = change_summary(scene, completeness=1.0)
    WAYS[f"summary: without {scene}"] = lambda gate, scene=scene: gate.run.write_summary(
        {name: cell for name, cell in gate.run.summary().items() if name != scene}
    )
WAYS["summary: no scene"] = lambda gate: gate.run.write_summary({})
WAYS["summary: a scene more"] = lambda gate: gate.run.write_summary(
    {**gate.run.summary(), "outdoor": gate.run.summary()[SCENES[0]]}
)
for name, values in {
    "unfinished": {"ended": ""},
    "one more scored": {"n_scored": 17},
    "one unscored": {"n_unscored": 1},
    "a subject less": {"subjects": SUBJECTS[1:]},
    "a subject more": {"subjects": (*SUBJECTS, "subject_99")},
    "a subject twice": {"subjects": (*SUBJECTS, SUBJECTS[0])},
    "nobody": {"subjects": ()},
    "nothing": {"items": ()},
    "an item less": {"items": example_record(scenes=SCENES).items[1:]},
    "an item twice": {"items": (*example_record(scenes=SCENES).items, "subject_01/indoor")},
    "a scene less": {"scenes": SCENES[:1]},
    "a scene more": {"scenes": (*SCENES, "outdoor")},
    "a scene twice": {"scenes": (*SCENES, SCENES[0])},
    "no scene": {"scenes": ()},
    "another protocol": {"protocol_digest": "9" * 64},
    "other data": {"dataset_digest": "9" * 64},
    "fewer frames": {"limit": 3},
    "another unit": {"unit": "cm"},
}.items():
    WAYS[f"record: {name}"] = change_record(**values)
first, scene = SUBJECTS[0], SCENES[0]
for name, spoil in {
    "nothing": lambda errors: errors.clear(),
    "a scene less": lambda errors: errors.pop(scene),
    "a scene more": lambda errors: errors.update(outdoor=errors[scene]),
    "an empty scene": lambda errors: errors[scene].clear(),
    "a subject less": lambda errors: errors[scene].pop(first),
    "one subject": lambda errors: [errors[scene].pop(subject) for subject in SUBJECTS[1:]],
    "a foreign subject": lambda errors: errors[scene].update(subject_99=9.0),
    "an infinite error": lambda errors: errors[scene].update({first: INF}),
    "no number": lambda errors: errors[scene].update({first: NAN}),
    "a negative error": lambda errors: errors[scene].update({first: -9.0}),
    "an error of nothing": lambda errors: errors[scene].update({first: 0.0}),
}.items():
    WAYS[f"baseline: {name}"] = change_errors(spoil)
for name, values in {
    "unfinished": {"measured": ""},
    "no speed": {"frames_per_second": NAN},
    "speed 0": {"frames_per_second": 0.0},
    "negative speed": {"frames_per_second": -1.0},
    "infinite speed": {"frames_per_second": INF},
    "covers more": {"completeness": dict.fromkeys(SCENES, 0.99)},
}.items():
    WAYS[f"baseline: {name}"] = change_baseline(**values)
for name, values in {
    "another protocol": {"protocol_digest": "9" * 64},
    "other data": {"dataset_digest": "9" * 64},
    "other subjects": {"subjects": SUBJECTS[1:]},
    "other scenes": {"scenes": SCENES[:1]},
    "fewer frames": {"limit": 3},
    "another unit": {"unit": "m"},
}.items():
    WAYS[f"baseline: {name}"] = change_basis(**values)
WAYS["baseline: none"] = lambda gate: setattr(gate, "baseline", None)
WAYS["rules: none"] = use_rules()
WAYS["rules: for another method"] = use_rules(Limit(max_mm=3.0, methods=("theirs",)))
WAYS["rules: for another protocol"] = use_rules(Limit(max_mm=3.0, protocols=("now",)))
WAYS["rules: of a scene that is not there"] = use_rules(Limit(max_mm=3.0, scenes=("outdoor",)))
COVERED: dict[str, Way] = {}
"""Ways of predictions that cover less of the scans."""

WAYS["rules: completeness that nobody measured"] = use_rules(*RULES, Completeness())
COVERED["partial meshes"] = cover(0.6, 0.6)
COVERED["a torn mesh"] = cover(0.95, 0.3)
COVERED["less than a rule asks for"] = cover(0.85, 0.85, (*RULES, Completeness(mean=0.9)))
COVERED["one less than a rule asks for"] = cover(0.95, 0.8, (*RULES, Completeness(each=0.9)))
COVERED["less than the baseline covered"] = both(
    cover(0.9, 0.9), change_baseline(completeness=dict.fromkeys(SCENES, 0.99))
)
COVERED["of which the baseline says nothing"] = both(
    cover(0.95, 0.95), change_baseline(completeness={})
)
COVERED["completeness of one alone unknown"] = cover(0.95, NAN)
COVERED["impossible completeness"] = cover(1.5, 1.5)
COVERED["negative completeness"] = cover(0.95, -0.1)


def test_there_are_more_than_a_hundred_ways() -> None:
    assert len(WAYS) > 100


def test_a_sound_run_passes(gate: Gate) -> None:
    assert gate.status is Status.PASSED


def test_a_sound_run_that_states_its_completeness_passes(gate: Gate) -> None:
    cover(0.95, 0.9, (*RULES, Completeness(mean=0.9)))(gate)
    assert gate.status is Status.PASSED


@pytest.mark.parametrize("name", WAYS)
def test_no_way_passes(gate: Gate, name: str) -> None:
    WAYS[name](gate)
    assert gate.status is not Status.PASSED


@pytest.mark.parametrize("name", COVERED)
def test_covering_less_never_passes(gate: Gate, name: str) -> None:
    COVERED[name](gate)
    assert gate.status is not Status.PASSED


def test_the_torn_face_is_named(gate: Gate) -> None:
    cover(0.97, 0.43, (*RULES, Completeness()))(gate)
    checks = evaluate(gate.rules, gate.run, gate.baseline).checks
    found = next(check for check in checks if check.kind == "completeness")
    assert (found.quantity, found.measured, found.wanted) == ("each", "43%", "≥ 50%")
    words = f"the scan of {SUBJECTS[0]}/{SCENES[0]} is covered by 43%, 50% are asked for"
    assert words in {check.detail for check in checks}


def test_a_baseline_of_less_face_shows_no_regression(gate: Gate) -> None:
    low = {scene: dict.fromkeys(SUBJECTS, 0.5) for scene in SCENES}
    both(cover(0.97, 0.97), change_baseline(errors_mm=low))(gate)
    assert gate.status is Status.FAILED
    change_baseline(completeness=dict.fromkeys(SCENES, 0.43))(gate)
    checks = evaluate(gate.rules, gate.run, gate.baseline).checks
    (found, *_) = [check for check in checks if check.kind == "regression"]
    assert found.status is Status.UNKNOWN
    assert found.detail == "the scans are covered by 97%, the baseline's by 43%"


def test_one_face_torn_since_the_baseline_has_no_answer(gate: Gate) -> None:
    """One of eight moves the mean by less than its tolerance, and keeps to the default rule."""
    cover(0.97, 0.97)(gate)
    gate.baseline = Baseline.of_run(gate.run)
    assert gate.status is Status.PASSED
    cover(0.97, 0.7)(gate)
    details = {check.detail for check in evaluate(gate.rules, gate.run, gate.baseline).checks}
    assert gate.status is Status.UNKNOWN
    assert f"the scan of {SUBJECTS[0]} is covered by 70%, the baseline's by 97%" in details


def test_a_face_torn_in_the_baseline_is_no_regression(gate: Gate) -> None:
    """Its error there was of a part of the face."""
    cover(0.97, 0.97)(gate)
    now = Baseline.of_run(gate.run)
    lower = {name: error - 0.5 for name, error in now.errors_mm[SCENES[0]].items()}
    first = {SUBJECTS[0]: 0.01}

    def found(errors: dict[str, float], first_share: float) -> Check:
        shares = {**now.shares[SCENES[0]], SUBJECTS[0]: first_share}
        columns = {"errors_mm": now.errors_mm | {SCENES[0]: errors}, "shares": {SCENES[0]: shares}}
        gate.baseline = replace(now, **columns)
        checks = evaluate(gate.rules, gate.run, gate.baseline).checks
        return next(check for check in checks if check.kind == "regression")

    assert found(lower | first, 0.97).value > 0.5 == pytest.approx(found(lower, 0.97).value)
    torn = found(lower | first, 0.7)
    assert torn.value == pytest.approx(0.5)
    assert f"7 subjects without {SUBJECTS[0]}, covered unlike: worse" in torn.detail


@pytest.mark.parametrize(
    ("torn_now", "torn_then", "how"), [(0.9, 0.48, "less"), (0.6, 0.84, "more")]
)
def test_a_torn_face_does_not_hide_what_the_others_cover(
    gate: Gate, torn_now: float, torn_then: float, how: str
) -> None:
    """In the mean over all the run covers as much as its baseline."""
    others = 0.96 if how == "less" else 0.84
    cover(0.9, torn_now, (Regression(tolerance_mm=0.01), Coverage(subjects=0.8)))(gate)
    now = Baseline.of_run(gate.run)
    shares = dict.fromkeys(SUBJECTS, others) | {SUBJECTS[0]: torn_then}
    mean = dict.fromkeys(SCENES, sum(shares.values()) / len(SUBJECTS))
    less = 0.1 if how == "more" else -0.1
    errors = {s: {n: e - less for n, e in column.items()} for s, column in now.errors_mm.items()}
    columns = {"shares": dict.fromkeys(SCENES, shares), "errors_mm": errors}
    gate.baseline = replace(now, completeness=mean, **columns)
    checks = evaluate(gate.rules, gate.run, gate.baseline).checks
    found = next(check for check in checks if check.kind == "regression")
    assert found.status is Status.UNKNOWN
    assert f"covered by {how} than the baseline's" in found.detail


@pytest.mark.parametrize("value", [INF, -1.0, 0.0])
def test_an_error_that_is_no_length_fails(gate: Gate, value: float) -> None:
    change_row(0, value_mm=value)(gate)
    assert gate.status is Status.FAILED


def test_the_contradiction_is_told_in_words(gate: Gate) -> None:
    change_table(lambda rows: [*rows, rows[0]])(gate)
    found, *rest = evaluate(gate.rules, gate.run, gate.baseline).checks
    assert (found.kind, found.status) == ("consistency", Status.UNKNOWN)
    assert found.detail == "twice or more: subject_01/cooperative"
    assert {check.status for check in rest} == {Status.UNKNOWN} and len(rest) == len(RULES)
