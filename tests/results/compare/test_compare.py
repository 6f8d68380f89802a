"""What a comparison of runs says: differences by subject, wins and ties, groups, published rows."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_runs import (
    SCENES,
    SUBJECTS,
    example_record,
    example_row,
    example_run,
    keep_rows,
    results_of,
)
from hypothesis import given
from hypothesis import strategies as st

from facebench.bench.protocol.record import preset
from facebench.bench.scoring.statistics import holm
from facebench.errors import FacebenchError
from facebench.results.compare import Comparison, compare, refuse_groups
from facebench.results.compare.comparison import tally
from facebench.results.compare.tables import FORMS, comparison_text, verdict_sentences
from facebench.results.gate.baseline import Baseline
from facebench.results.run.folder import RunFolder
from facebench.results.run.items import ROWS, ItemsTable
from facebench.results.tables.published import Published, published_results
from facebench.results.tables.series import (
    CURVE_COLUMNS,
    cumulative_curves,
    scene_column,
    shared_values,
)

ERRORS = st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=40)


def three(root: Path) -> list[RunFolder]:
    errors = {"mean-face": 1.9, "theirs": 1.5, "ours": 1.2}
    return [
        example_run(root / name, name, error, seed)
        for seed, (name, error) in enumerate(errors.items())
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    return three(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def compared(runs: list[RunFolder]) -> Comparison:
    return compare(runs, published_results())


def test_each_run_is_compared_with_the_first(compared: Comparison) -> None:
    (group,) = compared.groups
    names = [(pair.first, pair.second, pair.scene) for pair in group.pairs]
    assert names == [(run, "mean-face", s) for run in ("theirs", "ours") for s in SCENES]
    assert compared.differing == ()


def test_differences_are_over_the_shared_subjects(
    runs: list[RunFolder], compared: Comparison
) -> None:
    first, theirs = (
        run.items().set_index(["scene", "subject"])["value_mm"] for run in (runs[0], runs[1])
    )
    expected = (theirs - first).groupby("scene").mean()
    for pair in compared.groups[0].pairs[: len(SCENES)]:
        assert pair.difference.mean_mm == pytest.approx(expected[pair.scene])
        shared = 7 if pair.scene == "outdoor" else 8
        assert pair.difference.n_subjects == shared
        assert pair.wins + pair.ties + pair.losses == pair.subjects == shared


def test_all_scenes_together_are_all_items(tmp_path: Path) -> None:
    """A subject's name would stand for one of its scenes, and hide the others."""
    whole = [
        example_run(tmp_path / name, name, error, scenes=("all", *SCENES))
        for name, error in (("ours", 1.2), ("theirs", 1.5))
    ]
    ours, theirs, owners = shared_values(*(run.items() for run in whole), "all")
    # The last subject has no score outdoors.
    assert len(ours) == len(theirs) == 23 and set(owners) == set(SUBJECTS)
    pair, *_ = compare(whole).groups[0].pairs
    assert (pair.scene, pair.subjects, pair.losses) == ("all", 8, 8)
    assert set(scene_column(whole[0].items(), "indoor")) == set(SUBJECTS)
    assert len(Baseline.of_run(whole[0]).errors_mm["all"]) == 23


def test_all_tests_of_the_table_are_corrected_together(
    runs: list[RunFolder], compared: Comparison
) -> None:
    for comparison in (compared, compare(runs, all_pairs=True)):
        results = comparison.groups[0].pairs
        corrected = holm([result.difference.p_value for result in results])
        assert [result.p_holm for result in results] == corrected.tolist()
    assert len(results) == 3 * len(SCENES)


def test_wins_ties_and_losses_of_known_errors(tmp_path: Path) -> None:
    """Against 1.0 mm everywhere: three lower, four within the margin, one higher."""
    changes = [-0.5, -0.2, -0.011, -0.0099, 0.0, 0.005, 0.0099, 0.3]
    flat, other = example_run(tmp_path / "flat", "flat"), example_run(tmp_path / "b", "other")
    errors = dict(zip(SUBJECTS, changes, strict=True))
    for run, scale in ((flat, 0.0), (other, 1.0)):
        keep_rows(
            run,
            [example_row(name, s, 1.0 + scale * errors[name]) for s in SCENES for name in SUBJECTS],
        )
    for pair in compare([flat, other]).groups[0].pairs:
        assert (pair.wins, pair.ties, pair.losses) == (3, 4, 1)
    wide = compare([flat, other], tie_mm=0.25).groups[0].pairs[0]
    assert (wide.wins, wide.ties, wide.losses) == (1, 6, 1)


