"""Rules held against a run and its baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, singledispatch
from typing import TypeVar

from ...bench.scoring.statistics import (
    FEWEST_SUBJECTS,
    LEVEL,
    PairedDifference,
    holm,
    paired_difference,
)
from ...errors import count_of, some
from ..run.folder import RunFolder
from ..run.items import item_names, of_scene
from ..run.summary import SceneSummary
from ..tables.basis import Basis, differences_text, differing_fields, place_of
from ..tables.published import by_method, published_results
from ..tables.series import (
    COMPLETENESS_TOLERANCE,
    ERROR_COLUMNS,
    subject_of,
    torn_items,
    unlike_shares,
)
from ..tables.table import share_text
from .baseline import Baseline
from .consistency import baseline_fault, consistency_checks, least_completeness
from .rules import Completeness, Coverage, Limit, Paper, Regression, Rule, SceneRule, Speed, kind_of
from .verdict import Check, Status, Verdict

Condition = TypeVar("Condition", Coverage, Completeness)


class Case:
    """A run that has a summary, and what it is held against.

    Raises:
        FacebenchError: it has no summary.
    """

    def __init__(self, rules: Sequence[Rule], run: RunFolder, baseline: Baseline | None) -> None:
        self.record, self.summary = run.record(), run.summary()
        self.rows = run.items((*ERROR_COLUMNS, "completeness"))
        # The run's own numbers in the form of a baseline.
        self.numbers, self.baseline = Baseline.of_run(run), baseline
        conditions = (rule for rule in rules if isinstance(rule, Coverage | Completeness))
        self._asked = [rule for rule in conditions if not rule.skip_reason(self.record)]

    @property
    def without_baseline(self) -> str:
        """Why nothing can be held against the baseline, or empty."""
        if self.baseline is None:
            return "no baseline is given"
        bases = (self.baseline.basis, self.numbers.basis)
        if differing := differing_fields(bases):
            return f"baseline / run: {differences_text(differing)}"
        return baseline_fault(self.baseline)

    def scenes(self, rule: SceneRule) -> tuple[str, ...]:
        """The scenes that must keep to a rule."""
        # Also the baseline's: a scene that is no longer measured must not drop out.
        known = self.baseline.basis.scenes if self.baseline else ()
        return rule.scenes or tuple(dict.fromkeys((*self.record.scenes, *known)))

    def uncovered(self, scene: str) -> str:
        """Why the numbers of a scene mean nothing, or empty."""
        if scene not in self.summary:
            return "the run has no such scene"
        cell = self.summary[scene]
        short = [short_of(rule, cell) for rule in self.coverages(scene)]
        # By default only of runs that state it: those of before completeness was measured do not.
        known = math.isfinite(cell.completeness)
        rules = self._conditions(Completeness, scene) or [Completeness()] * known
        short += [self.incomplete(rule, scene) for rule in rules]
        return next(filter(None, short), "")

    def incomplete(self, rule: Completeness, scene: str) -> str:
        """What the predictions of a scene lack of a completeness rule, or empty."""
        share = self.summary[scene].completeness
        name, least = least_completeness(of_scene(self.rows, scene), self.summary[scene])
        # Not `<`: an unknown share is NaN, of which that is false, and the rule would be kept.
        if not share >= rule.mean:
            return f"the scans are covered by {share_text(share)}, {rule.mean:.0%} are asked for"
        if not least >= rule.each:
            part = f"the scan of {name}" if name else "one scan"
            return f"{part} is covered by {share_text(least)}, {rule.each:.0%} are asked for"
        return ""

    @cached_property
    def differences(self) -> dict[str, tuple[PairedDifference, float]]:
        """Run − baseline by scene, with the p-value that `compare` of the two prints.

        It is corrected for all scenes of the run, whatever rules there are: one difference has one
        p-value.
        """
        found = [self._difference(scene) for scene in self.summary]
        p_values = holm([difference.p_value for difference in found]).tolist()
        return dict(zip(self.summary, zip(found, p_values, strict=True), strict=True))

    def _difference(self, scene: str) -> PairedDifference:
        ours, theirs = self._errors(scene)
        left_out = torn_items(*self.unlike(scene))
        # In one order, or the differences would be of different people.
        both = sorted((ours.keys() & theirs.keys()) - set(left_out))
        owners = subject_of(self.rows, scene)
        return paired_difference(
            [ours[name] for name in both],
            [theirs[name] for name in both],
            self.record.seed,
            [owners[name] for name in both],
        )

    def lost(self, scene: str) -> str:
        """Why a pairing with the baseline would hide something, or empty.

        A subject that has come to fail or be torn, subjects that the baseline never had a number
        for, or a part of the face that the predictions no longer cover.
        """
        ours, theirs = self._errors(scene)
        if self.baseline is None or not theirs:
            return "the baseline has no such scene"
        # The strictest of several rules: a pairing that one of them refuses shows nothing.
        asked = max(rule.subjects for rule in self.coverages(scene))
        lost = sorted(theirs.keys() - ours.keys())
        # A torn face has an error, of another part of the face than the baseline's.
        torn = [name for name, gap in self.unlike(scene)[1].items() if gap < 0]
        # As a share of those that stay: 1 - 0.8 is less than 0.2 in floating point.
        if (len(theirs) - len(lost)) / len(theirs) < asked:
            missing = f"{len(lost)} of {len(theirs)} subjects of the baseline are lost"
            return f"{missing}: {some(lost, 5)}"
        if (len(theirs) - len(lost) - len(torn)) / len(theirs) < asked:
            shares = (each.shares[scene][torn[0]] for each in (self.numbers, self.baseline))
            more = f", and {len(torn) - 1} more" * (len(torn) > 1)
            return _covered(f"the scan of {torn[0]} is", *shares) + more
        # Of the same data, so that whoever the run was asked for the baseline was asked for too.
        everybody = set(item_names(of_scene(self.rows, scene), scene))
        if foreign := sorted(theirs.keys() - everybody):
            return f"the baseline has numbers of others: {some(foreign, 5)}"
        if len(theirs) / len(everybody) < asked:
            return f"the baseline has numbers of {len(theirs)} of {len(everybody)} subjects"
        before = self.baseline.completeness.get(scene, math.nan)
        now = self.summary[scene].completeness
        # Not `<`: of one share alone the difference is NaN. Runs from before have none at all.
        known = math.isfinite(before) or math.isfinite(now)
        if known and not now >= before - COMPLETENESS_TOLERANCE:
            return _covered("the scans are", now, before)
        # Of a run without single shares it is infinite.
        if -math.inf < self.unlike(scene)[0] < -COMPLETENESS_TOLERANCE:
            return "but for torn faces, the scans are covered by less than the baseline's"
        return ""

    def covers_more(self, scene: str) -> str:
        """Why a higher error than the baseline's shows nothing, or empty: it covered less."""
        before = self.baseline.completeness.get(scene, math.nan) if self.baseline else math.nan
        now = self.summary[scene].completeness
        if now - before > COMPLETENESS_TOLERANCE:
            return _covered("the scans are", now, before)
        # Of a baseline without single shares that is infinite, and nothing said of them.
        more = COMPLETENESS_TOLERANCE < self.unlike(scene)[0] < math.inf
        return "but for torn faces, the scans are covered by more than the baseline's" * more

    def unlike(self, scene: str) -> tuple[float, dict[str, float]]:
        """How much more the run covers than its baseline, and whose scans, see `unlike_shares`."""
        ours, theirs = self._errors(scene)
        before = self.baseline.shares if self.baseline else {}
        shares = (self.numbers.shares.get(scene, {}), before.get(scene, {}))
        return unlike_shares(*shares, ours.keys() & theirs.keys())

    def coverages(self, scene: str) -> list[Coverage]:
        """The rules for a scene; without any, all subjects are asked for."""
        return self._conditions(Coverage, scene) or [Coverage()]

    def _conditions(self, kind: type[Condition], scene: str) -> list[Condition]:
        found = [rule for rule in self._asked if isinstance(rule, kind)]
        return [rule for rule in found if scene in self.scenes(rule)]

    def _errors(self, scene: str) -> tuple[Mapping[str, float], Mapping[str, float]]:
        theirs = self.baseline.errors_mm if self.baseline else {}
        return self.numbers.errors_mm.get(scene, {}), theirs.get(scene, {})


