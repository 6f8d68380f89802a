"""What a table of several methods needs: what is trained, what is measured, what is there."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..bench.conformance.method import seconds_per_face
from ..bench.method.interface import Described, HoldsMeshes
from ..bench.method.registry import MethodChoice, open_method
from ..bench.protocol.record import read_settings
from ..errors import FacebenchError
from ..recon.morphable import EMBEDDED, HUMAN
from ..recon.recipes.files import recipe_names
from ..recon.regressors.checkpoint import embedded_weights
from ..results.run.folder import RunFolder
from ..results.run.record import MethodCost, read_cost, training_minutes
from ..results.tracking.run import is_logged
from .benchmark import Benchmark
from .plan import RunRequest, describe_run, method_options, prepare


@dataclass(frozen=True)
class Entry:
    """One method of the table.

    Attributes:
        choice: the method, its weights and label.
        out: folder of the table.
        recipe: what its weights are trained by first, or empty where nothing is trained.
    """

    choice: MethodChoice
    out: Path
    recipe: str = ""

    @property
    def run(self) -> Path:
        """Folder of its benchmark run."""
        return self.out / self._name

    @property
    def training(self) -> Path:
        """Folder that its weights are trained in."""
        return self.out / "training" / self._name

    @property
    def checkpoint(self) -> Path | None:
        """Its weights: those given, those that are trained here, or None for the method's own."""
        return self.training / "weights.pt" if self.recipe else self.choice.checkpoint

    @property
    def awaits_training(self) -> bool:
        """Whether its weights are still to be trained here."""
        return bool(self.recipe) and not (self.training / "weights.pt").is_file()

    @property
    def _name(self) -> str:
        # Latin letters alone, as tables that were begun earlier have them; else those there are.
        plain, own = (
            re.sub(rf"[^{letters}._-]+", "-", self.choice.label).strip("-.")
            for letters in ("A-Za-z0-9", r"\w")
        )
        return plain or own


def entries(
    choices: Sequence[MethodChoice], out: Path, train: bool, recipes: Mapping[str, str]
) -> tuple[Entry, ...]:
    """The table's methods.

    Args:
        choices: as asked for.
        out: folder of the table.
        train: whether methods that have a recipe and were given no weights are trained.
        recipes: by method's name, where it is not the recipe of that name.

    Raises:
        FacebenchError: two methods would share a folder, or a recipe is for no method of the table.
    """
    stray = set(recipes) - {choice.name for choice in choices}
    if stray:
        raise FacebenchError(
            f"a recipe for '{min(stray)}', which is not in the table", "name it with --method too"
        )
    found = [Entry(choice, out, _recipe(choice, train, recipes)) for choice in choices]
    places = [entry.run for entry in found]
    for place in places:
        # The table's own files and the folder of its trainings lie there.
        if place in (out, out / "training") or place.name.startswith("table1."):
            raise FacebenchError(f"a method would be kept in {place} itself", "give another label")
        if places.count(place) > 1:
            raise FacebenchError(f"two methods would be kept in {place}", "give other labels")
    return tuple(found)


def request_of(entry: Entry, shared: RunRequest) -> RunRequest:
    """What is measured of a method; everything but the method is shared by the table."""
    return replace(shared, method=entry.choice.name, checkpoint=entry.checkpoint)


def ready(entry: Entry, shared: RunRequest) -> Benchmark:
    """What measures a method, built before anything long starts.

    Raises:
        FacebenchError: it is unknown, has no weights, or they are not of this face model.
    """
    try:
        return prepare(request_of(entry, shared))
    except FacebenchError as error:
        raise FacebenchError(f"{entry.choice.label}: {error.message}", error.hint) from error


def is_finished(entry: Entry) -> bool:
    """Whether a command has brought its run to the end."""
    return (entry.run / "run.json").is_file() and RunFolder(entry.run).record().finished


def is_measured(entry: Entry, benchmark: Benchmark, shared: RunRequest) -> bool:
    """Whether its run is finished and kept in MLflow, with these data, protocol, weights, model."""
    folder = RunFolder(entry.run)
    if not (entry.run / "run.json").is_file() or not (entry.run / "summary.json").is_file():
        return False
    earlier = folder.record()
    # A command that was killed as it logged has measured everything; another one logs it.
    if not is_logged(entry.run):
        return False
    asked = describe_run(benchmark, request_of(entry, shared), "", {}, {})
    return earlier.finished and not earlier.difference(asked)


def cost_of(entry: Entry, shared: RunRequest) -> MethodCost:
    """What a method costs: as kept in its run's folder, else measured now and kept."""
    request = request_of(entry, shared)
    # The method alone: its costs need no data, which would be read once more.
    protocol = read_settings(request.protocol, request.settings)
    method = open_method(request.method, method_options(request, protocol))
    kept = read_cost(entry.run)
    if kept and kept.method_digest == method.digest:
        return kept
    seconds = math.nan if isinstance(method, HoldsMeshes) else seconds_per_face(method)
    cost = MethodCost(seconds, _minutes(entry, method), method.digest)
    cost.write(entry.run)
    return cost


def _recipe(choice: MethodChoice, train: bool, recipes: Mapping[str, str]) -> str:
    if not train or choice.checkpoint:
        return ""
    named = recipes.get(choice.name, choice.name)
    return named if choice.name in recipes or named in recipe_names() else ""


def _minutes(entry: Entry, method: Described) -> float:
    """Of the training of its weights, be they given, trained here or the package's own."""
    if not method.card.trains:
        return 0.0
    if entry.checkpoint:
        return training_minutes(entry.checkpoint)
    for own in map(embedded_weights, (EMBEDDED, HUMAN)):
        if method.checkpoint_digest == hashlib.sha256(own.read_bytes()).hexdigest():
            return training_minutes(own)
    return math.nan
