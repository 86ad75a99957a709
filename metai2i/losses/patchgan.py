"""`PatchGAN`, the discriminator of Pix2pix (Isola et al., 2017), with that paper's normalisation and initialisation.

It is here and not in a plugin since translators of several papers judge their images with it.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from metai2i.errors import UserError

Norm = Literal["instance", "batch"]


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


def normalisation(kind: Norm, channels: int) -> nn.Module:
    """Return instance normalisation without parameters, or batch normalisation with them.

    Neither keeps running statistics: Pix2pix is tested as it is trained, by the statistics of the images at hand, and
    a copy that is adapted to a scene has no buffers to carry along.
    """
    if kind == "instance":
        return nn.InstanceNorm2d(channels)
    return nn.BatchNorm2d(channels, track_running_stats=False)


def initialise(module: nn.Module) -> None:
    """Draw N(0, 0.02) for convolutions, N(1, 0.02) for the scales of normalisations, 0 for biases; for
    `Module.apply`.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_patches(translator: str, size: tuple[int, int], layers: int) -> None:
    """Refuse a size for which no patch is left: the stride-1 layers need 3 positions to leave one.

    Args:
        translator: who asks, for the message.
        size: (H, W) of the images, in pixels.
        layers: the discriminator's convolutions of stride 2.

    Raises:
        UserError: with the smallest size that will do.
    """
    if min(size) >> layers < 3:
        raise UserError(
            f"{translator}: size {size[0]}x{size[1]} is too small for d_layers: {layers}",
            hint=f"d_layers: {layers} needs at least {3 * 2**layers} pixels a side",
        )
