"""The scene table: what it shows, what it marks and what it refuses."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from example_runs import SCENES, example_record, example_run, keep_rows, results_of
from rich.console import Console

from facebench.bench.dataset.interface import OVERALL
from facebench.bench.method.interface import MethodCard
from facebench.bench.protocol.record import preset
from facebench.bench.scoring.statistics import LEVEL, Interval, PairedDifference
from facebench.errors import FacebenchError
from facebench.results.compare import RunPair, compare, comparison_text
from facebench.results.compare.tables import pairs_table
from facebench.results.run.folder import RunFolder
from facebench.results.tables.published import Published, published_results
from facebench.results.tables.scenes import legend_labels, scene_rows
from facebench.results.tables.series import read_series
from facebench.results.tables.table import Table
from facebench.results.tables.writers import TerminalTable, csv_text, markdown


def drawn(table: Table, width: int = 120) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(TerminalTable(table))
    return console.export_text()


def scene_table(runs: Sequence[RunFolder], published: Sequence[Published] = ()) -> Table:
    return scene_rows(read_series(runs), published).table()


def pairs(first: RunFolder, second: RunFolder) -> tuple[RunPair, ...]:
    """Of first − second."""
    return compare([second, first]).groups[0].pairs


def pairs_text(first: RunFolder, second: RunFolder) -> str:
    return drawn(pairs_table(compare([second, first]).groups[0]))


def test_the_table_shows_protocol_numbers_and_coverage(tmp_path: Path) -> None:
    run = example_run(tmp_path / "a")
    text = drawn(scene_table([run]))
    cell = run.summary()["cooperative"]
    assert "protocol micc (01234567), dataset micc (fedcba98)" in " ".join(text.split())
    assert f"{cell.mean_mm:.2f} ± {cell.std_mm:.2f}" in text
    assert f"[{cell.ci95_mm[0]:.2f}, {cell.ci95_mm[1]:.2f}]" in text
    assert "8/8 · 94%" in text and "12.3" in text


def test_a_failed_subject_shows_in_its_cell_and_below(tmp_path: Path) -> None:
    text = drawn(scene_table([example_run(tmp_path / "a")]))
    assert "7/8 · 82%" in text and "all: 1." in text and "Failed subjects" in text


def test_the_table_fits_a_narrow_terminal(tmp_path: Path) -> None:
    run = example_run(tmp_path / "a", "mean-face")
    text = drawn(scene_table([run], published_results()), width=80)
    assert all(f"{cell.mean_mm:.2f} ±" in text for cell in run.summary().values())
    assert "mean-face" in text and "Genova et al. 2018" in text and "frames/s" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_best_of_each_scene_is_bold_in_markdown(tmp_path: Path) -> None:
    good = example_run(tmp_path / "good", "good", 1.2)
    poor = example_run(tmp_path / "poor", "poor", 1.9, seed=1)
    lines = markdown(scene_table([poor, good])).splitlines()
    bold = {line.split("|")[1].strip(): line.count("**") for line in lines if line[:1] == "|"}
    assert bold["good"] == 2 * len(SCENES) and bold["poor"] == 0


def test_failing_never_wins(tmp_path: Path) -> None:
    sure, lucky = example_run(tmp_path / "a", "sure"), example_run(tmp_path / "b", "lucky")
    whole = sure.summary()["cooperative"]
    lower = replace(whole, mean_mm=whole.mean_mm - 0.1, n_subjects=7, n_failed=1)
    partial = replace(lower, mean_with_failures_mm=whole.mean_mm + 0.1)
    sure.write_summary(dict.fromkeys(SCENES, whole))
    lucky.write_summary(dict.fromkeys(SCENES, partial))
    best = scene_rows(read_series([lucky, sure])).best("outdoor")
    assert best is not None and best.label == "sure"


def test_alone_nothing_is_best(tmp_path: Path) -> None:
    assert "**1" not in markdown(scene_table([example_run(tmp_path / "a")]))


def test_published_rows_are_marked_and_never_best(tmp_path: Path) -> None:
    runs = [example_run(tmp_path / "a", "a", 3.0), example_run(tmp_path / "b", "b", 4.0)]
    content = scene_rows(read_series(runs), published_results())
    assert [row.remark for row in content.rows if not row.measured] == ["published"] * 3
    assert all(content.best(scene) is content.rows[0] for scene in SCENES)
    text = drawn(scene_table(runs, published_results()))
    assert "1.36 ± 0.12" in text and "Table 1" in text


@pytest.mark.parametrize("kind", ["protocol", "dataset"])
def test_mixing_is_refused_with_both_values(tmp_path: Path, kind: str) -> None:
    one = example_run(tmp_path / "a")
    changes = {kind: "other", f"{kind}_digest": "9" * 64}
    two = example_run(tmp_path / "b", **changes)
    with pytest.raises(FacebenchError, match=rf"{kind}: micc \(\w+\) and other \(99999999\)"):
        scene_table([one, two])


def test_no_runs_is_a_users_mistake() -> None:
    with pytest.raises(FacebenchError, match="no runs"):
        scene_table([])


def test_different_subjects_are_said(tmp_path: Path) -> None:
    one = example_run(tmp_path / "a")
    two = example_run(tmp_path / "b", subjects=("subject_01",), limit=8, excluded=("subject_30",))
    notes = " ".join(scene_rows(read_series([one, two])).notes)
    assert "different subjects" in notes and "At most 8 frames" in notes and "subject_30" in notes


def test_the_name_given_and_leakage_are_shown(tmp_path: Path) -> None:
    card = MethodCard("ours", "t", "", "MIT", leakage="validated on this set")
    arguments = {**example_record().arguments, "name": "ours, 150 [steps]"}
    run = example_run(tmp_path / "a", card=card, arguments=arguments, ended="")
    text = drawn(scene_table([run]), width=140)
    assert "ours, 150 [steps]" in text
    assert "unfinished; leakage: validated on this set" in text


def test_csv_holds_every_number_exactly(tmp_path: Path) -> None:
    run = example_run(tmp_path / "a")
    rows = list(
        csv.DictReader(
            io.StringIO(csv_text(scene_rows(read_series([run]), published_results()).numbers()))
        )
    )
    assert len(rows) == len(SCENES) * 4
    for row in rows[: len(SCENES)]:
        cell = run.summary()[row["scene"]]
        assert float(row["mean_mm"]) == cell.mean_mm
        assert float(row["ci95_high_mm"]) == cell.ci95_mm[1]
        assert int(row["n_failed"]) == cell.n_failed
    assert rows[-1]["remark"] == "published" and rows[-1]["coverage"] == ""


def test_the_paired_difference_is_the_mean_over_shared_subjects(tmp_path: Path) -> None:
    good = example_run(tmp_path / "good", "good", 1.2, seed=1)
    poor = example_run(tmp_path / "poor", "poor", 1.5, seed=2)
    errors = [run.items().set_index(["scene", "subject"])["value_mm"] for run in (good, poor)]
    expected = (errors[0] - errors[1]).groupby("scene").mean()
    for row in pairs(good, poor):
        assert row.difference.mean_mm == pytest.approx(expected[row.scene], rel=1e-12)
        assert row.difference.ci95_mm.high < 0.0 and row.verdict == "lower"
    assert pairs(good, poor)[2].difference.n_subjects == 7


def test_turning_the_pair_turns_the_sign(tmp_path: Path) -> None:
    runs = [example_run(tmp_path / str(i), f"m{i}", 1.2 + i, seed=i) for i in range(2)]
    there, back = pairs(*runs), pairs(*reversed(runs))
    for one, other in zip(there, back, strict=True):
        assert one.difference.mean_mm == pytest.approx(-other.difference.mean_mm)
        assert (one.verdict, other.verdict) == ("lower", "higher")


def test_a_run_against_itself_shows_no_difference(tmp_path: Path) -> None:
    run, copy = (example_run(tmp_path / name) for name in "ab")
    assert {pair.verdict for pair in pairs(run, copy)} == {"no difference shown"}


def test_the_paired_table_shows_interval_and_p(tmp_path: Path) -> None:
    good = example_run(tmp_path / "good", "good", 1.2, seed=1)
    poor = example_run(tmp_path / "poor", "poor", 1.5, seed=2)
    text = pairs_text(good, poor)
    assert "good − poor" in text and "-0.3" in text
    # All of 8 and of 7 subjects are lower: 2 of 2^8, 2 of 2^7 signs, times three scenes.
    assert text.count(f"{3 * 2 / 2**8:.3f}") == 3 and "No p-value" not in text


def test_too_few_subjects_have_no_p_value_and_a_note_says_why(tmp_path: Path) -> None:
    runs = [example_run(tmp_path / str(i), f"m{i}", 1.2 + i, seed=i) for i in range(2)]
    for run in runs:
        rows = run.items()
        keep_rows(run, results_of(rows[rows["subject"] < "subject_06"]))
    assert {pair.verdict for pair in pairs(*runs)} == {"too few subjects"}
    text = pairs_text(*runs)
    assert "No p-value with fewer than 6 subjects" in " ".join(text.split()) and "p 0." not in text
    assert text.count("–") >= len(SCENES)


def test_presets_of_two_names_are_never_mixed(tmp_path: Path) -> None:
    """With the digests that the presets really have."""
    runs = [
        example_run(
            tmp_path / name,
            protocol=name,
            protocol_digest=preset(name).digest,
            protocol_settings=preset(name).to_dict(),
        )
        for name in ("micc", "metric")
    ]
    both = r"protocol: micc \(\w{8}\) and metric \(\w{8}\)"
    for mix in (lambda: scene_table(runs), lambda: read_series(runs)):
        with pytest.raises(FacebenchError, match=both):
            mix()


def test_a_pooling_protocol_says_what_is_pooled(tmp_path: Path) -> None:
    settings = preset("micc").with_setting("reduction.subjects", "pooled").to_dict()
    run = example_run(tmp_path / "a", protocol_settings=settings)
    notes = " ".join(scene_rows(read_series([run])).notes)
    median = run.summary()["indoor"].median_mm
    assert "over the points of all scored subjects" in notes and f"indoor {median:.2f}" in notes
    two = [run, example_run(tmp_path / "b", protocol_settings=settings)]
    assert "Differences are" not in notes
    words = "Differences are of each subject's own mean, not of these means."
    assert words in scene_rows(read_series(two)).notes
    unscored = {s: replace(c, median_mm=float("nan")) for s, c in run.summary().items()}
    run.write_summary(unscored)
    assert "medians" not in " ".join(scene_rows(read_series([run])).notes)


def test_the_size_error_stands_beside_a_rigid_score(tmp_path: Path) -> None:
    run = example_run(tmp_path / "a")
    run.write_summary({s: replace(c, size_error=0.0234) for s, c in run.summary().items()})
    text = drawn(scene_table([run]))
    assert text.count("size ± 2.3%") == len(SCENES) and "'size':" in text
    assert "size" not in drawn(scene_table([example_run(tmp_path / "b")]))


def test_runs_of_different_detectors_are_told(tmp_path: Path) -> None:
    runs = [example_run(tmp_path / "a"), example_run(tmp_path / "b", detector="mtcnn")]
    assert "in different ways: embedded; mtcnn." in " ".join(scene_rows(read_series(runs)).notes)
    assert "different ways" not in " ".join(scene_rows(read_series(runs[:1])).notes)
    ways = [example_run(tmp_path / f"way{way}", tracking=way) for way in (1, 2)]
    told = " ".join(scene_rows(read_series(ways)).notes)
    assert "embedded, followed in way 1; embedded, followed in way 2." in told


def test_one_scale_for_all_is_shown(tmp_path: Path) -> None:
    run = example_run(tmp_path / "a", global_scale=1.01234)
    assert "One scale factor for all" in drawn(scene_table([run]))
    assert "ours 1.0123" in " ".join(scene_rows(read_series([run])).notes)
    other = example_run(tmp_path / "b")
    assert "One scale" not in " ".join(scene_rows(read_series([other])).notes)


def test_rows_and_columns_keep_their_order(tmp_path: Path) -> None:
    """That of the runs as they were given and of the scenes as the record has them, unsorted."""
    scenes = ("outdoor", "cooperative")
    errors = {"second": 1.4, "first": 1.9, "third": 1.2}
    runs = [example_run(tmp_path / n, n, e, scenes=scenes) for n, e in errors.items()]
    table = scene_rows(read_series(runs), published_results()).table()
    assert table.head == ("method", *scenes, "frames/s")
    assert [row[0].text for row in table.rows][: len(runs)] == list(errors)
    assert table.ends == {len(runs) - 1}
    for row, run in zip(table.rows, runs, strict=False):
        shown = [cell.text for cell in row[1:3]]
        means = [run.summary()[scene].mean_mm for scene in scenes]
        assert [text.split(" ")[0] for text in shown] == [f"{mean:.2f}" for mean in means]


def test_a_difference_is_shown_below_the_level_not_at_it() -> None:
    difference = PairedDifference(-0.1, Interval(-0.2, -0.05), 0.01, 8)
    for p_holm, verdict in ((LEVEL, "no difference shown"), (0.999 * LEVEL, "lower")):
        pair = RunPair("a", "b", "indoor", difference, p_holm, 8, 0, 0)
        assert pair.verdict == verdict


def covering(run: RunFolder, share: float) -> RunFolder:
    keep_rows(run, [replace(row, completeness=share) for row in results_of(run.items())])
    run.write_summary({s: replace(c, completeness=share) for s, c in run.summary().items()})
    return run


def test_a_lower_error_of_less_face_is_not_ranked(tmp_path: Path) -> None:
    whole = covering(example_run(tmp_path / "whole", "whole", 1.6), 0.97)
    other = covering(example_run(tmp_path / "other", "other", 1.8, seed=1), 0.95)
    part = covering(example_run(tmp_path / "part", "part", 1.2, seed=2), 0.7)
    content = scene_rows(read_series([part, whole, other]))
    best = content.best("indoor")
    assert best is not None and best.label == "whole"
    text = " ".join(drawn(content.table()).split())
    assert "complete 70%" in text and "complete 97%" in text
    assert "part is not ranked in cooperative, indoor, outdoor: its completeness is over 5%" in text
    labels = legend_labels(read_series([part, whole, other]))
    assert labels == ["part (complete 70%)", "whole", "other"]
    verdicts = {pair.first: pair.verdict for pair in compare([whole, part, other]).groups[0].pairs}
    assert verdicts == {"part": "unlike completeness", "other": "higher"}


def test_a_run_that_does_not_state_its_completeness_is_not_ranked_against_one(
    tmp_path: Path,
) -> None:
    stated = [covering(example_run(tmp_path / n, n, 1.6, seed=i), 0.97) for i, n in enumerate("ab")]
    silent = example_run(tmp_path / "c", "silent", 1.2)
    other = example_run(tmp_path / "d", "other", 0.8, seed=3)
    best = scene_rows(read_series([silent, *stated])).best("indoor")
    assert best is not None and best.label in "ab"
    for runs in ([stated[0], silent], [silent, stated[0]]):
        (group,) = compare(runs).groups
        assert {pair.verdict for pair in group.pairs} == {"unlike completeness"}
        text = comparison_text(compare(runs), "markdown")
        assert "not judged" in text and "p 0.0" not in text and " *" not in text.split("Not")[0]
    assert {p.verdict for p in compare([silent, other]).groups[0].pairs} == {"lower"}


def test_a_torn_face_of_one_does_not_hide_that_it_covers_more_of_the_others(
    tmp_path: Path,
) -> None:
    less = covering(example_run(tmp_path / "a", "a", 1.4), 0.88)
    more = covering(example_run(tmp_path / "b", "b", 1.6), 0.96)
    rows = results_of(more.items())
    for number, row in enumerate(rows):
        if row.subject == rows[0].subject:
            rows[number] = replace(row, completeness=0.4)
    keep_rows(more, rows)
    pairs = compare([more, less]).groups[0].pairs
    assert {pair.verdict for pair in pairs} == {"unlike completeness"}
    assert not any(pair.left_out for pair in pairs)


@pytest.mark.parametrize("share", [0.31, 0.8])
def test_one_torn_face_is_named(tmp_path: Path, share: float) -> None:
    """Also one that is more than half there, and in a comparison that its mean lets pass."""
    run = covering(example_run(tmp_path / "a", "a", 1.6), 0.97)
    rows = results_of(run.items())
    rows[2] = replace(rows[2], completeness=share)
    keep_rows(run, rows)
    notes = " ".join(scene_rows(read_series([run])).notes)
    words = f"a covers little of the scan of {rows[2].item} ({share:.0%}), 97% in the median"
    assert words in notes
    whole = covering(example_run(tmp_path / "b", "b", 1.6, seed=1), 0.97)
    assert "covers little" not in " ".join(scene_rows(read_series([whole])).notes)
    (group,) = compare([whole, run]).groups
    by_scene = {pair.scene: pair for pair in group.pairs}
    pair = by_scene[rows[2].scene]
    assert pair.unlike == (rows[2].subject,)
    assert not any(other.unlike for other in group.pairs if other is not pair)
    told = f"a and b cover unlike shares of the scan of {rows[2].subject} in {rows[2].scene}"
    # Of a pair that is not judged at all this would say less.
    judged = pair.verdict != "unlike completeness"
    assert (f"{told}: left out of the difference." in group.notes) == judged == (share > 0.5)
    # Else the torn face, the lowest error of all, would speak for its run.
    assert pair.left_out == pair.unlike * judged
    rows[2] = replace(rows[2], value_mm=0.01, mean_mm=0.01)
    keep_rows(run, rows)
    (again,) = (p for p in compare([whole, run]).groups[0].pairs if p.scene == pair.scene)
    assert (again.difference == pair.difference) == judged
    assert pair.subjects == pair.difference.n_subjects == 7 - judged


def test_a_set_without_scenes_has_none_in_its_sentences(tmp_path: Path) -> None:
    runs = [example_run(tmp_path / name, name, 1.6, scenes=("indoor",)) for name in "ab"]
    for run, share in zip(runs, (0.97, 0.6), strict=True):
        run.write_record(replace(run.record(), scenes=(OVERALL,)))
        rows = results_of(run.items())
        keep_rows(run, [replace(row, scene=OVERALL, completeness=share) for row in rows])
    (group,) = compare(runs).groups
    assert "b is not ranked: its completeness is over 5% below the highest." in list(
        group.scenes.all_notes
    )
    assert group.notes[-1].endswith("or does not say how much: b and a.")
