"""What the rules of a gate are held against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..run.folder import RunFolder, RunRecord
from ..run.scene_summary import SceneSummary
from ..tables.basis import differences_text, differing_fields
from .baseline import Baseline
from .rules import Coverage, Rule, SceneRule

_NAMED = 5


@dataclass(frozen=True)
class Case:
    """A run, and what it is compared with.

    Attributes:
        record: of the run.
        summary: scene to summary.
        numbers: the run's own, in the form of a baseline.
        baseline: or None.
        coverages: the coverage rules that are for the run.
    """

    record: RunRecord
    summary: dict[str, SceneSummary]
    numbers: Baseline
    baseline: Baseline | None
    coverages: tuple[Coverage, ...]

    @classmethod
    def of(cls, rules: Sequence[Rule], run: RunFolder, baseline: Baseline | None) -> Case:
        """A run that has a summary, held against these rules.

        Raises:
            FacebenchError: it has none.
        """
        record = run.record()
        coverages = (rule for rule in rules if isinstance(rule, Coverage))
        return cls(
            record=record,
            summary=run.summary(),
            numbers=Baseline.of_run(run),
            baseline=baseline,
            coverages=tuple(rule for rule in coverages if not rule.unconcerned(record)),
        )

    @property
    def without_baseline(self) -> str:
        """Why nothing can be held against the baseline, or empty."""
        if self.baseline is None:
            return "no baseline is given"
        bases = (self.baseline.basis, self.numbers.basis)
        differing = differing_fields(bases)
        return f"baseline / run: {differences_text(differing)}" if differing else ""

    def scenes(self, rule: SceneRule) -> tuple[str, ...]:
        """The scenes that must keep to a rule."""
        known = self.baseline.basis.scenes if self.baseline else ()
        return rule.scenes or tuple(dict.fromkeys((*self.record.scenes, *known)))

    def uncovered(self, scene: str) -> str:
        """Why the numbers of a scene mean nothing, or empty."""
        if scene not in self.summary:
            return "the run has no such scene"
        short = (short_of(rule, self.summary[scene]) for rule in self._coverages_of(scene))
        return next(filter(None, short), "")

    def shared(self, scene: str) -> tuple[list[float], list[float]]:
        """Errors (S,) of the run and (S,) of the baseline, of the subjects that both have, mm."""
        ours, theirs = self._errors(scene)
        both = sorted(ours.keys() & theirs.keys())
        return [ours[name] for name in both], [theirs[name] for name in both]

    def lost(self, scene: str) -> str:
        """Which subjects of the baseline the run has no number for, if too many; or empty.

        A pairing would hide a subject that has come to fail.
        """
        ours, theirs = self._errors(scene)
        if not theirs:
            return "the baseline has no such scene"
        lost = sorted(theirs.keys() - ours.keys())
        asked = max(rule.subjects for rule in self._coverages_of(scene))
        if 1 - len(lost) / len(theirs) >= asked:
            return ""
        return f"{len(lost)} of {len(theirs)} subjects of the baseline are lost: {_some(lost)}"

    def _coverages_of(self, scene: str) -> list[Coverage]:
        """The rules for a scene; without any, all subjects are asked for."""
        return [rule for rule in self.coverages if scene in self.scenes(rule)] or [Coverage()]

    def _errors(self, scene: str) -> tuple[Mapping[str, float], Mapping[str, float]]:
        theirs = self.baseline.errors_mm if self.baseline else {}
        return self.numbers.errors_mm.get(scene, {}), theirs.get(scene, {})


def short_of(rule: Coverage, cell: SceneSummary) -> str:
    """What a scene lacks of a coverage rule, or empty."""
    scored, asked = cell.n_subjects, cell.n_subjects + cell.n_failed
    if not scored:
        return "no subject was scored"
    if scored_share(cell) < rule.subjects:
        return f"{scored} of {asked} subjects scored, {rule.subjects:.0%} are asked for"
    if rule.faces > 0 and not cell.coverage >= rule.faces:
        found = f"{cell.coverage:.0%}" if math.isfinite(cell.coverage) else "no number"
        return f"faces in {found} of the frames, {rule.faces:.0%} are asked for"
    return ""


def scored_share(cell: SceneSummary) -> float:
    """Subjects scored of those asked for; NaN for nobody."""
    asked = cell.n_subjects + cell.n_failed
    return cell.n_subjects / asked if asked else math.nan


def _some(names: Sequence[str]) -> str:
    hidden = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {hidden} more" if hidden > 0 else "")
