"""The mean of several gradients, of episodes or of parts of a batch, whoever computes them and in whatever order."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from metai2i.distributed.processes import Processes


class MeanGradient:
    """Sums `.grad` over episodes, here and in other processes, and puts the mean back.

    The sum is taken in float64, where that of a handful of float32 numbers is exact unless they differ 2**26-fold in
    size. So it does not depend on how the episodes are split over processes, nor on the order in which an all-reduce
    adds: one process and several get the same bits.

    Args:
        parameters: those that may have a gradient.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        sizes = [parameter.numel() for parameter in self.parameters]
        device = self.parameters[0].device if self.parameters else None
        self.flat = torch.zeros(sum(sizes) + len(sizes), dtype=torch.float64, device=device)
        *self.sums, self.counts = torch.split(self.flat, [*sizes, len(sizes)])

    def take(self, weight: int = 1) -> None:
        """Move the gradients of one episode, or those of a part of a batch by its number of samples, into the sum."""
        for n, (parameter, added) in enumerate(zip(self.parameters, self.sums, strict=True)):
            if parameter.grad is not None:
                added.add_(parameter.grad.flatten(), alpha=weight)
                self.counts[n] += 1
                parameter.grad = None

    def put(self, processes: Processes, weights: int) -> None:
        """Leave the mean over all processes in `.grad`, and None where nothing had a gradient.

        Args:
            processes: who have sums.
            weights: the sum of all weights: how many episodes, or samples, there are.
        """
        processes.add(self.flat)
        self.flat[: len(self.flat) - len(self.counts)] /= weights
        for parameter, mean, count in zip(self.parameters, self.sums, self.counts.tolist(), strict=True):
            parameter.grad = mean.to(parameter.dtype).view_as(parameter) if count else None
