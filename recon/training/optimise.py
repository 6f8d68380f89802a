"""From a loss to new weights: clipped, scheduled, averaged, and left out where not finite.

Also in which number format and memory layout networks compute.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from inspect import unwrap
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ...errors import FacebenchError
from ..face.coefficients import Coefficients
from ..files.writing import atomic_write
from ..network.tensor_files import save_tensors
from ..recipes.files import AnyRecipe
from ..recipes.regressor import OptimiserRecipe
from .workers import Worker

Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=nn.Module)
Tensors = list[Tensor] | tuple[Tensor, ...]
Row = dict[str, float]
"""One line of the log: `step` and whatever was measured at it."""


class Trainable(ABC, Generic[Batch]):
    """Something that learns step by step and whose whole state can be written down.

    Args:
        recipe: how it is trained.
        model_digest: of the face model behind it or its data; empty where there is none.
        worker: see there.

    Attributes:
        learner: everything that is learned, with what is frozen in it, as one module.
        network: what of it workers share the gradient of, as one of them has it.
        descent: optimiser and average, with what they remember of the steps before.
        step, skipped: steps taken, and how many of them were left out.
    """

    learner: nn.Module
    network: nn.Module
    descent: Descent

    def __init__(self, recipe: AnyRecipe, model_digest: str, worker: Worker) -> None:
        # Before any layer is made: weights are the first numbers drawn.
        torch.manual_seed(worker.seed)
        self.recipe = recipe
        self.model_digest = model_digest
        self.seed, self.device, self.group = worker.seed, worker.device, worker.group
        self.step = 0
        self.skipped = 0

    def join_group(self, learner: nn.Module, worker: Worker) -> None:
        """Bring what learns to its device and into its process group."""
        self.learner = learner
        # In place: optimiser, average and distributed network then hold the same tensors.
        self.group.prepare(channels_last(learner).to(self.device), self.device)
        # What is frozen is left out: distributed gradients wait for every parameter they are told
        # of.
        learned = self.learned()
        self.network = worker.distribute(learned) if worker.distribute else learned
        # Of the whole learner: a frozen part's running statistics are put back, too.
        self.descent = Descent(learner, self.recipe.optimiser, self.recipe.training.steps)

    def learned(self) -> nn.Module:
        """The part of the learner that workers share the gradient of."""
        return self.learner

    @abstractmethod
    def training_step(self, batch: Batch) -> StepReport:
        """Take one step on a batch; left out where the loss or its gradient is not finite."""

    def descend(
        self,
        weighted: Mapping[str, Tensor],
        terms: Mapping[str, Tensor],
        before: list[Tensor],
        images: int,
        gradients: Mapping[str, float],
    ) -> StepReport:
        """Descend the sum of the weighted terms, and report the step.

        Args:
            weighted, terms: the terms of the loss (), with and without their weights.
            before: `Descent.statistics` from before the batch.
            images, gradients: see `StepReport`.
        """
        total = torch.stack(list(weighted.values())).sum()
        applied = self.descent.apply(total, self.step, before)
        # Also where it was left out: the schedule and the order of photographs go on.
        self.step += 1
        self.skipped += not applied
        values = {name: float(term.detach()) for name, term in terms.items()}
        return StepReport(float(total.detach()), values, images, applied, gradients)


@dataclass(frozen=True)
class StepReport:
    """What one step found.

    Attributes:
        total: the weighted sum, before the step.
        terms: each term of the loss, unweighted.
        images: photographs in the batch.
        applied: False where the loss or its gradient was not finite and the step was left out.
        gradients: norm of each weighted term's gradient; empty where it was not measured.
    """

    total: float
    terms: Mapping[str, float]
    images: int
    applied: bool
    gradients: Mapping[str, float] = field(default_factory=dict)


class _Adam(torch.optim.Adam):
    """PyTorch's own, with what is called once a step without its ties to `torch.compile`.

    Those would import a third of PyTorch, two seconds of a processor, to compile nothing.
    """

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))
    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
    state_dict = unwrap(torch.optim.Adam.state_dict)
    load_state_dict = unwrap(torch.optim.Adam.load_state_dict)
    profile_hook_step = staticmethod(unwrap(torch.optim.Adam.profile_hook_step))


class Descent:
    """Adam over a learner's parameters and all that surrounds one step of it.

    Args:
        learner: what learns.
        recipe: of the steps.
        steps: how many the training takes, for the schedule.
    """

    def __init__(self, learner: nn.Module, recipe: OptimiserRecipe, steps: int) -> None:
        self.recipe = recipe
        self.steps = steps
        self.average = WeightAverage(learner, recipe.average) if recipe.average else None
        self._learner = learner
        self._learned = [value for value in learner.parameters() if value.requires_grad]
        # One kernel for all parameters; the rate is set anew before every step.
        self.optimiser = _Adam(self._learned, fused=True)

    def statistics(self) -> list[Tensor]:
        """A copy of the learner's running statistics, taken before a batch goes through it."""
        return [buffer.clone() for buffer in self._learner.buffers()]

    def apply(self, total: Tensor, step: int, before: list[Tensor]) -> bool:
        """Descend the loss once; False where loss or gradient is not finite.

        A step left out leaves no trace: the running statistics are put back too. A loss that is not
        finite makes the whole gradient so, which all workers then see after their exchange.

        Args:
            total: the loss ().
            step: which one, from 0.
            before: `statistics` from before the batch.
        """
        # Without gradients, not with zeros: a part that a batch does not reach is then left out.
        self.optimiser.zero_grad(set_to_none=True)
        # Started from NaN instead of 1, every gradient is NaN, on each worker after their exchange:
        # all of them leave the step out, although only one of them saw the loss.
        spoilt = torch.full_like(total, math.nan).where(~total.detach().isfinite(), 1.0)
        # Multiplied, not given as the first gradient: PyTorch would import SymPy to look at that.
        torch.autograd.backward(total * spoilt)
        # An infinite limit changes nothing but gives the norm, which is what is looked at.
        norm = nn.utils.clip_grad_norm_(self._learned, self.recipe.gradient_limit or math.inf)
        # One look at the norm instead of one at every tensor: a single wait for the device.
        if not bool(norm.isfinite()):
            self._put_back(before)
            return False
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, step, self.steps)
        self.optimiser.step()
        if self.average:
            # After the step: the average is of weights that were in use.
            self.average.update_parameters(self._learner)
        return True

    def averaged(self) -> AbstractContextManager[None]:
        """Inside the block the learner has its averaged weights, where the recipe asks for them."""
        return self.average.in_use() if self.average else nullcontext()

    def state(self) -> dict[str, Any]:
        """Everything to continue from, beside the learner's own state."""
        average = self.average.state() if self.average else {}
        return {"optimiser": self.optimiser.state_dict(), "average": average}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average:
            self.average.restore(state["average"])

    @torch.no_grad()
    def _put_back(self, before: list[Tensor]) -> None:
        for buffer, kept in zip(self._learner.buffers(), before, strict=True):
            buffer.copy_(kept)


