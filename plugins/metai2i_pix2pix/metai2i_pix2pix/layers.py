"""What both networks are made of: the kinds of normalisation and the initialisation."""

from __future__ import annotations

from typing import Literal

from torch import nn

Norm = Literal["instance", "batch"]


def normalisation(kind: Norm, channels: int) -> nn.Module:
    """Instance normalisation without parameters, or batch normalisation with them.

    Neither keeps running statistics: Pix2pix is tested as it is trained, by the statistics of the images at hand, and
    a copy that is adapted to a scene has no buffers to carry along.
    """
    if kind == "instance":
        return nn.InstanceNorm2d(channels)
    return nn.BatchNorm2d(channels, track_running_stats=False)


def initialise(module: nn.Module) -> None:
    """N(0, 0.02) for convolutions, N(1, 0.02) for the scales of normalisations, 0 for biases; for `Module.apply`."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