@given(ERRORS, st.floats(0, 1))
def test_every_subject_is_counted_once_and_turning_turns(
    errors: list[tuple[float, float]], tie_mm: float
) -> None:
    ours, theirs = np.array(errors).T
    there, back = tally(ours, theirs, tie_mm), tally(theirs, ours, tie_mm)
    assert sum(there) == len(errors) and there == back[::-1]


def test_published_rows_stand_below_and_are_never_best(compared: Comparison) -> None:
    content = compared.groups[0].scenes
    assert [row.measured for row in content.rows] == [True] * 3 + [False] * 3
    assert all(content.best(scene) is content.rows[2] for scene in SCENES)
    assert "ours" not in {pair.second for pair in compared.groups[0].pairs}


def test_a_single_run_has_no_pairs(runs: list[RunFolder]) -> None:
    (group,) = compare(runs[:1]).groups
    assert group.pairs == () and group.notes == () and len(group.scenes.rows) == 1


def other_protocol(root: Path, setting: str, value: str) -> RunFolder:
    protocol = preset("micc").with_setting(setting, value)
    changes = {
        "protocol": protocol.name,
        "protocol_digest": protocol.digest,
        "protocol_settings": protocol.to_dict(),
    }
    return example_run(root, "other", **changes)


def micc(root: Path) -> RunFolder:
    protocol = preset("micc")
    settings = {"protocol_settings": protocol.to_dict(), "protocol_digest": protocol.digest}
    return example_run(root, **settings)


def test_runs_of_two_protocols_are_refused_with_field_and_values(tmp_path: Path) -> None:
    other = other_protocol(tmp_path / "b", "crop.radius_mm", "80")
    comparison = compare([micc(tmp_path / "a"), other])
    assert len(comparison.groups) == 2
    with pytest.raises(FacebenchError, match=r"protocol .*; crop\.radius_mm 95\.0 / 80\.0: give"):
        refuse_groups(comparison)
    names = {item.name: item.values for item in comparison.differing}
    assert names["crop.radius_mm"] == ("95.0", "80.0")
    assert set(names) == {"crop.radius_mm", "protocol", "protocol digest"}


def test_runs_on_two_datasets_are_refused_with_what_differs(tmp_path: Path) -> None:
    changes = {"dataset_digest": "9" * 64, "subjects": SUBJECTS[:5], "limit": 8}
    comparison = compare([example_run(tmp_path / "a"), example_run(tmp_path / "b", **changes)])
    refused = r"dataset .*subjects 8 \(subject_01 … subject_08\) / 5 \(subject_01 … subject_05\)"
    with pytest.raises(FacebenchError, match=refused):
        refuse_groups(comparison)
    with pytest.raises(FacebenchError, match="limit all frames / 8 frames"):
        refuse_groups(comparison)


def test_groups_keep_their_order_and_compare_inside(tmp_path: Path) -> None:
    runs = [
        micc(tmp_path / "a"),
        other_protocol(tmp_path / "b", "crop.radius_mm", "80"),
        micc(tmp_path / "c"),
    ]
    first, second = compare(runs).groups
    assert [run.label for run in first.runs] == ["ours (a)", "ours (c)"]
    assert {(pair.first, pair.second) for pair in first.pairs} == {("ours (c)", "ours (a)")}
    assert [run.label for run in second.runs] == ["other"] and not second.pairs


def test_one_protocol_under_two_names_is_one(tmp_path: Path) -> None:
    comparison = compare([micc(tmp_path / "a"), example_run(tmp_path / "b", protocol="mine")])
    assert len(comparison.groups) == 2  # the example's digest is another
    renamed = example_run(tmp_path / "c", protocol="mine", protocol_digest=preset("micc").digest)
    assert len(compare([micc(tmp_path / "d"), renamed]).groups) == 1


def test_equal_names_in_equal_folders_are_told_apart_by_the_path(tmp_path: Path) -> None:
    (group,) = compare([micc(tmp_path / name / "run") for name in "ab"]).groups
    assert [run.label for run in group.runs] == [f"ours ({tmp_path / n / 'run'})" for n in "ab"]


def test_the_same_run_twice_is_a_mistake(runs: list[RunFolder]) -> None:
    with pytest.raises(FacebenchError, match="given twice"):
        compare([runs[0], RunFolder(runs[0].root / ".." / runs[0].root.name)])


def test_a_half_finished_run_is_told_how_to_go_on(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "half")
    run.begin(example_record(ended=""))
    with pytest.raises(
        FacebenchError, match=r"unfinished.*continue it with: facebench micc --data"
    ):
        compare([run])


