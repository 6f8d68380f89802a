"""Batch normalisation over the photographs of all workers, also without a GPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributed.nn import functional as exchanged
from torch.nn.modules.batchnorm import _BatchNorm


class SharedStatistics(_BatchNorm):
    """Batch normalisation whose batch is that of all workers; PyTorch's own needs GPUs.

    Two passes, the mean first, so that large means do not cost precision. State and evaluation are
    those of the `BatchNorm` it is mixed into.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, ...) normalised by the statistics of all workers' (B, ...)."""
        if not self.training:
            return super().forward(features)
        others = [axis for axis in range(features.ndim) if axis != 1]
        channels = (1, -1, *[1] * (features.ndim - 2))
        count = features.new_tensor([features.numel() / features.shape[1]])
        sums = _total(torch.cat([features.sum(others), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centred = features - mean.view(channels)
        variance = _total(centred.square().sum(others)) / total
        self._follow(mean.detach(), variance.detach() * total / (total - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        normalised: Tensor = centred * scale.view(channels) + self.bias.view(channels)
        return normalised

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None  # always kept by the networks here
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


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


def _total(values: Tensor) -> Tensor:
    """Sum over the workers; the gradient is summed over them too."""
    reduce: Callable[[Tensor], Tensor] = exchanged.all_reduce
    return reduce(values)


def _shared(norm: _BatchNorm) -> SharedStatistics:
    shared = _SHARED[type(norm)](norm.num_features, norm.eps, norm.momentum)
    shared.load_state_dict(norm.state_dict())
    for mine, its in zip(shared.parameters(), norm.parameters(), strict=True):
        mine.requires_grad_(its.requires_grad)
    return shared