def _covered(what: str, now: float, before: float) -> str:
    words = (share_text(x) if math.isfinite(x) else "an unknown share" for x in (now, before))
    return "{} covered by {}, the baseline's by {}".format(what, *words)


def short_of(rule: Coverage, cell: SceneSummary) -> str:
    """What a scene lacks of a coverage rule, or empty."""
    scored, asked = cell.n_subjects, cell.n_subjects + cell.n_failed
    if not scored:
        return "no subject was scored"
    if scored_share(cell) < rule.subjects:
        return f"{scored} of {asked} subjects scored, {rule.subjects:.0%} are asked for"
    # A method of files reads no frames: only a rule that asks for faces speaks of them.
    if rule.faces > 0 and not cell.coverage >= rule.faces:
        found = f"{cell.coverage:.0%}" if math.isfinite(cell.coverage) else "no number"
        return f"faces in {found} of the frames, {rule.faces:.0%} are asked for"
    return ""


def scored_share(cell: SceneSummary) -> float:
    """Subjects scored of those asked for; NaN for nobody."""
    asked = cell.n_subjects + cell.n_failed
    return cell.n_subjects / asked if asked else math.nan


def evaluate(rules: Sequence[Rule], run: RunFolder, baseline: Baseline | None) -> Verdict:
    """Hold rules against a finished run.

    A rule that is not for the run is skipped. A scene's accuracy has no answer where its coverage
    or completeness is too low: below the rules for it, or, without any, below all subjects and
    below `Completeness()`. Of a run whose files contradict each other nothing has an answer.

    Raises:
        FacebenchError: the run has no summary.
    """
    # Before any rule: a number that its own files contradict is no number.
    if found := consistency_checks(run):
        unknown = (
            _unknown(kind_of(rule), "", "its numbers contradict each other") for rule in rules
        )
        return verdict_of(run, baseline, (*found, *unknown))
    case = Case(rules, run, baseline)
    return verdict_of(run, baseline, (check for rule in rules for check in _checks(rule, case)))