@pytest.mark.parametrize("name", ["summary.json", "items.parquet"])
def test_a_damaged_run_is_one_line(tmp_path: Path, name: str) -> None:
    run = example_run(tmp_path / "a")
    (run.root / name).write_bytes(b"PAR1 nothing of use")
    with pytest.raises(FacebenchError) as caught:
        compare([run])
    assert "\n" not in str(caught.value) and str(run.root) in str(caught.value)


def test_few_subjects_have_no_p_value_and_the_note_says_why(tmp_path: Path) -> None:
    runs = three(tmp_path)
    for run in runs:
        rows = run.items()
        keep_rows(run, results_of(rows[rows["subject"] < "subject_06"]))
    (group,) = compare(runs).groups
    assert all(math.isnan(pair.p_holm) for pair in group.pairs)
    assert "No p-value with fewer than 6 subjects" in " ".join(group.notes)


def test_runs_without_a_subject_in_common_say_so(tmp_path: Path) -> None:
    runs = three(tmp_path)[:2]
    rows = runs[1].items()
    runs[1].scores.write(results_of(rows.assign(value_mm=math.nan)))
    none = {s: replace(c, mean_mm=math.nan, n_subjects=0) for s, c in runs[1].summary().items()}
    runs[1].write_summary(none)
    (group,) = compare(runs).groups
    (note,) = (note for note in group.notes if note.startswith("No subject has a number in both"))
    assert note.endswith(f": {', '.join(SCENES)}.")


def imported(digest: str, subjects: Sequence[str] = SUBJECTS, **changes: Any) -> list[Published]:
    row = published_results()[0]
    errors = tuple((name, 1.0 + number / 50) for number, name in enumerate(subjects))
    changes = {"imported": True, "errors": errors, "protocol": digest, **changes}
    rows = [replace(row, method="paper", title="paper", scene=s, **changes) for s in SCENES]
    return [replace(row, mean_mm=float(np.mean([e for _, e in row.errors]))) for row in rows]


def test_subjects_of_a_paper_are_paired_where_it_claims_the_protocol(
    runs: list[RunFolder],
) -> None:
    digest = runs[0].record().protocol_digest
    (group,) = compare(runs[:2], imported(digest[:8])).groups
    pairs = [pair for pair in group.pairs if pair.first == "paper"]
    assert [pair.scene for pair in pairs] == list(SCENES)
    assert all(pair.verdict == "lower" and pair.subjects >= 7 for pair in pairs)
    row = group.scenes.rows[-1]
    assert row.remark == "imported" and row.cells["indoor"].n_subjects == len(SUBJECTS)
    assert row.cells["indoor"].ci95_mm[0] < row.cells["indoor"].mean_mm
    assert any("paper is better than mean-face" in words for words in verdict_sentences(group))


def test_a_paper_that_does_not_say_what_it_covers_is_not_judged(tmp_path: Path) -> None:
    run = example_run(tmp_path / "a", "a", 1.9)
    keep_rows(run, [replace(row, completeness=0.97) for row in results_of(run.items())])
    run.write_summary({s: replace(c, completeness=0.97) for s, c in run.summary().items()})
    digest = run.record().protocol_digest
    for share, verdict in (
        (None, "unlike completeness"),
        (0.95, "lower"),
        (0.6, "unlike completeness"),
    ):
        given = {} if share is None else {"completeness": (share,) * len(SUBJECTS)}
        (group,) = compare([run], imported(digest, **given)).groups
        assert {pair.verdict for pair in group.pairs} == {verdict}


def test_a_subject_whose_cover_nobody_states_does_not_hide_that_of_the_others(
    tmp_path: Path,
) -> None:
    run = example_run(tmp_path / "a", "a", 1.9)
    rows = [
        replace(row, completeness=math.nan if row.subject == SUBJECTS[0] else 0.97)
        for row in results_of(run.items())
    ]
    keep_rows(run, rows)
    run.write_summary({s: replace(c, completeness=0.97) for s, c in run.summary().items()})
    shares = (math.nan, *[0.6] * (len(SUBJECTS) - 1))
    (group,) = compare([run], imported(run.record().protocol_digest, completeness=shares)).groups
    assert {pair.verdict for pair in group.pairs} == {"unlike completeness"}


