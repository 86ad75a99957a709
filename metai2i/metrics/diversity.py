"""How different several outputs for one input are."""

from __future__ import annotations

from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from metai2i.batch import Batch
from metai2i.losses.lpips import SMALLEST
from metai2i.metric import Metric
from metai2i.metrics.builtin import lpips


class Diversity(Metric):
    """Mean LPIPS between all pairs of outputs for one input (`evaluate.samples`); 0 where they are all the same."""

    label = "diversity ↑"
    higher_is_better = True
    needs = frozenset()
    several = True
    smallest = SMALLEST["alex"]
    feature_networks: ClassVar[frozenset[str]] = frozenset({"alex"})

    def __call__(self, images: Tensor, query: Batch) -> Tensor:
        """Return (B,) distances; NaN for a single output."""
        pairs = list(combinations(range(images.shape[1]), 2))
        if not pairs:
            return torch.full((len(images),), torch.nan)
        return torch.stack([lpips(images[:, left], images[:, right]) for left, right in pairs]).mean(0)