def learning_rate(recipe: OptimiserRecipe, step: int, steps: int) -> float:
    """Learning rate of a step counted from 0: linear warm-up, then constant or half a cosine."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    # Never 0, also at step 0: a first step of no length would only fill Adam's moments.
    if recipe.schedule == "constant":
        return recipe.learning_rate * warm
    # Counted from the end of the warm-up, so that the cosine starts at its full height.
    after = max(0, step - recipe.warmup_steps) / max(1, steps - recipe.warmup_steps)
    return recipe.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, after)))


class WeightAverage(AveragedModel):
    """An exponential moving average of a learner's parameters (Polyak and Juditsky 1992).

    Early on the average follows faster, over (1 + n) / (10 + n) of n steps, so that the starting
    weights are soon forgotten. Batch statistics are not averaged.

    Args:
        learner: whose parameters are followed.
        decay: share of the average that a step keeps, in (0, 1).
    """

    def __init__(self, learner: nn.Module, decay: float) -> None:
        def follow(kept: Tensors, live: Tensors, steps: Tensor | int) -> None:
            # The share of the new weights: 9/11 at the first step, 1 - decay in the end.
            share = 1.0 - min(decay, (1 + int(steps)) / (10 + int(steps)))
            # All tensors in one call: a GPU then starts few kernels instead of one per tensor.
            torch._foreach_lerp_(kept, live, share)

        super().__init__(learner, multi_avg_fn=follow)
        # At 0 PyTorch would copy the first step's weights; here the starting weights count too.
        self.n_averaged.fill_(1)
        # Names, not order: the copy inside has the same ones.
        self._live = dict(learner.named_parameters())

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Inside the block the learner has the averaged weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state(self) -> dict[str, Tensor]:
        """Everything to continue from, in the form of version 0.1."""
        kept = {name: value.detach() for name, value in self.module.named_parameters()}
        # One less than PyTorch counts, since the starting weights were counted as its first.
        return {"steps": self.n_averaged.cpu() - 1, **kept}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        self.n_averaged.fill_(int(state["steps"]) + 1)
        for name, kept in self.module.named_parameters():
            kept.copy_(state[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        # By value: the optimiser and the other workers hold the learner's own tensors.
        for name, kept in self.module.named_parameters():
            live = self._live[name]
            before = live.clone()
            live.copy_(kept)
            kept.copy_(before)


def gradient_norms(terms: Mapping[str, Tensor], coefficients: Coefficients) -> dict[str, float]:
    """Euclidean norm of each term's gradient with respect to all coefficients of the batch.

    Cheap beside a step: the network is not gone through. The graph is kept for the step itself.

    Args:
        terms: weighted terms (), by name.
        coefficients: what they were computed from.
    """
    # A coefficient that a method does not learn has no gradient to measure.
    parts = [part for part in vars(coefficients).values() if part.requires_grad]
    return {name: _norm(term, parts) for name, term in terms.items()}


def _norm(term: Tensor, parts: Sequence[Tensor]) -> float:
    if not term.requires_grad:
        return 0.0
    # The term may not depend on some of them: the prior knows no pose.
    found = torch.autograd.grad(term, parts, retain_graph=True, allow_unused=True)
    squares = [part.square().sum() for part in found if part is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Inside the block matrix products and convolutions take a recipe's precision.

    bfloat16 has the range of float32, so that gradients need no scaling. Weights, statistics and
    what is not a product stay in float32.

    Args:
        precision: `float32`, `bfloat16`, or `auto`: bfloat16 on a GPU.
        device: where it is computed.
    """
    # Not on a CPU by default: few of them multiply bfloat16 faster than float32.
    halved = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=halved)


