"""What EdgeGAN's critics and classifier minimise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

_TINY = 1e-12
"""Added to a squared norm, whose root has no gradient at 0."""


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Return the mean squared difference from 1 of the norm of a critic's gradient, between real and made images
    (Gulrajani et al., 2017).

    Args:
        critic: gives (B,) for images (B, 3, H, W).
        real: (B, 3, H, W).
        fake: (B, 3, H, W).
        share: of the real ones in what lies between, (B,) in [0, 1].
    """
    between = (fake + share[:, None, None, None] * (real - fake)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms = (gradient.square().flatten(1).sum(1) + _TINY).sqrt()
    return (norms - 1).square().mean()


def focal(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the mean cross-entropy of images, each weighted by the squared probability that is not its class's, so
    that images of which a classifier is sure hardly count (Lin et al., 2017, gamma 2).

    Args:
        logits: (B, K).
        classes: (B,) int64, below K.
    """
    each = cross_entropy(logits, classes, reduction="none")
    return ((1 - (-each).exp()).square() * each).mean()
