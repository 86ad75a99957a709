"""What StarGAN v2's discriminator minimises besides the recipe's adversarial terms (Choi et al., 2020, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor


def r1(logits: Tensor, photographs: Tensor) -> Tensor:
    """Return half the squared norm of the logits' gradient at photographs, a mean over them (Mescheder et al., 2018).

    Args:
        logits: (B,), made of `photographs`.
        photographs: (B, 3, H, W), which require a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), photographs, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()
