"""How features are spread, channel by channel, over a batch in parts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, distributed


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
        return self.squares / (self.count - 1.0)

    def merged(self) -> Moments:
        """The parts as one, by the formula of Chan, Golub and LeVeque: no large numbers cancel."""
        count = self.count.sum(0, keepdim=True)
        mean = (self.count * self.mean).sum(0, keepdim=True) / count
        between = self.count * (self.mean - mean).square()
        return Moments(count, mean, (self.squares + between).sum(0, keepdim=True))

    def over_workers(self) -> Moments:
        """Those of all workers as one, in one exchange; each asks with one part.

        All find the same, to the last bit.
        """
        own = torch.cat([self.count, self.mean, self.squares], dim=1)[0]
        every = own.new_empty((distributed.get_world_size(), len(own)))
        distributed.all_gather(list(every.unbind()), own)
        channels = self.mean.shape[1]
        count, mean, squares = torch.split(every, [1, channels, channels], dim=1)
        return Moments(count, mean, squares).merged()


def moments(features: Tensor) -> Moments:
    """Moments of features (B, C, ...) of any float type, as one part."""
    many = in_short_sums(features)
    at_least_single = torch.promote_types(features.dtype, torch.float32)
    nowhere = features.new_zeros(many.shape[1], dtype=at_least_single)
    mean, variance = torch.batch_norm_update_stats(many, nowhere, nowhere, 0.0)
    mean, variance = (value.view(-1, features.shape[1]).double() for value in (mean, variance))
    count = torch.full_like(mean[:, :1], many.numel() // many.shape[1])
    return Moments(count, mean, variance * count).merged()


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