def test_a_dataset_is_the_same_in_capitals(tmp_path: Path) -> None:
    runs = [example_run(tmp_path / name, name, dataset="Ours") for name in ("a", "b")]
    rows = imported(runs[0].record().protocol_digest, dataset="OURS")
    (group,) = compare(runs, rows).groups
    assert "paper" in {pair.first for pair in group.pairs}


def test_numbers_without_subjects_or_protocol_are_never_paired(runs: list[RunFolder]) -> None:
    digest = runs[0].record().protocol_digest
    means = [replace(row, errors=()) for row in imported(digest)]
    for rows in (imported("0" * 8), imported(""), means, imported(digest, dataset="now")):
        (group,) = compare(runs[:2], rows).groups
        assert {pair.first for pair in group.pairs} == {"theirs"}
        assert [row.label for row in group.scenes.rows][-1] == "paper"


def test_imported_rows_that_fit_nowhere_are_told(runs: list[RunFolder]) -> None:
    (row, *_) = imported("")
    with pytest.raises(FacebenchError, match="has scene 'moon', the runs have not"):
        compare(runs, [replace(row, scene="moon")])
    with pytest.raises(FacebenchError, match="as a run is called"):
        compare(runs, [replace(row, title="ours")])


def test_a_mean_curve_is_of_those_scored_and_whole(tmp_path: Path) -> None:
    """As plain means, to the last digit, however many parts the table is read in."""
    rows = [example_row(f"s{n:04d}", SCENES[n % 2], 1 + n / 7000) for n in range(2 * ROWS + 100)]
    rows[5] = replace(rows[5], value_mm=math.nan)
    rows[6] = replace(rows[6], curve=rows[6].curve[:-1])
    table = ItemsTable(tmp_path / "items.parquet")
    table.write(rows)
    parts = [part for one in table.parts(CURVE_COLUMNS) for part in (one[:ROWS], one[ROWS:])]
    found = cumulative_curves(parts)
    kept = sorted(rows[:5] + rows[7:], key=lambda row: (row.subject, row.scene))
    assert list(found) == sorted(SCENES[:2])
    for scene, shares in found.items():
        assert np.array_equal(shares, np.mean([r.curve for r in kept if r.scene == scene], axis=0))


def test_parts_and_curves_come_when_they_are_asked_for(runs: list[RunFolder]) -> None:
    (group,) = compare(runs[:2], regions=True).groups
    error, low, high = group.parts["theirs", "indoor"]["nose"]
    assert low < error < high
    column = runs[1].items().query("scene == 'indoor'")["nose_mm"]
    assert error == pytest.approx(column.mean())
    text = {form: comparison_text(Comparison((group,)), form) for form in FORMS}
    assert "Error by part of the face" in text["latex"] and "| nose |" in text["markdown"]
    (line, *_) = csv.DictReader(io.StringIO(text["csv"]))
    values = json.loads(text["json"])["groups"][0]
    shares = values["curves"]["shares"][line["method"]][line["scene"]]
    at = values["curves"]["thresholds_mm"].index(1.0)
    assert float(line["share_within_1mm"]) == pytest.approx(shares[at])
    nose = values["parts"][line["method"]][line["scene"]]["nose"]
    assert float(line["nose_ci95_high_mm"]) == nose["ci95_high_mm"]
    assert not compare(runs[:2]).groups[0].parts


@pytest.mark.parametrize("name", ["items.parquet", "summary.json"])
def test_a_file_of_another_run_is_refused(tmp_path: Path, name: str) -> None:
    one, other = example_run(tmp_path / "a", error_mm=1.4), example_run(tmp_path / "b", seed=1)
    shutil.copy(one.root / name, other.root / name)
    with pytest.raises(
        FacebenchError, match=r"b: in cooperative summary.json says 1\.\d+ mm over 8"
    ):
        compare([one, other])


def test_a_summary_without_a_scene_is_refused(tmp_path: Path) -> None:
    one, other = example_run(tmp_path / "a"), example_run(tmp_path / "b", seed=1)
    other.write_summary({scene: other.summary()[scene] for scene in SCENES[:2]})
    with pytest.raises(FacebenchError, match=r"b: no outdoor in summary\.json"):
        compare([one, other])


def test_a_dataset_without_scenes_is_judged_without_naming_one(runs: list[RunFolder]) -> None:
    (group,) = compare(runs[:2]).groups
    pair = replace(group.pairs[0], scene="all")
    alone = " ".join(verdict_sentences(replace(group, pairs=(pair,))))
    assert alone and " in all" not in alone
    both = " ".join(verdict_sentences(replace(group, pairs=(pair, group.pairs[1]))))
    assert both != alone and ("every scene" in both or "all" in both)
