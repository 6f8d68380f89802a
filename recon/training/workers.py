"""The workers that train together: all-reduce, rank 0, and batch normalisation over all of them.

Batch normalisation over all workers' photographs works without a GPU too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

# Enough for the batches of one GPU; each reader keeps row groups of its own in memory.
_MOST_READERS = 8

_CPU = torch.device("cpu")


class ProcessGroup:
    """All workers of a training, seen from one of them: here from the only one.

    Args:
        rank: which one this is, from 0.
        count: how many there are.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    def mean(self, value: Tensor) -> Tensor:
        """Mean over the workers of a number that each of them has; without gradient."""
        return value

    def all(self, here: Tensor) -> bool:
        """Whether a condition () bool holds on every worker."""
        return bool(here)

    def largest(self, values: Tensor, number: int) -> Tensor:
        """The `number` largest, falling, of all workers' values (N,); without gradient."""
        return values.detach().topk(number).values

    def prepare(self, learner: nn.Module, device: torch.device) -> nn.Module:
        """The learner as it must be to learn together."""
        return learner


SINGLE_PROCESS = ProcessGroup()


@dataclass(frozen=True, eq=False)
class Worker:
    """One of the processes that train together, and what its network begins with.

    Attributes:
        device: where everything runs.
        group: the workers that share each batch.
        distribute: makes its network part of theirs, or None when it is alone. PyTorch's default
            process group is then the workers'.
        seed: of the starting weights and of all chance in the loss.
        start: weights that the network begins with, instead of random ones.
    """

    device: torch.device = _CPU
    group: ProcessGroup = SINGLE_PROCESS
    distribute: Callable[[Any], nn.Module] | None = None
    seed: int = 0
    start: Mapping[str, Tensor] | None = None

    @property
    def readers(self) -> int:
        """How many batches are prepared at a time: as many as keep a GPU busy, else one."""
        if self.device.type != "cuda":
            return 1
        # One core is left to the process that keeps the GPU busy.
        return max(1, min(_MOST_READERS, (os.cpu_count() or 1) - 1))


class DistributedGroup(ProcessGroup):
    """One of several workers in PyTorch's default process group."""

    def mean(self, value: Tensor) -> Tensor:
        """Mean over the workers; all of them must ask, in the same order."""
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def all(self, here: Tensor) -> bool:
        """Whether it holds everywhere; all workers must ask."""
        # Numbers, because gloo reduces no bools: the minimum is 1 where no worker has a 0.
        votes = here.to(torch.int32).clone()
        distributed.all_reduce(votes, op=distributed.ReduceOp.MIN)
        return bool(votes)

    def largest(self, values: Tensor, number: int) -> Tensor:
        """The largest values of all; the workers may hold different numbers of them."""
        # The largest of all are among each worker's largest: no more than those need travel.
        own = values.detach().topk(min(number, len(values))).values
        # All-gather wants one length from everybody; what is made up sorts behind every loss.
        padded = own.new_full((number,), -torch.inf)
        padded[: len(own)] = own
        gathered = [torch.empty_like(padded) for _ in range(self.count)]
        distributed.all_gather(gathered, padded)
        return torch.cat(gathered).topk(number).values

    def prepare(self, learner: nn.Module, device: torch.device) -> nn.Module:
        """The learner with batch statistics over all workers, so that shares do not matter."""
        return share_statistics(learner, device)


