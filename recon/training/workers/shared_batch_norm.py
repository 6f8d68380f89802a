"""Batch normalisation over the photographs of all workers, also without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from .moments import Moments, comes_channels_last, in_short_sums, moments


class SharedStatistics(_BatchNorm):
    """Batch normalisation whose batch is that of all workers; PyTorch's own needs GPUs.

    One exchange forwards and one backwards, of two numbers a channel. Large means do not cost
    precision. State, evaluation and number formats are those of the `BatchNorm` it is mixed into.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, ...) normalised by the statistics of all workers' (B, ...).

        There is no second derivative.
        """
        if not self.training:
            return super().forward(features)
        with torch.no_grad():
            whole = moments(features).over_workers()
            self._follow(whole)
        normalise: Callable[..., Tensor] = _Normalisation.apply
        return normalise(features, self.weight, self.bias, whole, self.eps)

    def _follow(self, whole: Moments) -> None:
        assert self.running_mean is not None  # always kept by the networks here
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
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
        features = _dense(features)
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
        gradient = _like(features, gradient)
        own = _sums(gradient, features, mean, inverse)
        shared = own.clone()
        distributed.all_reduce(shared)
        slope = weight * inverse
        along, level = shared * (-slope / ctx.count)
        moved = torch.batch_norm(features, along, level, mean, variance, False, 0.0, ctx.eps, False)
        channels = (1, -1, *[1] * (features.ndim - 2))
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


def _dense(features: Tensor) -> Tensor:
    """The same without gaps in memory, channels last where they are so already."""
    return features if comes_channels_last(features) else features.contiguous()


def _like(features: Tensor, gradient: Tensor) -> Tensor:
    """A gradient laid out in memory as the features are."""
    if comes_channels_last(features):
        return gradient.contiguous(memory_format=torch.channels_last)
    return gradient.contiguous()


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
    if device.type == "cuda":
        convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
        return convert(learner)
    for parent in list(learner.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and type(child) in _SHARED:
                setattr(parent, name, _shared(child))
    return learner


def _shared(norm: _BatchNorm) -> SharedStatistics:
    shared = _SHARED[type(norm)](norm.num_features, norm.eps, norm.momentum)
    shared.load_state_dict(norm.state_dict())
    for mine, its in zip(shared.parameters(), norm.parameters(), strict=True):
        mine.requires_grad_(its.requires_grad)
    return shared