def not_measured(rules: Sequence[Rule], run: RunFolder, reason: str) -> Verdict:
    """The verdict on a run whose numbers cannot be used."""
    checks = (_unknown(kind_of(rule), "", reason) for rule in rules)
    return verdict_of(run, None, checks)


def verdict_of(run: RunFolder, baseline: Baseline | None, checks: Iterable[Check]) -> Verdict:
    """Checks with what they are of."""
    record = run.record()
    named = f"{baseline.method} of {baseline.measured[:10]}" if baseline else ""
    commit = f", commit {baseline.commit[:8]}" if baseline and baseline.commit else ""
    return Verdict(
        run=record.label,
        place=place_of(run),
        title=Basis.of(record).title,
        baseline=named + commit,
        checks=tuple(checks),
    )


def _checks(rule: Rule, case: Case) -> list[Check]:
    reason = rule.skip_reason(case.record)
    if reason:
        return [Check(kind_of(rule), "", Status.SKIPPED, "", detail=reason)]
    if not isinstance(rule, SceneRule):
        return [check_rule(rule, case, "")]
    return [check_rule(rule, case, scene) for scene in case.scenes(rule)]


@singledispatch
def check_rule(rule: Rule, case: Case, scene: str) -> Check:
    """One rule held against one scene, or against the whole run."""
    raise TypeError(f"no check for {type(rule).__name__}")


@check_rule.register
def _limit(rule: Limit, case: Case, scene: str) -> Check:
    if reason := case.uncovered(scene):
        return _unknown("limit", scene, reason, rule.statistic, bound=rule.max_mm)
    cell = case.summary[scene]
    value = getattr(cell, rule.statistic)
    check = Check("limit", scene, Status.PASSED, rule.statistic, value, rule.max_mm)
    # Inclusive: a limit that was read off a run lets that run pass.
    return _judge_value(check, failed=value > rule.max_mm)


@check_rule.register
def _regression(rule: Regression, case: Case, scene: str) -> Check:
    quantity = "difference"
    if reason := case.without_baseline or case.uncovered(scene) or case.lost(scene):
        return _unknown("regression", scene, reason, quantity, bound=rule.tolerance_mm)
    difference, p_holm = case.differences[scene]
    check = Check(
        kind="regression",
        scene=scene,
        status=Status.PASSED,
        quantity=quantity,
        value=difference.mean_mm,
        bound=rule.tolerance_mm,
        interval=difference.ci95_mm,
        p_holm=p_holm,
    )
    if math.isnan(difference.ci95_mm.low):
        return replace(check, status=Status.UNKNOWN, detail="an interval needs two subjects")
    if not check.value > rule.tolerance_mm:
        return _judge_value(check)
    if reason := case.covers_more(scene):
        return replace(check, status=Status.UNKNOWN, detail=reason)
    status, words = _beyond_chance(rule, difference, p_holm)
    compared = count_of(difference.n_subjects, "subject")
    if torn := torn_items(*case.unlike(scene)):
        compared += f" without {some(torn)}, covered unlike"
    return replace(check, status=status, detail=f"{compared}: {words}")