@dataclass(frozen=True)
class Moments:
    """Of C channels in each of P parts of a batch; in doubles, so that merging costs no precision.

    Attributes:
        count: (P, 1) float64, values that a channel has there.
        mean: (P, C) float64.
        squares: (P, C) float64, sum of the squared distances from that mean.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor

    @property
    def variance(self) -> Tensor:
        """(P, C) float64, of the values at hand: divided by their number."""
        return self.squares / self.count

    @property
    def unbiased_variance(self) -> Tensor:
        """(P, C) float64, an estimate for the values still to come."""
        # Bessel's correction, as PyTorch takes it for its running variance and for nothing else.
        return self.squares / (self.count - 1.0)

    def merge(self) -> Moments:
        """The parts as one, by the formula of Chan, Golub and LeVeque: no large numbers cancel."""
        count = self.count.sum(0, keepdim=True)
        mean = (self.count * self.mean).sum(0, keepdim=True) / count
        # What the parts' means lie apart is variance, too; dropped, it would be that of one worker.
        between = self.count * (self.mean - mean).square()
        return Moments(count, mean, (self.squares + between).sum(0, keepdim=True))

    def over_workers(self) -> Moments:
        """Those of all workers as one, in one exchange; each asks with one part.

        All find the same, to the last bit.
        """
        # One message instead of three: on a CPU the wait for the others costs more than the bytes.
        own = torch.cat([self.count, self.mean, self.squares], dim=1)[0]
        every = own.new_empty((distributed.get_world_size(), len(own)))
        # Gathered and added here, in the workers' order: an all-reduce may add in another on each.
        distributed.all_gather(list(every.unbind()), own)
        channels = self.mean.shape[1]
        count, mean, squares = torch.split(every, [1, channels, channels], dim=1)
        return Moments(count, mean, squares).merge()


def moments(features: Tensor) -> Moments:
    """Moments of features (B, C, ...) of any float type, as one part."""
    many = in_short_sums(features)
    # bfloat16 maps are summed in float32, and the kernel wants its statistics of that type.
    at_least_single = torch.promote_types(features.dtype, torch.float32)
    nowhere = features.new_zeros(many.shape[1], dtype=at_least_single)
    # Momentum 0: only the batch's own moments are wanted, no running ones are kept here.
    mean, variance = torch.batch_norm_update_stats(many, nowhere, nowhere, 0.0)
    mean, variance = (value.view(-1, features.shape[1]).double() for value in (mean, variance))
    count = torch.full_like(mean[:, :1], many.numel() // many.shape[1])
    # The columns' channels are parts of one batch: merged, they are the channels' own again.
    return Moments(count, mean, variance * count).merge()


def in_short_sums(features: Tensor) -> Tensor:
    """The same features with more channels, so that sums over one of them lose less.

    Where channels come last, PyTorch's kernels add a channel up number by number, and a float that
    holds a hundred thousand of them rounds the next one away. With the columns of the maps as
    channels of their own each sum is as much shorter, and takes no longer.

    Args:
        features: (B, C, ...).

    Returns:
        (B H, W C), where channels come last in memory; else the features as they are.
    """
    if not comes_channels_last(features):
        return features
    batch, channels, height, width = features.shape
    return features.permute(0, 2, 3, 1).reshape(batch * height, width * channels)


def comes_channels_last(features: Tensor) -> bool:
    """Whether these are maps (B, C, H, W) whose channels come last in memory."""
    return features.ndim == 4 and features.is_contiguous(memory_format=torch.channels_last)


class SharedStatistics(_BatchNorm):
    """Batch normalisation whose batch is that of all workers; PyTorch's own needs GPUs.

    One exchange forwards and one backwards, of two numbers a channel. Large means do not cost
    precision. State, evaluation and number formats are those of the `BatchNorm` it is mixed into.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, ...) normalised by the statistics of all workers' (B, ...).

        There is no second derivative.
        """
        # In evaluation the running statistics are everybody's already: nothing to exchange.
        if not self.training:
            return super().forward(features)
        with torch.no_grad():
            # Outside of autograd: `_Normalisation` knows the gradient through the moments in closed
            # form.
            whole = moments(features).over_workers()
            self._follow(whole)
        normalise: Callable[..., Tensor] = _Normalisation.apply
        return normalise(features, self.weight, self.bias, whole, self.eps)

    def _follow(self, whole: Moments) -> None:
        assert self.running_mean is not None  # always kept by the networks here
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        # The same on every worker to the last bit, or their networks would drift apart unseen.
        self.running_mean.lerp_(whole.mean[0].to(self.running_mean), self.momentum)
        self.running_var.lerp_(whole.unbiased_variance[0].to(self.running_var), self.momentum)
        self.num_batches_tracked.add_(1)


class _Normalisation(torch.autograd.Function):
    """Features by their own moments over all workers; the gradient goes through the moments too.

    Each worker's loss is its part of a sum, and its features change the moments of all. So the
    gradient of features takes two sums over all workers, in one exchange. That of weight and bias
    is the worker's own part: who distributes the network adds them up.
    """

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, whole: Moments, eps: float
    ) -> Tensor:
        """Normalised (B, C, ...) features."""
        features = _dense(features, features)
        mean, variance = whole.mean[0].to(weight), whole.variance[0].to(weight)
        ctx.save_for_backward(features, weight, mean, variance)
        ctx.eps, ctx.count = eps, float(whole.count)
        return torch.batch_norm(features, weight, bias, mean, variance, False, 0.0, eps, False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of features, weight and bias."""
        features, weight, mean, variance = ctx.saved_tensors
        inverse = (variance + ctx.eps).rsqrt()
        gradient = _dense(gradient, features)
        own = _sums(gradient, features, mean, inverse)
        shared = own.clone()
        distributed.all_reduce(shared)
        # dL/dx = slope (g - mean of g - x̂ mean of g x̂), both means over all workers.
        slope = weight * inverse
        along, level = shared * (-slope / ctx.count)
        # One pass writes both means' parts: x̂ times `along`, plus `level`.
        moved = torch.batch_norm(features, along, level, mean, variance, False, 0.0, ctx.eps, False)
        channels = (1, -1, *[1] * (features.ndim - 2))
        # own, not shared: who distributes the network adds up weights' gradients once more.
        return moved.addcmul_(gradient, slope.view(channels)), own[0], own[1], None, None


