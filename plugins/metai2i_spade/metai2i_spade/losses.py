"""What SPADE (Park et al., 2019) minimises besides the terms of a recipe's objective."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def feature_matching(fakes: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return how far a discriminator's features of images are from those of the photographs (Wang et al., 2018).

    It is the mean absolute difference of each layer, summed over the layers, a mean over the scales. No gradient goes
    back to the photographs' side.

    Args:
        fakes: for each scale the features of each layer, and at the end the logits, which are not compared.
        real: the same for the photographs.
    """
    scales = [
        torch.stack([_apart(a, b) for a, b in zip(ours[:-1], theirs[:-1], strict=True)]).sum()
        for ours, theirs in zip(fakes, real, strict=True)
    ]
    return torch.stack(scales).mean()


def _apart(fakes: Tensor, real: Tensor) -> Tensor:
    return (_single(fakes) - _single(real).detach()).abs().mean()


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of codes from the standard normal distribution.

    It is summed over the code and a mean over the images. The published code sums over the images of one GPU as well
    (four of them), so that its weight means as much more.

    Args:
        mean: (B, latent).
        log_variance: (B, latent), natural logarithms.
    """
    mean, log_variance = _single(mean), _single(log_variance)
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def _single(tensor: Tensor) -> Tensor:
    """Return half precision as float32, and any other as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
