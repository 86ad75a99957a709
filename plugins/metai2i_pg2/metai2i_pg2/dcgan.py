"""`DCGAN`, the discriminator of PG2 in two stages, after Radford et al. (2016)."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from metai2i.losses import initialise, normalisation


class DCGAN(nn.Sequential):
    """Convolutions of stride 2 and a linear layer: one logit (B, 1) for an image (B, C, H, W).

    Args:
        channels: channels of the input.
        size: (H, W) of the images.
        width: channels after the first convolution; they double at each of the next three.
        layers: how many convolutions: 4 for 128x64 and 5 for 256x256, as published.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int = 64, layers: int = 4) -> None:
        widths = [min(2**level, 8) * width for level in range(layers)]
        modules: list[nn.Module] = [nn.Conv2d(channels, width, 5, 2, 2), nn.LeakyReLU(0.2)]
        for before, after in pairwise(widths):
            modules += [nn.Conv2d(before, after, 5, 2, 2), normalisation("batch", after), nn.LeakyReLU(0.2)]
        height, breadth = (-(-side // 2**layers) for side in size)
        judge = nn.Linear(widths[-1] * height * breadth, 1)
        super().__init__(*modules, nn.Flatten(), judge)
        self.apply(initialise)
        nn.init.normal_(judge.weight, 0.0, 0.02)
        nn.init.zeros_(judge.bias)