def _sums(gradient: Tensor, features: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
    """(2, C): over this worker's batch, of gradient times normalised features, and of gradient."""
    folded = in_short_sums(features)
    parts = folded.shape[1] // features.shape[1]
    _, along, level = torch.ops.aten.native_batch_norm_backward(
        in_short_sums(gradient),
        folded,
        None,
        None,
        None,
        mean.repeat(parts),
        inverse.repeat(parts),
        True,
        0.0,
        [False, True, True],
    )
    return torch.stack([along, level]).view(2, parts, -1).sum(1)


def _dense(values: Tensor, features: Tensor) -> Tensor:
    """Values without gaps in memory, channels last where those of the features come last."""
    if comes_channels_last(features):
        return values.contiguous(memory_format=torch.channels_last)
    return values.contiguous()


class SharedBatchNorm1d(SharedStatistics, nn.BatchNorm1d):
    """`BatchNorm1d` over all workers: of vectors (B, C)."""


class SharedBatchNorm2d(SharedStatistics, nn.BatchNorm2d):
    """`BatchNorm2d` over all workers: of maps (B, C, H, W)."""


_SHARED: dict[type[nn.Module], type[SharedStatistics]] = {
    nn.BatchNorm1d: SharedBatchNorm1d,
    nn.BatchNorm2d: SharedBatchNorm2d,
}


def share_statistics(learner: nn.Module, device: torch.device) -> nn.Module:
    """The learner with every batch normalisation replaced; names in its state stay."""
    # PyTorch's own, where it works; it refuses CPU tensors.
    if device.type == "cuda":
        convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
        return convert(learner)
    # Listed first, because the tree changes while it is walked.
    for parent in list(learner.modules()):
        for name, child in list(parent.named_children()):
            # By exact type: one that is shared already is a subclass and must stay.
            if isinstance(child, _BatchNorm) and type(child) in _SHARED:
                setattr(parent, name, _with_shared_statistics(child))
    return learner


def _with_shared_statistics(norm: _BatchNorm) -> SharedStatistics:
    shared = _SHARED[type(norm)](norm.num_features, norm.eps, norm.momentum)
    shared.load_state_dict(norm.state_dict())
    for mine, its in zip(shared.parameters(), norm.parameters(), strict=True):
        # A frozen one stays frozen: the recogniser's last normalisation learns no scale.
        mine.requires_grad_(its.requires_grad)
    return shared
