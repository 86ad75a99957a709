"""`PatchGAN`, the discriminator of Pix2pix (Isola et al., 2017)."""

from __future__ import annotations

from torch import nn

from metai2i_pix2pix.layers import Norm, initialise, normalisation


class PatchGAN(nn.Sequential):
    """Convolutions that judge overlapping patches: 16, 34, 70, 142 pixels a side for 1, 2, 3, 4 layers.

    It gives logits (B, 1, h, w), one for each patch of (B, C, H, W); at 3 layers h = H // 8 - 2.

    Args:
        channels: channels of the input.
        width: channels after the first convolution; they double at each of the next three.
        layers: convolutions of stride 2, before two of stride 1.
        norm: "instance" or "batch", everywhere but in the first and the last convolution.
    """

    def __init__(self, channels: int, width: int = 64, layers: int = 3, norm: Norm = "instance") -> None:
        widths = [min(2**level, 8) * width for level in range(layers + 1)]
        modules: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, layers + 1):
            stride = 2 if level < layers else 1
            modules += [
                nn.Conv2d(widths[level - 1], widths[level], 4, stride, 1, bias=norm == "instance"),
                normalisation(norm, widths[level]),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*modules, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.apply(initialise)