def _beyond_chance(
    rule: Regression, difference: PairedDifference, p_holm: float
) -> tuple[Status, str]:
    """What comes of a difference above the tolerance, by the test with which `compare` judges."""
    if p_holm < LEVEL:
        return Status.FAILED, "worse beyond chance"
    if not rule.beyond_chance:
        return Status.FAILED, "worse; beyond_chance = false lets the mean decide"
    if not difference.testable:
        # Neither passed nor failed: that it is chance was not shown either.
        asked = f"fewer than {FEWEST_SUBJECTS} cannot show a difference"
        return Status.UNKNOWN, f"{asked}; beyond_chance = false lets the mean decide"
    return Status.WARNED, "above the tolerance, but no difference that could be told from chance"


@check_rule.register
def _coverage(rule: Coverage, case: Case, scene: str) -> Check:
    if scene not in case.summary:
        return _unknown("coverage", scene, "the run has no such scene", "subjects", unit="share")
    cell = case.summary[scene]
    check = Check("coverage", scene, Status.PASSED, "subjects", scored_share(cell), rule.subjects)
    # The first shortage is reported: faces mean little where subjects are missing.
    if check.value >= rule.subjects and rule.faces > 0:
        check = replace(check, quantity="faces", value=cell.coverage, bound=rule.faces)
    short = short_of(rule, cell)
    status = Status.UNKNOWN if short else Status.PASSED
    return replace(check, unit="share", status=status, detail=short)


@check_rule.register
def _completeness(rule: Completeness, case: Case, scene: str) -> Check:
    if scene not in case.summary:
        reason = "the run has no such scene"
        return _unknown("completeness", scene, reason, "mean", rule.mean, "share")
    share = case.summary[scene].completeness
    short = case.incomplete(rule, scene)
    status = Status.UNKNOWN if short else Status.PASSED
    check = Check("completeness", scene, status, "mean", share, rule.mean, "share", detail=short)
    # Of the two the one that is broken: a mean that is enough would explain nothing.
    if short and share >= rule.mean:
        _, least = least_completeness(of_scene(case.rows, scene), case.summary[scene])
        return replace(check, quantity="each", value=least, bound=rule.each)
    return check


@check_rule.register
def _speed(rule: Speed, case: Case, scene: str) -> Check:
    quantity = "frames/s"
    reason = case.without_baseline
    if reason or case.baseline is None:
        return _unknown("speed", scene, reason, quantity, rule.min_ratio, "ratio")
    ours, theirs = case.numbers.frames_per_second, case.baseline.frames_per_second
    # Of a baseline without frames there is no ratio, and no speed that is enough.
    ratio = ours / theirs if theirs > 0 else math.nan
    check = Check("speed", scene, Status.PASSED, quantity, ratio, rule.min_ratio, "ratio")
    check = replace(check, detail=f"{ours:.1f} against {theirs:.1f} frames/s")
    return _judge_value(check, failed=ratio < rule.min_ratio)


@check_rule.register
def _paper(rule: Paper, case: Case, scene: str) -> Check:
    name = rule.published or case.record.method
    rows = by_method(published_results()).get(name, ())
    known = [r for r in rows if (r.scene, r.dataset) == (scene, case.record.dataset)]
    reason = case.uncovered(scene) or (
        "" if known else f"nothing is published of {name} in {scene}"
    )
    if reason:
        return _unknown("paper", scene, reason, "mean_mm")
    bound = known[0].mean_mm + rule.tolerance_mm
    mean = case.summary[scene].mean_mm
    check = Check("paper", scene, Status.PASSED, "mean_mm", mean, bound)
    check = replace(check, detail=f"{known[0].title}: {known[0].mean_mm:.2f} by its own protocol")
    # Measured by another protocol: it can warn, never fail.
    return (
        replace(_judge_value(check), status=Status.WARNED) if mean > bound else _judge_value(check)
    )


def _judge_value(check: Check, failed: bool = False) -> Check:
    """The check with its status; a value that is not a number is no answer."""
    if not math.isfinite(check.value):
        return replace(check, status=Status.UNKNOWN, detail=f"{check.quantity} is not a number")
    return replace(check, status=Status.FAILED) if failed else check


def _unknown(
    kind: str,
    scene: str,
    reason: str,
    quantity: str = "",
    bound: float = math.nan,
    unit: str = "mm",
) -> Check:
    check = Check(kind, scene, Status.UNKNOWN, quantity, detail=reason)
    return replace(check, bound=bound, unit=unit)
