"""`Encoder`, the variational image encoder of SPADE (Park et al., 2019, appendix A)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from metai2i_spade.layers import initialise, spectral_conv

CODED_GRID = 4
"""Positions a side that convolutions leave."""


class Encoder(nn.Module):
    """Convolutions of stride 2, and two linear layers for the mean and the logarithm of the variance of a code.

    Images are resized to a square first, as the paper does: 256 pixels a side for images of 256 or more, and the
    nearest smaller power of two for smaller ones.

    Args:
        size: (H, W) of the images, at least 8 pixels a side.
        width: features after the first convolution; they double three times at the most.
        latent: length of the code.
    """

    def __init__(self, size: tuple[int, int], width: int = 64, latent: int = 256) -> None:
        super().__init__()
        halvings = min(6, (min(size) // CODED_GRID).bit_length() - 1)
        widths = [3, *(min(2**level, 8) * width for level in range(halvings))]
        self.side = CODED_GRID * 2**halvings
        self.convs = nn.ModuleList(
            spectral_conv(before, after, stride=2, bias=False) for before, after in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.InstanceNorm2d(after) for after in widths[1:])
        self.mean = nn.Linear(widths[-1] * CODED_GRID**2, latent)
        self.log_variance = nn.Linear(widths[-1] * CODED_GRID**2, latent)
        self.apply(initialise_linear)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance, (B, latent) each, of images (B, 3, H, W) in [-1, 1]."""
        features = interpolate(images, (self.side, self.side), mode="bilinear", align_corners=False)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            features = leaky_relu(norm(conv(features)), 0.2)
        flat = features.flatten(1)
        return self.mean(flat), self.log_variance(flat)


def initialise_linear(module: nn.Module) -> None:
    """Initialise a linear layer; convolutions have been, before their spectral norm."""
    if isinstance(module, nn.Linear):
        initialise(module)
