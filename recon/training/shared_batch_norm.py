"""Batch normalisation over the photographs of all workers, also without a GPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributed.nn import functional as exchanged


class SharedBatchNorm(nn.BatchNorm2d):
    """`BatchNorm2d` whose batch is that of all workers; PyTorch's own needs GPUs.

    Two passes, the mean first, so that large means do not cost precision. State and evaluation are
    those of `BatchNorm2d`.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) normalised by the statistics of all workers' (B, H, W)."""
        if not self.training:
            return super().forward(features)
        count = features.new_tensor([features.numel() / features.shape[1]])
        sums = _total(torch.cat([features.sum((0, 2, 3)), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centred = features - mean.view(1, -1, 1, 1)
        variance = _total(centred.square().sum((0, 2, 3))) / total
        self._follow(mean.detach(), variance.detach() * total / (total - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        normalised: Tensor = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
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


def share_statistics(learner: nn.Module, device: torch.device) -> nn.Module:
    """The learner with every `BatchNorm2d` replaced; names in its state stay."""
    if device.type == "cuda":
        convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
        return convert(learner)
    for parent in list(learner.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _shared(child))
    return learner


def _total(values: Tensor) -> Tensor:
    """Sum over the workers; the gradient is summed over them too."""
    reduce: Callable[[Tensor], Tensor] = exchanged.all_reduce
    return reduce(values)


def _shared(norm: nn.BatchNorm2d) -> SharedBatchNorm:
    shared = SharedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    shared.load_state_dict(norm.state_dict())
    return shared
