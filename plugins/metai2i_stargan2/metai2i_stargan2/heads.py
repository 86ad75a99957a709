"""`DomainLinear`: a linear layer with weights for each domain, and for one that training does not know."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DomainLinear(nn.Module):
    """A linear layer for each domain. A domain of a number beyond them has the spare one.

    The spare layer is the mean of all others plus a difference that is trained, and begins as 0: a domain that is
    unknown so far begins as an average of the known, whatever these have become, and adapting moves it away from there.
    The networks of the paper have no spare layer.

    Args:
        before: features that go in.
        after: features that come out.
        domains: how many there are.
        spare: whether there is a further one.
    """

    def __init__(self, before: int, after: int, domains: int, *, spare: bool = True) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.empty(domains, after, before)),
            nn.Parameter(torch.zeros(domains, after)),
        )
        for weight in self.weight:
            nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")
        self.spare_weight = nn.Parameter(torch.zeros(after, before)) if spare else None
        self.spare_bias = nn.Parameter(torch.zeros(after)) if spare else None

    def forward(self, features: Tensor, domain: Tensor) -> Tensor:
        """Return (B, after), each sample by the layer of its domain.

        Args:
            features: (B, before).
            domain: (B,) int64; the number of domains or more for the spare one. Where there is none, the
                translator has refused these.
        """
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.spare_weight is not None and self.spare_bias is not None:
            weight = torch.cat([weight, (weight.mean(0) + self.spare_weight)[None]])
            bias = torch.cat([bias, (bias.mean(0) + self.spare_bias)[None]])
        place = domain.clamp(max=len(weight) - 1)
        return torch.baddbmm(bias[place][:, :, None], weight[place], features[:, :, None])[:, :, 0]