def channels_last(network: Network) -> Network:
    """The same network with its kernels laid out as convolutions run fastest."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            # Only the layout: values, and with them every saved state, stay.
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


class DivergedError(FacebenchError):
    """Step after step was not finite: to go on from the same place would not help."""


class NonFiniteGuard:
    """Counts the steps in a row that were left out.

    Args:
        limit: how many are too many.
        folder: where the batch of the last one is kept.
        rank: of this worker; each keeps its share.
    """

    def __init__(self, limit: int, folder: Path, rank: int) -> None:
        self._limit = limit
        self._folder = folder
        self._rank = rank
        self._in_a_row = 0

    def check(self, report: StepReport, batch: Any, step: int) -> None:
        """Take note of a step.

        Args:
            report: of the step.
            batch: a dataclass of tensors, what the step was taken on.
            step: steps done, this one included.

        Raises:
            DivergedError: too many in a row were left out; the batch is saved.
        """
        self._in_a_row = 0 if report.applied else self._in_a_row + 1
        # One bad step is left out and forgotten; a row of them means that the weights are spoilt.
        if self._in_a_row < self._limit:
            return
        # Each worker writes its own share: together they are the batch that cannot be learned.
        path = self._folder / f"not-finite-step-{step}-worker-{self._rank}.pt"
        # A dictionary of tensors: `torch.load(weights_only=True)` reads it.
        with atomic_write(path) as draft:
            save_tensors(draft, asdict(batch))
        raise DivergedError(
            f"{self._in_a_row} steps in a row, the last of them {step}, were not finite "
            f"(loss {report.total:g}); its batch is in {path}",
            "lower optimiser.learning_rate, set optimiser.gradient_limit, or look at that batch",
        )
